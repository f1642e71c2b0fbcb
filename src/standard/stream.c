/*
 * Reading as a stream of bytes (HQQ_LINK_STREAM_READ): a datagram that does not fit stays borrowed, and the next read
 * goes on with it. Readers take turns by a lock; whoever waits for it keeps to its own deadline.
 */
#include <string.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "standard/state.h"

enum { FREE = 0, TAKEN = 1, WANTED = 2 };

/* A deadline that another thread moves is noticed within this time. */
#define LOCK_LOOK_NS (10 * HQQ_NS_PER_MS)

static int lock(struct hqq_link *link, struct hqq_call *call)
{
    hqq_atomic_u32 *word = &link->remainder.lock;
    if (hqq_cas32_acquire(word, FREE, TAKEN))
        return 0;
    while (hqq_swap32_acq_rel(word, WANTED) != FREE) {
        int result = hqq_link_guard(link);
        if (result != 0)
            return hqq_link_fail(link, result);
        result = hqq_link_may_read_on(link, call);
        if (result != 0)
            return result;
        uint64_t now = hqq_clock_ns();
        uint64_t look = now + LOCK_LOOK_NS;
        uint64_t until = hqq_link_read_until(link, call, now);
        hqq_sys.futex_wait(word, WANTED, until < look ? until : look);
    }
    return 0;
}

static void unlock(struct hqq_link *link)
{
    hqq_atomic_u32 *word = &link->remainder.lock;
    if (hqq_swap32_acq_rel(word, FREE) == WANTED)
        hqq_sys.futex_wake(word, 1);
}

/* Has a datagram at hand, not yet read to its end. */
static int fetch(struct hqq_link *link, struct hqq_call *call)
{
    struct hqq_remainder *rest = &link->remainder;
    if (rest->is_held)
        return 0;
    int result = hqq_link_next_datagram(link, call, &rest->length);
    if (result != 0)
        return result;
    hqq_link_count_read(link, 1, rest->length);
    hqq_link_count_taken(link);
    rest->is_held = true;
    rest->position = call->position;
    rest->at = 0;
    return 0;
}

static size_t take(struct hqq_link *link, void *data, size_t capacity)
{
    struct hqq_remainder *rest = &link->remainder;
    uint64_t left = rest->length - rest->at;
    size_t length = left < capacity ? left : capacity;
    if (length != 0)
        memcpy(data, hqq_ring_buffer(&link->rx, rest->position) + rest->at, length);
    rest->at += length;
    if (rest->at == rest->length) {
        rest->is_held = false;
        hqq_link_count_returned(link);
        hqq_ring_release(&link->rx, rest->position);
        hqq_link_ring_space(link, 1);
    }
    return length;
}

int hqq_link_read_stream(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length, bool may_wait)
{
    struct hqq_call call = {.may_wait = may_wait};
    int result = hqq_link_guard(link);
    if (result != 0)
        return hqq_link_fail(link, result);

    hqq_link_enter(link); /* it may wait for the lock, and must still unlock once the call for a datagram has ended */
    result = lock(link, &call);
    if (result == 0) {
        result = fetch(link, &call);
        if (result == 0)
            *ret_length = take(link, data, capacity);
        unlock(link);
        if (result == 0)
            hqq_link_end_read(link, &call);
    }
    hqq_link_leave(link);
    return result;
}
