#include "hqqsock/named_wait.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "platform/sys.h"
#include "standard/poll.h"
#include "runtime/libc.h"

/* How long a sleep lasts where no knock can arrive. */
#define UNHEARD_NS (1 * HQQ_NS_PER_MS)
#define END_LOOK_NS (100 * HQQ_NS_PER_MS)

/* ---- Knocks ---------------------------------------------------------------------------------------------------- */

void hqq_named_knock(struct hqq_named *named)
{
    struct hqq_link *link = hqq_named_link(named);
    struct sockaddr_un address;
    socklen_t length;
    if (!link || hqq_load32_relaxed(&named->is_heard) == 0 || !hqq_link_knock_address(link, &address, &length))
        return;
    (void)hqq_sys.knock(&address, length);
    hqq_store32_relaxed(&named->is_knocked, 1); /* after it: if it says so for nothing, that costs a look */
}

/* True if there were any. The queue is short, so this ends. Callers have seen that the socket is not closed, as the
 * number may be another's then. It may become so right after their look: no more than these few calls are exposed. */
static bool take_knocks_out(struct hqq_named *named, int fd)
{
    char byte;
    int saved = errno;
    int count = 0;
    hqq_store32_relaxed(&named->is_knocked, 0);
    while (count < 4096 &&
           hqq_libc.syscall(SYS_recvfrom, fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC, NULL, NULL) >= 0)
        count++;
    errno = saved;
    return count != 0;
}

bool hqq_named_settle(struct hqq_named *named, int fd, bool has_found_nothing)
{
    struct hqq_link *link = hqq_named_link(named);
    uint64_t look_ns = 0;
    if (hqq_load32_relaxed(&named->is_ours_only) != 0 || hqq_load32_relaxed(&named->is_heard) == 0 ||
        hqq_load32_acquire(&named->is_closed) != 0)
        return false;
    bool is_armed = hqq_link_is_armed(link, HQQ_WAIT_DATA);
    if (is_armed && hqq_load32_relaxed(&named->is_knocked) == 0 && !has_found_nothing)
        return false; /* nothing was published since */
    if (hqq_link_is_ready(link, HQQ_WAIT_DATA))
        return true; /* its knock is there still, or on its way, as knocks are taken out below only */
    /* A knock may have come late, when its datagram had been taken: nothing else would take that out. */
    if (!take_knocks_out(named, fd) && is_armed)
        return false;
    hqq_link_arm(link, HQQ_WAIT_DATA, &look_ns);
    hqq_link_disarm(link, HQQ_WAIT_DATA); /* nobody sleeps; the bell stays armed */
    if (!hqq_link_is_ready(link, HQQ_WAIT_DATA))
        return false;
    hqq_named_knock(named); /* it may have come before the arming, without a knock */
    return true;
}

/* ---- Sleeping -------------------------------------------------------------------------------------------------- */

