#include "advanced/message.h"

#include <errno.h>
#include <string.h>

#include <talloc.h>

#include "advanced/compress.h"
#include "advanced/connection.h"
#include "advanced/inbox.h"
#include "advanced/output.h"
#include "advanced/wait.h"

/* ---- Sending ------------------------------------------------------------------------------------------------------- */

int hqq_message_check(const struct hqq_advanced *advanced, uint64_t length)
{
    uint64_t slot = advanced->link->tx.buffer_size - hqq_advanced_overhead(advanced->session.is_sealing);
    if (length > advanced->session.peer_max_message)
        return HQQ_ERROR_BUFFER_OVERFLOW;
    if (length > slot && !hqq_advanced_has(advanced, HQQ_FEATURE_LARGE_COPY))
        return HQQ_ERROR_BUFFER_OVERFLOW;
    return 0;
}

static struct hqq_item item_of(struct hqq_advanced *advanced, const struct hqq_message_out *out)
{
    return (struct hqq_item){
        .on = out->on,
        .chunk =
            {
                .connection = out->connection,
                .message = out->message != 0 ? out->message : advanced->next_message++,
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
    if (!hqq_advanced_has(advanced, HQQ_FEATURE_COMPRESSION) || item->left < advanced->config.compress_threshold)
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
    if (result == 0)
        result = check_open(out);
    if (result != 0)
        return result;
    struct hqq_item item = item_of(advanced, out);
    *ret_message = item.chunk.message;
    hqq_connection_get(out->on);
    void *packed = compress(advanced, &item);
    result = check_open(out);
    if (result == 0)
        result = hqq_output_queue(advanced, &item);
    if (result == 0) {
        result = hqq_output_finish(advanced, &item, deadline_ns);
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
    item->is_posted = true;
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

/* ---- By number ----------------------------------------------------------------------------------------------------- */

/* The connection of a number that the program gives. */
static int resolve(struct hqq_advanced *advanced, uint64_t id, struct hqq_message_out *out)
{
    out->on = hqq_connection_of_message(advanced, id);
    out->connection = id;
    return out->on ? 0 : HQQ_ERROR_CONN_NOT_FOUND;
}

int hqq_advanced_send(struct hqq_advanced *advanced, uint64_t connection, const void *data, size_t length,
                      uint64_t deadline_ns)
{
    struct hqq_message_out out = {.data = data, .length = length};
    uint64_t message;
    int result = hqq_advanced_begin_agreed(advanced, 0);
    if (result != 0)
        return result;
    result = resolve(advanced, connection, &out);
    if (result == 0)
        result = hqq_message_send(advanced, &out, deadline_ns, &message);
    return hqq_advanced_end(advanced, result);
}

int hqq_advanced_post(struct hqq_advanced *advanced, uint64_t connection, const void *data, size_t length)
{
    struct hqq_message_out out = {.data = data, .length = length};
    int result = hqq_advanced_begin_agreed(advanced, 0);
    if (result != 0)
        return result;
    result = resolve(advanced, connection, &out);
    if (result == 0)
        result = hqq_message_post(advanced, &out);
    return hqq_advanced_end(advanced, result);
}

int hqq_advanced_receive(struct hqq_advanced *advanced, uint64_t deadline_ns, struct hqq_received *ret_received)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    if (!advanced->ground->inbox.first && !advanced->session.is_done)
        return hqq_advanced_end(advanced, advanced->ended != 0 ? advanced->ended : HQQ_ERROR_INVALID_OP);
    return hqq_advanced_end(advanced, hqq_inbox_receive(advanced, advanced->ground, deadline_ns, ret_received));
}

void hqq_received_free(struct hqq_advanced *advanced, struct hqq_received *received)
{
    if (!received->data || hqq_advanced_begin(advanced) != 0)
        return;
    talloc_free(received->data);
    received->data = NULL;
    received->length = 0;
    (void)hqq_advanced_end(advanced, 0);
}

/* ---- By connection ------------------------------------------------------------------------------------------------- */

int hqq_connection_send(struct hqq_connection *connection, const void *data, size_t length, uint64_t deadline_ns)
{
    struct hqq_advanced *advanced = connection->advanced;
    uint64_t message;
    int result = hqq_advanced_begin_agreed(advanced, 0);
    if (result != 0)
        return result;
    const struct hqq_message_out out = {connection, connection->id, 0, 0, 0, data, length};
    return hqq_advanced_end(advanced, hqq_message_send(advanced, &out, deadline_ns, &message));
}

int hqq_connection_post(struct hqq_connection *connection, const void *data, size_t length)
{
    struct hqq_advanced *advanced = connection->advanced;
    int result = hqq_advanced_begin_agreed(advanced, 0);
    if (result != 0)
        return result;
    const struct hqq_message_out out = {connection, connection->id, 0, 0, 0, data, length};
    return hqq_advanced_end(advanced, hqq_message_post(advanced, &out));
}

int hqq_connection_receive(struct hqq_connection *connection, uint64_t deadline_ns, struct hqq_received *ret_received)
{
    struct hqq_advanced *advanced = connection->advanced;
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    return hqq_advanced_end(advanced, hqq_inbox_receive(advanced, connection, deadline_ns, ret_received));
}
