/*
 * select and pselect: adapters of the wait engine (waiting.h). Sets may be larger than fd_set: they are words of bits,
 * as long as count says. What the caller asked for is kept on the stack for as many descriptors as fd_set has, and
 * beyond that not looked at.
 */
#include <errno.h>
#include <string.h>
#include <sys/time.h>

#include <hqq/link.h>
#include <hqq/socket.h>

#include "endpoint/adopt.h"
#include "endpoint/life.h"
#include "endpoint/ready.h"
#include "hqqsock/named.h"
#include "platform/clock.h"
#include "runtime/cursor.h"
#include "runtime/filter.h"
#include "runtime/libc.h"
#include "socket/epoll_set.h"
#include "socket/epoll_tree.h"
#include "socket/face.h"
#include "socket/poll.h"
#include "socket/waiting.h"

#define WORD_BITS 64

/* Sets of so many words are kept; larger ones only lend their first part. */
#define KEPT_WORDS (FD_SETSIZE / WORD_BITS)

struct select_wait {
    struct hqq_waiting wait; /* first */
    int count;
    bool is_pselect; /* the program's call */
    fd_set *sets[3];
    size_t words;                   /* of each set that the caller has */
    size_t kept;                    /* of these are copied, and looked at */
    uint64_t wanted[3][KEPT_WORDS]; /* by the caller: each call of the kernel's puts its answer in its place */
    uint64_t marked[KEPT_WORDS];
};

static uint64_t *words_of(fd_set *set)
{
    return (uint64_t *)(void *)set;
}

static struct hqq_endpoint *next(struct hqq_waiting *wait, size_t *place, const struct hqq_membership **ret_edge)
{
    struct select_wait *select = (struct select_wait *)(void *)wait;
    *ret_edge = NULL;
    while (*place < select->kept * WORD_BITS && *place < (size_t)select->count) {
        uint64_t word = select->wanted[0][*place / WORD_BITS] >> *place % WORD_BITS;
        if (word == 0) {
            *place = (*place / WORD_BITS + 1) * WORD_BITS;
            continue;
        }
        *place += (size_t)__builtin_ctzll(word) + 1;
        struct hqq_endpoint *endpoint = hqq_endpoint_find((int)*place - 1);
        if (endpoint)
            return endpoint;
    }
    return NULL;
}

static void mark(struct hqq_waiting *wait, size_t place)
{
    struct select_wait *select = (struct select_wait *)(void *)wait;
    select->marked[(place - 1) / WORD_BITS] |= UINT64_C(1) << (place - 1) % WORD_BITS;
}

static int call(struct hqq_waiting *wait, const struct timespec *span)
{
    const struct select_wait *select = (const struct select_wait *)(void *)wait;
    for (int i = 0; i < 3; i++) {
        if (select->sets[i] && !hqq_app_write(select->sets[i], select->wanted[i], select->kept * sizeof(uint64_t))) {
            errno = EFAULT;
            return -1;
        }
    }
    if (select->is_pselect || !hqq_filter_is_set())
        return hqq_libc.pselect(select->count, select->sets[0], select->sets[1], select->sets[2], span, wait->mask);
    /* A filter may allow nothing but the program's own call. */
    struct timeval left = {0};
    if (span)
        left = (struct timeval){.tv_sec = span->tv_sec, .tv_usec = span->tv_nsec / 1000};
    return hqq_libc.select(select->count, select->sets[0], select->sets[1], select->sets[2], span ? &left : NULL);
}

/* The kernel has been asked with no time-out, so what was asked for is gone from the set. */
static int merge(struct hqq_waiting *wait, int found)
{
    struct select_wait *select = (struct select_wait *)(void *)wait;
    uint64_t *reading = words_of(select->sets[0]);
    for (size_t i = 0; i < select->kept; i++) {
        found += __builtin_popcountll(select->marked[i] & ~reading[i]);
        reading[i] |= select->marked[i];
    }
    return found;
}

static const struct hqq_waiting_adapter adapter = {.next = next, .mark = mark, .call = call, .merge = merge};

