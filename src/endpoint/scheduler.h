/*
 * The scheduler: which channels of an endpoint are looked at. Those that are polled, or hold something, form a circle, the busy
 * ones; all others cost nothing: they are armed, and what comes for them comes through the kernel. All under the receive lock.
 */
#ifndef HQQ_ENDPOINT_SCHEDULER_H
#define HQQ_ENDPOINT_SCHEDULER_H

#include "channel/rx.h"
#include "endpoint/endpoint.h"

/* What an epoll set, of the wait engine, has to do with an endpoint that is one of its members. Linked and unlinked under the
 * receive lock. */
struct hqq_membership {
    struct hqq_membership *endpoint_next; /* of the same endpoint */
    hqq_atomic_u32 *waiters;              /* threads that are asleep in a wait for the set */
    hqq_atomic_u32 *busy;                 /* members of the set that are busy */
    uint64_t reported;                    /* edge-triggered: the arrivals that the set has been told of */
};

void hqq_scheduler_link(struct hqq_endpoint *endpoint, struct hqq_membership *membership);
void hqq_scheduler_unlink(struct hqq_endpoint *endpoint, struct hqq_membership *membership);

/* A thread is asleep in a wait for more sockets than are counted one by one, or no more. */
void hqq_scheduler_count_blind_wait(bool is_asleep);

/* A new channel, armed and empty. */
void hqq_scheduler_add(struct hqq_endpoint *endpoint, struct hqq_channel *channel);

/* One challenge less to wait for. */
void hqq_scheduler_expect_no_more(struct hqq_endpoint *endpoint);

/* Out of all lists, without a word to the peer; and not without: it is closed for good. Both drop the channel. */
void hqq_scheduler_remove(struct hqq_endpoint *endpoint, struct hqq_channel *channel);
void hqq_scheduler_end(struct hqq_endpoint *endpoint, struct hqq_channel *channel);

/* Those that were removed while a receive was under way. */
void hqq_scheduler_drop_buried(struct hqq_endpoint *endpoint);

/* All of them. is_own: false leaves the regions alone, as they are another process's. */
void hqq_scheduler_end_all(struct hqq_endpoint *endpoint, bool is_own);

/* Moves all to SUSPENDED, CLOSED or HANDOFF; what they hold is read still. */
void hqq_scheduler_stop_all(struct hqq_endpoint *endpoint, enum hqq_notify state);

/* The channel is looked at from now on. */
void hqq_scheduler_make_busy(struct hqq_endpoint *endpoint, struct hqq_channel *channel);

/*
 * A datagram came through the kernel: looks at a few channels that are not busy, the last busy one first, whether their senders
 * would rather use the ring, and polls those. A bound sender's own could be told by its name; with many channels the turn comes
 * round to each.
 */
void hqq_scheduler_find_wanted(struct hqq_endpoint *endpoint);

/* The busy channel whose ring is next to be read, or NULL; with positions that were noted only what lies before them. Broken ones
 * are ended on the way. */
struct hqq_channel *hqq_scheduler_next(struct hqq_endpoint *endpoint, struct hqq_datagram *ret_datagram);

/* A quick look: true if a busy ring has something. */
bool hqq_scheduler_has_data(const struct hqq_endpoint *endpoint);

/* The busy channel behind one, as they are gone round from the first; NULL: that was the last, or a handler has taken one of the two
 * out of the circle. */
static inline struct hqq_channel *hqq_scheduler_after(const struct hqq_channel *channel,
                                                      const struct hqq_channel *first)
{
    bool is_circle = channel->is_busy && first->is_busy;
    return is_circle && channel->busy_next != first ? channel->busy_next : NULL;
}

/* Every busy channel is polled, if that is allowed and nobody else sleeps on the socket. */
void hqq_scheduler_poll(struct hqq_endpoint *endpoint);

/*
 * Arms every busy channel, and looks. True: nothing is there, or nothing new for an edge-triggered member of a set (else NULL); the empty
 * ones are busy no more, and what comes from now on comes through the kernel. False: look again.
 */
bool hqq_scheduler_arm(struct hqq_endpoint *endpoint, const struct hqq_membership *edge);

/* A handler is about to receive inside a receive of this thread's, or to let other threads do so: see hqq_rx_interrupt(). */
void hqq_scheduler_interrupt(struct hqq_endpoint *endpoint);

/* True if a busy channel's sender waits for an acknowledgement. */
bool hqq_scheduler_is_wanted(const struct hqq_endpoint *endpoint);

/*
 * Around a look at the kernel's queue: which drain requests an empty one acknowledges; and the acknowledgement, if what was noted last
 * is one of this thread's notes from..to. Another thread's note, or a handler's, may be of a later request, for a datagram
 * that came after the look.
 */
uint64_t hqq_scheduler_note_requests(struct hqq_endpoint *endpoint);
void hqq_scheduler_acknowledge(struct hqq_endpoint *endpoint, uint64_t from, uint64_t to);

/* The queue is not empty yet, but is being read: senders that wait for the acknowledgement do so for a good reason. */
void hqq_scheduler_show_progress(struct hqq_endpoint *endpoint);

/* A datagram was seen at the head of the kernel's queue: what the rings hold now goes before it. */
static inline void hqq_scheduler_note_head(struct hqq_endpoint *endpoint)
{
    endpoint->head_number++;
    endpoint->head_is_noted = true;
}

/* That datagram was shown to the program, so it comes before all that is published from now on. */
void hqq_scheduler_fix_head(const struct hqq_endpoint *endpoint);

/* For edge-triggered members of sets. True if something is there, and a ring has got something since the last report; all that is there
 * has been reported; nothing has. */
bool hqq_scheduler_has_news(struct hqq_endpoint *endpoint, const struct hqq_membership *edge);
void hqq_scheduler_report(struct hqq_endpoint *endpoint, struct hqq_membership *edge);
void hqq_scheduler_forget_report(struct hqq_endpoint *endpoint, struct hqq_membership *edge);

/* Ends a few channels whose peers have gone and that hold nothing any more, once in 10 ms. */
void hqq_scheduler_reap(struct hqq_endpoint *endpoint, bool is_due);

#endif