static bool is_ready(const struct hqq_named_sleep *sleep)
{
    return (sleep->reads && hqq_link_is_ready(sleep->link, HQQ_WAIT_DATA)) ||
           (sleep->writes && hqq_link_is_ready(sleep->link, HQQ_WAIT_SPACE));
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* For who waits for the end of the socket alone, which no peer that dies knocks for. Returns how long the sleep may last. */
static uint64_t look_for_the_end(const struct hqq_named_sleep *sleep)
{
    enum hqq_peer peer;
    if (sleep->link)
        (void)hqq_link_check_peer(sleep->link, &peer);
    return END_LOOK_NS;
}

uint64_t hqq_named_arm(struct hqq_named_sleep *sleep)
{
    struct hqq_named *named = sleep->named;
    uint64_t limit = HQQ_FOREVER;
    uint64_t now = hqq_clock_ns();
    if (hqq_load32_acquire(&named->is_closed) != 0)
        return 0;
    hqq_store32_relaxed(&named->is_ours_only, 1);
    sleep->is_armed = true;
    uint32_t others = hqq_add32_relaxed(&named->sleepers, 1);
    take_knocks_out(named, sleep->fd);
    if (sleep->reads)
        limit = earlier(limit, hqq_link_arm(sleep->link, HQQ_WAIT_DATA, &sleep->look_ns[0]));
    if (sleep->writes)
        limit = earlier(limit, hqq_link_arm(sleep->link, HQQ_WAIT_SPACE, &sleep->look_ns[1]));
    if (!sleep->reads && !sleep->writes)
        limit = earlier(limit, now + look_for_the_end(sleep));
    if (hqq_load32_relaxed(&named->is_heard) == 0)
        limit = earlier(limit, now + UNHEARD_NS);
    if (others != 0)
        limit = earlier(limit, now + HQQ_NAMED_CROWD_NS);
    hqq_fence_full(); /* edge B4: who moves a deadline either finds this sleeper, or is seen by it */
    return hqq_load32_acquire(&named->is_closed) != 0 || (!sleep->is_edge && is_ready(sleep)) ? 0 : limit;
}

void hqq_named_wake(void *argument)
{
    struct hqq_named_sleep *sleep = argument;
    if (!sleep->is_armed)
        return;
    sleep->is_armed = false;
    if (sleep->reads)
        hqq_link_disarm(sleep->link, HQQ_WAIT_DATA);
    if (sleep->writes)
        hqq_link_disarm(sleep->link, HQQ_WAIT_SPACE);
    if (hqq_sub32_relaxed(&sleep->named->sleepers, 1) != 1 && sleep->link &&
        (hqq_link_is_ready(sleep->link, HQQ_WAIT_DATA) || hqq_link_is_ready(sleep->link, HQQ_WAIT_SPACE)))
        hqq_named_knock(sleep->named);
}

/* The thread ends inside its call, which had entered the socket. */
static void on_cancel(void *argument)
{
    struct hqq_named_sleep *sleep = argument;
    hqq_named_wake(sleep);
    hqq_named_drop(sleep->named);
}

/* In poll(2), which a signal always ends: as it does with calls on a socket that has a time-out, see signal(7). */
static int sleep_until(struct hqq_named_sleep *sleep, uint64_t until_ns)
{
    struct pollfd knock = {.fd = sleep->fd, .events = POLLIN};
    struct timespec span = hqq_timespec(hqq_clock_left(until_ns));
    int result;
    pthread_cleanup_push(on_cancel, sleep);
    result = hqq_libc.ppoll(&knock, 1, until_ns == HQQ_FOREVER ? NULL : &span, NULL);
    if (result < 0)
        result = -errno;
    pthread_cleanup_pop(0);
    hqq_named_wake(sleep);
    return result;
}

/* ---- Waiting --------------------------------------------------------------------------------------------------- */

void hqq_named_wait_begin(struct hqq_named_wait *wait, struct hqq_named *named, int fd, enum hqq_wait_for what,
                          int flags)
{
    bool reads = what == HQQ_WAIT_DATA;
    *wait = (struct hqq_named_wait){
        .sleep = {.named = named, .link = hqq_named_link(named), .fd = fd, .reads = reads, .writes = !reads},
        .what = what,
        .may_wait = (flags & MSG_DONTWAIT) == 0 && hqq_load32_relaxed(&named->is_nonblocking) == 0,
    };
}

static int why_not_to_wait(const struct hqq_named_wait *wait)
{
    const struct hqq_named *named = wait->sleep.named;
    uint32_t shut = wait->sleep.reads ? HQQ_NAMED_SHUT_READING : HQQ_NAMED_SHUT_WRITING;
    if (hqq_load32_acquire(&named->is_closed) != 0)
        return -EBADF;
    if (hqq_load32_relaxed(&named->shut) & shut)
        return -ESHUTDOWN;
    return 0;
}

static void begin(struct hqq_named_wait *wait, uint64_t now)
{
    const struct hqq_named *named = wait->sleep.named;
    uint64_t timeout = hqq_load_relaxed(wait->sleep.reads ? &named->receive_timeout_ns : &named->send_timeout_ns);
    wait->has_begun = true;
    wait->start_ns = now;
    wait->until_ns = hqq_deadline_after(now, timeout);
}

int hqq_named_wait(struct hqq_named_wait *wait)
{
    struct hqq_named *named = wait->sleep.named;
    const hqq_atomic_u64 *deadline = wait->sleep.reads ? &named->read_deadline_ns : &named->write_deadline_ns;
    int result = why_not_to_wait(wait);
    if (result != 0)
        return result;
    if (!wait->may_wait)
        return wait->sleep.reads && hqq_named_settle(named, wait->sleep.fd, true) ? 0 : -EAGAIN;
    uint64_t now = hqq_clock_ns();
    if (!wait->has_begun)
        begin(wait, now);
    if (now >= hqq_load_relaxed(deadline))
        return -ETIMEDOUT;
    if (now >= wait->until_ns)
        return -EAGAIN;
    if (hqq_link_spin(wait->sleep.link, wait->what))
        return 0;
    uint64_t limit = hqq_named_arm(&wait->sleep);
    if (limit == 0 || why_not_to_wait(wait) != 0) {
        hqq_named_wake(&wait->sleep);
        return 0;
    }
    /* After the arming: a deadline that is moved later finds this thread among the sleepers, and knocks. */
    limit = earlier(limit, earlier(wait->until_ns, hqq_load_relaxed(deadline)));
    result = sleep_until(&wait->sleep, limit);
    return result < 0 ? result : 0;
}

void hqq_named_wait_end(const struct hqq_named_wait *wait)
{
    if (wait->has_begun)
        hqq_link_learn(wait->sleep.link, wait->what, wait->start_ns);
}

int hqq_named_set_deadline(void *object, int fd, bool reads, bool writes, uint64_t when_ns)
{
    struct hqq_named *named = object;
    if (!hqq_named_enter(named, fd))
        return -EBADF;
    if (reads)
        hqq_store_relaxed(&named->read_deadline_ns, when_ns);
    if (writes)
        hqq_store_relaxed(&named->write_deadline_ns, when_ns);
    hqq_fence_full(); /* edge B4: with the one in hqq_named_arm() */
    if (hqq_load32_relaxed(&named->sleepers) != 0)
        hqq_named_knock(named);
    hqq_named_drop(named);
    return 0;
}
