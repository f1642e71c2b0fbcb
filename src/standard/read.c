/* Reading datagrams by copy: one at a time, in batches, and as a stream of bytes. */
#include <string.h>

#include "standard/state.h"

int hqq_link_next_datagram(struct hqq_link *link, bool may_wait, struct hqq_claim *ret_claim, uint64_t *ret_length)
{
    for (;;) {
        int error = 0;
        int result = hqq_link_claim_read(link, 1, may_wait, ret_claim);
        if (__builtin_expect(result != 0, 0))
            return result;
        hqq_ring_prefetch_consume(&link->rx, ret_claim->position);
        enum hqq_content content = hqq_link_content(link, ret_claim->position, ret_length, &error);
        if (__builtin_expect(content == HQQ_CONTENT_DATAGRAM, 1))
            return 0;

        hqq_ring_release(&link->rx, ret_claim->position);
        hqq_link_ring_space(link, 1);
        bool is_tombstone = content == HQQ_CONTENT_TOMBSTONE;
        hqq_add_relaxed(is_tombstone ? &link->counts.tombstones_skipped : &link->counts.invalid_packets, 1);
        if (!is_tombstone)
            hqq_link_fail(link, error);
        hqq_link_end_read(link, ret_claim);
        if (!is_tombstone)
            return error;
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

static int read_datagram(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length, bool may_wait)
{
    struct hqq_claim claim;
    uint64_t length;
    int result = hqq_link_next_datagram(link, may_wait, &claim, &length);
    if (__builtin_expect(result != 0, 0))
        return result;
    result = copy_out(link, data, capacity, claim.position, length);
    hqq_ring_release(&link->rx, claim.position);
    hqq_link_ring_space(link, 1);
    hqq_link_count_read(link, 1, length);
    hqq_link_end_read(link, &claim);
    *ret_length = length;
    return result;
}

/* Fetches the next datagram whole into the remainder. Called with the remainder's lock held. */
static int refill(struct hqq_link *link, bool may_wait)
{
    struct hqq_remainder *rest = &link->remainder;
    size_t length;
    int result = read_datagram(link, rest->data, link->rx.buffer_size, &length, may_wait);
    if (result != 0)
        return result;
    rest->at = 0;
    rest->length = length;
    return 0;
}

/* Called with the remainder's lock held. */
static int take_from_remainder(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length, bool may_wait)
{
    struct hqq_remainder *rest = &link->remainder;
    if (rest->at == rest->length) {
        int result = refill(link, may_wait);
        if (result != 0)
            return result;
    }
    size_t left = rest->length - rest->at;
    size_t length = left < capacity ? left : capacity;
    if (length != 0)
        memcpy(data, rest->data + rest->at, length);
    rest->at += length;
    *ret_length = length;
    return 0;
}

static int read_stream(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length, bool may_wait)
{
    int result = hqq_link_guard(link);
    if (result == HQQ_ERROR_FORKED) /* the lock may be held by a thread that the child does not have */
        return hqq_link_fail(link, result);

    hqq_link_enter(link);
    if (may_wait) {
        pthread_mutex_lock(&link->remainder.lock);
    } else if (pthread_mutex_trylock(&link->remainder.lock) != 0) {
        hqq_link_leave(link);
        hqq_add_relaxed(&link->counts.read_timeouts, 1);
        return HQQ_ERROR_WOULD_BLOCK;
    }
    result = take_from_remainder(link, data, capacity, ret_length, may_wait);
    pthread_mutex_unlock(&link->remainder.lock);
    hqq_link_leave(link);
    return result;
}

static int read_one(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length, bool may_wait)
{
    if (__builtin_expect(link->is_stream_read, 0))
        return read_stream(link, data, capacity, ret_length, may_wait);
    return read_datagram(link, data, capacity, ret_length, may_wait);
}

int hqq_link_read(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length)
{
    return read_one(link, data, capacity, ret_length, true);
}

int hqq_link_try_read(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length)
{
    return read_one(link, data, capacity, ret_length, false);
}

int hqq_link_read_with(struct hqq_link *link, hqq_read_fn *look, void *arg)
{
    struct hqq_slot slot;
    int result = hqq_link_borrow(link, &slot);
    if (result != 0)
        return result;
    result = look(slot.data, slot.length, arg);
    (void)hqq_link_release(link, &slot);
    return result;
}

/* What reading a run of claimed slots came to. */
struct run {
    size_t read;
    uint64_t bytes;
    int result;
};

/* Takes what is good of a claimed run; messages has room for all of it. */
static struct run take_run(struct hqq_link *link, struct hqq_message *messages, const struct hqq_claim *claim)
{
    struct run run = {0};
    for (uint64_t i = 0; i < claim->count; i++) {
        uint64_t position = claim->position + i;
        uint64_t length = 0;
        int error = 0;
        hqq_ring_prefetch_consume(&link->rx, position);
        switch (hqq_link_content(link, position, &length, &error)) {
        case HQQ_CONTENT_DATAGRAM:
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
    *ret_read = 0;
    if (link->is_stream_read)
        return hqq_link_fail(link, HQQ_ERROR_INVALID_OP);
    if (count == 0)
        return 0;

    struct run run;
    do {
        struct hqq_claim claim;
        int result = hqq_link_claim_read(link, count < link->rx.count ? count : link->rx.count, true, &claim);
        if (result != 0)
            return result;
        run = take_run(link, messages, &claim);
        hqq_link_ring_space(link, claim.count);
        hqq_link_count_read(link, run.read, run.bytes);
        hqq_link_end_read(link, &claim);
    } while (run.read == 0); /* nothing but tombstones */
    *ret_read = run.read;
    return run.result;
}
