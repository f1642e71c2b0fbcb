/* Writing datagrams by copy: one at a time, and in batches. */
#include <string.h>

#include "standard/state.h"

static int write_one(struct hqq_link *link, const void *data, size_t length, bool may_wait)
{
    struct hqq_call call = {.may_wait = may_wait};
    int result = hqq_link_guard(link);
    if (__builtin_expect(result == 0 && length > link->tx.buffer_size, 0))
        result = HQQ_ERROR_BUFFER_OVERFLOW;
    if (__builtin_expect(result != 0, 0))
        return hqq_link_fail(link, result);
    if (__builtin_expect(length == 0, 0))
        return 0;

    result = hqq_link_claim_write(link, &call, 1);
    if (__builtin_expect(result != 0, 0))
        return result;
    hqq_ring_prefetch_produce(&link->tx, call.position, length);
    memcpy(hqq_ring_buffer(&link->tx, call.position), data, length);
    hqq_link_publish(link, call.position, HQQ_OPCODE_COPY, length);
    hqq_link_ring_data(link, 1);
    hqq_ring_note_depth(&link->tx, call.position + 1);
    hqq_link_count_written(link, 1, length);
    hqq_link_end_write(link, &call);
    return 0;
}

int hqq_link_write(struct hqq_link *link, const void *data, size_t length)
{
    return write_one(link, data, length, true);
}

int hqq_link_try_write(struct hqq_link *link, const void *data, size_t length)
{
    return write_one(link, data, length, false);
}

/* Publishes one claimed run of slots. Returns the bytes. */
static uint64_t publish_run(struct hqq_link *link, const struct hqq_message *messages, const struct hqq_call *call)
{
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < call->count; i++) {
        uint64_t position = call->position + i;
        size_t length = messages[i].length;
        hqq_ring_prefetch_produce(&link->tx, position, length);
        memcpy(hqq_ring_buffer(&link->tx, position), messages[i].data, length);
        hqq_link_publish(link, position, HQQ_OPCODE_COPY, length);
        bytes += length;
    }
    return bytes;
}

static int check_batch(const struct hqq_link *link, const struct hqq_message *messages, size_t count)
{
    int result = hqq_link_guard(link);
    for (size_t i = 0; i < count && result == 0; i++) {
        if (messages[i].length == 0)
            result = HQQ_ERROR_INVALID_SIZE;
        else if (messages[i].length > link->tx.buffer_size)
            result = HQQ_ERROR_BUFFER_OVERFLOW;
    }
    return result;
}

int hqq_link_write_batch(struct hqq_link *link, const struct hqq_message *messages, size_t count, size_t *ret_written)
{
    struct hqq_call call = {.may_wait = true};
    *ret_written = 0;
    int result = check_batch(link, messages, count);
    if (result != 0)
        return hqq_link_fail(link, result);

    while (*ret_written < count) {
        uint64_t left = count - *ret_written;
        result = hqq_link_claim_write(link, &call, left < link->tx.count ? left : link->tx.count);
        if (result != 0)
            return result;
        uint64_t bytes = publish_run(link, messages + *ret_written, &call);
        hqq_link_ring_data(link, call.count);
        hqq_ring_note_depth(&link->tx, call.position + call.count);
        hqq_link_count_written(link, call.count, bytes);
        *ret_written += call.count;
        hqq_link_pass_on_write(link, &call); /* now: there may be many waits to come */
    }
    hqq_link_end_write(link, &call);
    return 0;
}
