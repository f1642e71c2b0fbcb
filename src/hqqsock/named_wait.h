/*
 * How threads wait for a socket of AF_HQQ. They spin a little, and then sleep in poll(2) on its descriptor, which
 * becomes readable by a knock: of the peer, when it publishes or frees a slot and finds the bell armed; or of a thread of
 * this process that has changed what the sleepers must know.
 *
 * A peer of another implementation never knocks, and one in another network namespace can't: so every sleep has an
 * end, after which the ring is looked at again. See hqq_link_arm() for how long.
 *
 * Several threads may sleep on one descriptor, and one of them takes the knock out that another one needed. So who comes
 * back from a sleep and finds the link ready knocks for the others, and while there are others no sleep lasts longer
 * than HQQ_NAMED_CROWD_NS.
 */
#ifndef HQQ_HQQSOCK_NAMED_WAIT_H
#define HQQ_HQQSOCK_NAMED_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/clock.h"
#include "ring/wait.h"
#include "hqqsock/named.h"

#define HQQ_NAMED_CROWD_NS (10 * HQQ_NS_PER_MS)

/* One thread that sleeps on one socket. */
struct hqq_named_sleep {
    struct hqq_named *named;
    struct hqq_link *link;
    int fd;
    bool reads, writes; /* what it waits for */
    bool is_edge;       /* it sleeps though there is something: what comes is what it waits for */
    bool is_armed;
    uint64_t look_ns[2]; /* hqq_link_arm()'s */
};

/* Before the sleep. Returns until when it may last; 0: not at all, as there is something to do. Then wake is called, in
 * either case; its argument is the sleep, as void * for pthread_cleanup_push(). */
uint64_t hqq_named_arm(struct hqq_named_sleep *sleep);
void hqq_named_wake(void *argument);

/* What poll(2) would say of the socket, of the events that are asked for, and POLLHUP and POLLNVAL. For who has entered
 * it. */
short hqq_named_events(struct hqq_named *named, short asked);

/* One call that waits for one socket. */
struct hqq_named_wait {
    struct hqq_named_sleep sleep;
    enum hqq_wait_for what;
    bool may_wait, has_begun;
    uint64_t start_ns, until_ns;
};

void hqq_named_wait_begin(struct hqq_named_wait *wait, struct hqq_named *named, int fd, enum hqq_wait_for what,
                          int flags);

/* To be called when a try has found nothing. 0: try again. -EAGAIN: it may not wait, or the socket's time-out has passed.
 * -ETIMEDOUT: the deadline has. -EINTR. -ESHUTDOWN: shut down, in this direction. -EBADF: closed. A cancellation
 * point, but for who may not wait; a thread that is cancelled leaves the socket, which it had entered once. */
int hqq_named_wait(struct hqq_named_wait *wait);

/* The end of the call. */
void hqq_named_wait_end(const struct hqq_named_wait *wait);

/* After a receive, for an app that may wait by itself: the descriptor is readable if and only if there is something to
 * read, as far as the peer knocks. True: there is, so a receive that found nothing should look again. */
bool hqq_named_settle(struct hqq_named *named, int fd, bool has_found_nothing);

/* Wakes the threads of this process that sleep on the socket. */
void hqq_named_knock(struct hqq_named *named);

#endif