/* True if the caller waits for input of endpoints, or of epoll sets that have some; then the wait can be run. */
static bool begin(struct select_wait *select, int count, fd_set *reading, fd_set *writing, fd_set *special)
{
    *select = (struct select_wait){.wait.adapter = &adapter, .count = count, .sets = {reading, writing, special}};
    bool has = false;
    /* What the kernel might find wrong is looked at with a reason only. */
    if (count <= 0 || !reading || (!hqq_endpoint_first() && !hqq_adopt_has_candidates()))
        return false;
    select->words = ((size_t)count + WORD_BITS - 1) / WORD_BITS;
    select->kept = select->words < KEPT_WORDS ? select->words : KEPT_WORDS;
    for (int i = 0; i < 3; i++) {
        if (select->sets[i] && hqq_is_unreadable(select->sets[i], select->words * sizeof(uint64_t)))
            return false;
    }
    for (int i = 0; i < 3; i++) {
        if (select->sets[i])
            memcpy(select->wanted[i], select->sets[i], select->kept * sizeof(uint64_t));
    }
    select->wait.asks_once = select->kept < select->words;
    for (size_t i = 0; i < select->kept; i++) {
        for (uint64_t word = select->wanted[0][i]; word != 0; word &= word - 1) {
            int fd = (int)(i * WORD_BITS) + __builtin_ctzll(word);
            struct hqq_object *object = hqq_fd_get(fd);
            select->wait.has_unknown |= hqq_adopt_may_become(object);
            has |= object && object->ops == &hqq_endpoint_ops;
            if (object && object->ops == &hqq_epoll_ops && hqq_epoll_tree_is_polled(object, fd)) {
                has = true;
                if (hqq_epoll_tree_has_data(fd)) {
                    mark(&select->wait, (size_t)fd + 1);
                    select->wait.is_now = true;
                }
            }
        }
    }
    return has || select->wait.has_unknown;
}

static bool has_named(int count, fd_set *reading, fd_set *writing, fd_set *special)
{
    fd_set *const sets[3] = {reading, writing, special};
    if (__builtin_expect(hqq_load32_relaxed(&hqq_named_count) == 0, 1) || count <= 0 || count > FD_SETSIZE)
        return false;
    for (int i = 0; i < 3; i++) {
        for (int fd = 0; fd < count && sets[i] && !hqq_is_unreadable(sets[i], ((size_t)count + 63) / 64 * 8); fd++) {
            if (FD_ISSET(fd, sets[i]) && hqq_named_find(fd))
                return true;
        }
    }
    return false;
}

int hqq_pselect(int count, fd_set *reading, fd_set *writing, fd_set *special, const struct timespec *timeout,
                const sigset_t *mask)
{
    struct select_wait select;
    if (!hqq_waiting_is_valid(timeout))
        return hqq_libc.pselect(count, reading, writing, special, timeout, mask);
    if (__builtin_expect(has_named(count, reading, writing, special), 0))
        return hqq_face(hqq_named_pselect(count, reading, writing, special, timeout, mask, hqq_poll_sockets));
    if (!begin(&select, count, reading, writing, special))
        return hqq_libc.pselect(count, reading, writing, special, timeout, mask);
    select.is_pselect = true;
    select.wait.mask = mask;
    select.wait.is_now |= timeout && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
    select.wait.until_ns = select.wait.is_now ? 0 : hqq_deadline_in(timeout);
    return hqq_waiting_run(&select.wait);
}

/* Linux tells what is left. */
static void tell_left(struct timeval *timeout, uint64_t until_ns)
{
    struct timespec left = hqq_timespec(hqq_clock_left(until_ns));
    timeout->tv_sec = left.tv_sec;
    timeout->tv_usec = left.tv_nsec / 1000;
}

int hqq_select(int count, fd_set *reading, fd_set *writing, fd_set *special, struct timeval *timeout)
{
    struct select_wait select;
    bool is_bad =
        timeout && (hqq_is_unreadable(timeout, sizeof(*timeout)) || timeout->tv_sec < 0 || timeout->tv_usec < 0);
    bool is_named = !is_bad && has_named(count, reading, writing, special);
    if (is_bad || (!is_named && !begin(&select, count, reading, writing, special)))
        return hqq_libc.select(count, reading, writing, special, timeout);
    uint64_t until = HQQ_FOREVER;
    bool is_now = timeout && timeout->tv_sec == 0 && timeout->tv_usec == 0;
    if (timeout) {
        struct timespec span = {.tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000,
                                .tv_nsec = (long)(timeout->tv_usec % 1000000) * 1000};
        until = hqq_deadline_in(&span);
    }
    int result;
    if (is_named) {
        struct timespec left = {0};
        result = hqq_face(hqq_named_pselect(count, reading, writing, special,
                                            is_now ? &left : hqq_waiting_span(until, &left), NULL, hqq_poll_sockets));
    } else {
        select.wait.is_now |= is_now;
        select.wait.until_ns = until;
        result = hqq_waiting_run(&select.wait);
    }
    int saved = errno;
    if (timeout && !is_now)
        tell_left(timeout, until);
    errno = saved;
    return result;
}
