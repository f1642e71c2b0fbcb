/* Reading datagrams by copy: one at a time, and in batches. */
#include <string.h>

#include "standard/state.h"

/* Gives back a claimed slot that held no datagram. 0 for a tombstone, else the error that the call ends with. */
static int drop(struct hqq_link *link, struct hqq_call *call, enum hqq_content content, int error)
{
    bool is_tombstone = content == HQQ_CONTENT_TOMBSTONE;
    hqq_ring_release(&link->rx, call->position);
    hqq_link_ring_space(link, 1);
    hqq_add_relaxed(is_tombstone ? &link->counts.tombstones_skipped : &link->counts.invalid_packets, 1);
    if (is_tombstone)
        return 0;
    hqq_link_fail(link, error);
    hqq_link_end_read(link, call);
    return error;
}

int hqq_link_next_datagram(struct hqq_link *link, struct hqq_call *call, uint64_t *ret_length)
{
    int result = hqq_link_guard(link);
    if (__builtin_expect(result != 0, 0))
        return hqq_link_fail(link, result);

    for (uint64_t skipped = 0;; skipped++) {
        int error = 0;
        if (__builtin_expect(skipped == link->rx.count, 0)) { /* a peer that writes nothing else must not hold us */
            skipped = 0;
            result = hqq_link_may_read_on(link, call);
            if (result != 0)
                return result;
        }
        result = hqq_link_claim_read(link, call, 1);
        if (__builtin_expect(result != 0, 0))
            return result;
        enum hqq_content content = hqq_link_content(link, call->position, ret_length, &error);
        if (__builtin_expect(content == HQQ_CONTENT_DATAGRAM, 1)) {
            hqq_ring_prefetch_consume(&link->rx, call->position, *ret_length);
            return 0;
        }
        result = drop(link, call, content, error);
        if (result != 0)
            return result;
    }
}

/* Copies what fits. Counts a datagram that does not. */
static int copy_out(struct hqq_link *link, void *data, size_t capacity, uint64_t position, uint64_t length)
{
    bool fits = length <= capacity;
    size_t stored = fits ? length : capacity;
    if (__builtin_expect(stored != 0, 1)) /* data may be NULL where capacity is 0 */
        memcpy(data, hqq_ring_buffer(&link->rx, position), stored);
    if (__builtin_expect(fits, 1))
        return 0;
    hqq_add_relaxed(&link->counts.truncated, 1);
    return HQQ_ERROR_TRUNCATED;
}

static int read_one(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length, bool may_wait)
{
    if (__builtin_expect(link->is_stream_read, 0))
        return hqq_link_read_stream(link, data, capacity, ret_length, may_wait);

    struct hqq_call call = {.may_wait = may_wait};
    uint64_t length;
    int result = hqq_link_next_datagram(link, &call, &length);
    if (__builtin_expect(result != 0, 0))
        return result;
    result = copy_out(link, data, capacity, call.position, length);
    hqq_ring_release(&link->rx, call.position);
    hqq_link_ring_space(link, 1);
    hqq_link_count_read(link, 1, length);
    hqq_link_end_read(link, &call);
    *ret_length = length;
    return result;
}

int hqq_link_read(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length)
{
    return read_one(link, data, capacity, ret_length, true);
}

int hqq_link_try_read(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length)
{
    return read_one(link, data, capacity, ret_length, false);
}

/* What reading a run of claimed slots came to. */
struct run {
    size_t read;
    uint64_t bytes;
    int result;
};

/* Takes what is good of a claimed run; messages has room for all of it. */
static struct run take_run(struct hqq_link *link, struct hqq_message *messages, const struct hqq_call *call)
{
    struct run run = {0};
    for (uint64_t i = 0; i < call->count; i++) {
        uint64_t position = call->position + i;
        uint64_t length = 0;
        int error = 0;
        switch (hqq_link_content(link, position, &length, &error)) {
        case HQQ_CONTENT_DATAGRAM:
            hqq_ring_prefetch_consume(&link->rx, position, length);
            if (copy_out(link, messages[run.read].data, messages[run.read].capacity, position, length) != 0)
                run.result = HQQ_ERROR_TRUNCATED;
            messages[run.read].length = length;
            run.read++;
            run.bytes += length;
            break;
        case HQQ_CONTENT_TOMBSTONE:
            hqq_add_relaxed(&link->counts.tombstones_skipped, 1);
            break;
        case HQQ_CONTENT_INVALID:
        default:
            hqq_add_relaxed(&link->counts.invalid_packets, 1);
            break;
        }
        hqq_ring_release(&link->rx, position);
    }
    return run;
}

int hqq_link_read_batch(struct hqq_link *link, struct hqq_message *messages, size_t count, size_t *ret_read)
{
    struct hqq_call call = {.may_wait = true};
    struct run run = {0};
    *ret_read = 0;
    int result = hqq_link_guard(link);
    if (result == 0 && link->is_stream_read)
        result = HQQ_ERROR_INVALID_OP;
    if (result != 0)
        return hqq_link_fail(link, result);
    if (count == 0)
        return 0;

    for (uint64_t skipped = 0;;) {
        result = hqq_link_claim_read(link, &call, count < link->rx.count ? count : link->rx.count);
        if (result != 0)
            return result;
        run = take_run(link, messages, &call);
        hqq_link_ring_space(link, call.count);
        hqq_link_count_read(link, run.read, run.bytes);
        if (run.read != 0)
            break;
        skipped += call.count; /* there was nothing but tombstones: as in hqq_link_next_datagram() */
        if (skipped >= link->rx.count) {
            skipped = 0;
            result = hqq_link_may_read_on(link, &call);
            if (result != 0)
                return result;
        }
    }
    hqq_link_end_read(link, &call);
    *ret_read = run.read;
    return run.result;
}
