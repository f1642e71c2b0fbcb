/*
 * How far a ring may be read: the one function that turns a notify word and w into a bound. What lies before it was sent;
 * what lies beyond is withdrawn, or may be.
 */
#ifndef HQQ_CHANNEL_BOUND_H
#define HQQ_CHANNEL_BOUND_H

#include "channel/notify.h"

static inline uint64_t hqq_bound_of(uint64_t word, uint64_t r, uint64_t w)
{
    if (__builtin_expect(hqq_notify_state(word) == HQQ_POLLING, 1))
        return w;
    return hqq_notify_is_withdrawn(word) ? hqq_notify_place(word, r) : hqq_notify_limit(word, r);
}

#endif
