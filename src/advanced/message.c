#include "advanced/message.h"

#include <errno.h>
#include <string.h>

#include <talloc.h>

#include "advanced/compress.h"
#include "advanced/connection.h"
#include "advanced/output.h"
#include "advanced/wait.h"
#include "advanced/wake.h"

int hqq_message_check(const struct hqq_advanced *advanced, uint64_t length)
{
    uint64_t slot = advanced->link->tx.buffer_size - hqq_advanced_overhead(advanced->session.is_sealing);
    if (length > advanced->session.peer_max_message || length > advanced->config.max_sent)
        return HQQ_ERROR_BUFFER_OVERFLOW;
    if (length > slot && !hqq_advanced_has(advanced, HQQ_FEATURE_LARGE_COPY))
        return HQQ_ERROR_BUFFER_OVERFLOW;
    return 0;
}

static bool is_settled(void *arg)
{
    const struct hqq_item *item = arg;
    return item->state != HQQ_ITEM_QUEUED;
}

int hqq_message_finish(struct hqq_advanced *advanced, struct hqq_item *item, uint64_t deadline_ns)
{
    const struct hqq_await wait = {
        .object = item,
        .is_ready = is_settled,
        .arg = item,
        .kind = HQQ_AWAIT_SLOT,
        .deadline_ns = deadline_ns,
    };
    int result = is_settled(item) ? 0 : hqq_advanced_wait(advanced, &wait);
    if (item->state == HQQ_ITEM_QUEUED)
        hqq_output_cancel(advanced, item, result);
    return item->state == HQQ_ITEM_DONE ? 0 : item->result;
}

static struct hqq_item item_of(struct hqq_advanced *advanced, const struct hqq_message_out *out)
{
    bool has_id = out->message != 0 || (out->flags & HQQ_FRAME_DATAGRAM) != 0;
    return (struct hqq_item){
        .on = out->on,
        .chunk =
            {
                .connection = out->connection,
                .message = has_id ? out->message : advanced->next_message++,
                .total = out->length,
                .flags = out->flags,
                .method = out->method,
            },
        .data = out->data,
        .left = out->length,
        .original = out->length,
    };
}

/* Compresses a message if that is agreed on and gains something. The copy is the caller's to free; NULL: send it as it is.
 * Gives the lock up meanwhile. */
static void *compress(struct hqq_advanced *advanced, struct hqq_item *item)
{
    if (!hqq_advanced_has(advanced, HQQ_FEATURE_COMPRESSION) || item->left < advanced->config.compress_threshold ||
        (item->chunk.flags & HQQ_FRAME_DATAGRAM) != 0)
        return NULL;
    size_t capacity = hqq_compress_bound(item->left);
    unsigned char *packed = talloc_size(advanced->memory, capacity);
    if (!packed)
        return NULL;
    hqq_advanced_unlock(advanced);
    size_t size = hqq_compress(item->data, item->left, packed, capacity);
    hqq_advanced_lock(advanced);
    if (size == 0) {
        talloc_free(packed);
        return NULL;
    }
    advanced->stats.compressed_messages++;
    advanced->stats.compressed_before += item->left;
    advanced->stats.compressed_after += size;
    item->data = packed;
    item->left = item->chunk.total = size;
    item->chunk.flags |= HQQ_FRAME_COMPRESSED;
    return packed;
}

/* Nothing may be queued any more on a connection that was closed while the lock was given up. */
static int check_open(const struct hqq_message_out *out)
{
    if (out->on->state == HQQ_CONNECTION_OPEN)
        return 0;
    return out->on->advanced->ended != 0 ? out->on->advanced->ended : HQQ_ERROR_CLOSED;
}

int hqq_message_send(struct hqq_advanced *advanced, const struct hqq_message_out *out, uint64_t deadline_ns,
                     uint64_t *ret_message)
{
    int result = hqq_message_check(advanced, out->length);
    *ret_message = 0;
    if (result == 0)
        result = check_open(out);
    if (result != 0)
        return result;
    struct hqq_item item = item_of(advanced, out);
    item.patience = deadline_ns == 0 ? HQQ_PATIENCE_AT_ONCE : HQQ_PATIENCE_WAITS;
    *ret_message = item.chunk.message;
    hqq_connection_get(out->on);
    void *packed = compress(advanced, &item);
    result = check_open(out);
    if (result == 0)
        result = hqq_output_queue(advanced, &item);
    if (result == 0) {
        result = hqq_message_finish(advanced, &item, deadline_ns);
        if (result != 0)
            hqq_output_abort_message(advanced, &item);
    }
    talloc_free(packed);
    hqq_connection_put(out->on);
    return result;
}

/* A message in memory of its own, with what it is sent from. */
static struct hqq_item *copy(struct hqq_advanced *advanced, const struct hqq_message_out *out)
{
    struct hqq_item *item = talloc(advanced->memory, struct hqq_item);
    void *data = item && out->length != 0 ? talloc_memdup(item, out->data, out->length) : NULL;
    if (!item || (!data && out->length != 0)) {
        talloc_free(item);
        return NULL;
    }
    *item = item_of(advanced, out);
    item->data = data;
    item->patience = HQQ_PATIENCE_POSTED;
    return item;
}

int hqq_message_post(struct hqq_advanced *advanced, const struct hqq_message_out *out)
{
    int result = hqq_message_check(advanced, out->length);
    if (result == 0)
        result = check_open(out);
    if (result == 0 && out->length > advanced->config.max_posted_bytes - advanced->posted_bytes)
        result = HQQ_ERROR_TOO_MANY_BYTES;
    if (result != 0)
        return result;
    struct hqq_item *item = copy(advanced, out);
    if (!item)
        return -ENOMEM;
    advanced->posted_bytes += out->length;
    hqq_connection_get(out->on);
    (void)talloc_reparent(advanced->memory, item, compress(advanced, item));
    result = check_open(out);
    if (result == 0)
        result = hqq_output_queue(advanced, item);
    if (result != 0) {
        advanced->posted_bytes -= out->length;
        talloc_free(item);
    } else {
        hqq_advanced_wake_one(advanced); /* whoever drives may have to look at a rate, or for room, now */
    }
    hqq_connection_put(out->on);
    return result;
}
