/* Messages that the program sends piece by piece: each piece is an item of its own, of one message. */
#include <errno.h>

#include <talloc.h>

#include "advanced/connection.h"
#include "advanced/enter.h"
#include "advanced/message.h"
#include "advanced/output.h"

struct hqq_outgoing {
    struct hqq_advanced *advanced;
    struct hqq_connection *on;
    struct hqq_item item; /* of the piece that was written last */
    int failure;          /* why it can only be aborted */
};

int hqq_outgoing_begin(struct hqq_advanced *advanced, uint64_t connection, uint64_t total,
                       struct hqq_outgoing **ret_outgoing)
{
    int result = hqq_advanced_begin_agreed(advanced, 0);
    if (result != 0)
        return result;
    struct hqq_connection *on = hqq_connection_of_message(advanced, connection);
    if (!on)
        result = HQQ_ERROR_CONN_NOT_FOUND;
    else if (total > HQQ_WIRE_MAX || total > advanced->config.max_sent)
        result = HQQ_ERROR_BUFFER_OVERFLOW;
    else if (!hqq_advanced_has(advanced, HQQ_FEATURE_STREAMING)) /* else the peer decides when it comes */
        result = hqq_message_check(advanced, total);
    if (result != 0)
        return hqq_advanced_end(advanced, result);

    struct hqq_outgoing *outgoing = talloc_zero(advanced->memory, struct hqq_outgoing);
    if (!outgoing)
        return hqq_advanced_end(advanced, -ENOMEM);
    outgoing->advanced = advanced;
    outgoing->on = hqq_connection_get(on);
    outgoing->item.chunk = (struct hqq_chunk){
        .connection = connection,
        .message = advanced->next_message++,
        .total = total,
    };
    *ret_outgoing = outgoing;
    return hqq_advanced_end(advanced, 0);
}

static int write(struct hqq_advanced *advanced, struct hqq_outgoing *outgoing, const void *data, size_t length,
                 uint64_t deadline_ns)
{
    struct hqq_item *item = &outgoing->item;
    if (length > item->chunk.total - item->chunk.offset)
        return HQQ_ERROR_INVALID_SIZE;
    if (outgoing->failure != 0)
        return outgoing->failure;
    if (length == 0 && item->chunk.total != 0)
        return 0;
    if (outgoing->on->state != HQQ_CONNECTION_OPEN)
        return HQQ_ERROR_CLOSED;
    item->on = outgoing->on;
    item->data = data;
    item->left = length;
    item->original = item->chunk.total;
    item->patience = deadline_ns == 0 ? HQQ_PATIENCE_AT_ONCE : HQQ_PATIENCE_WAITS;
    int result = hqq_output_queue(advanced, item);
    if (result == 0)
        result = hqq_message_finish(advanced, item, deadline_ns);
    outgoing->failure = result;
    return result;
}

int hqq_outgoing_write(struct hqq_outgoing *outgoing, const void *data, size_t length, uint64_t deadline_ns)
{
    struct hqq_advanced *advanced = outgoing->advanced;
    int result = hqq_advanced_begin_agreed(advanced, 0);
    if (result != 0)
        return result;
    return hqq_advanced_end(advanced, write(advanced, outgoing, data, length, deadline_ns));
}

/* With the lock. */
static void discard(struct hqq_outgoing *outgoing)
{
    hqq_connection_put(outgoing->on);
    talloc_free(outgoing);
}

uint64_t hqq_outgoing_message(const struct hqq_outgoing *outgoing)
{
    return outgoing->item.chunk.message;
}

int hqq_outgoing_finish(struct hqq_outgoing *outgoing, uint64_t deadline_ns)
{
    struct hqq_advanced *advanced = outgoing->advanced;
    int result = hqq_advanced_begin_agreed(advanced, 0);
    if (result != 0)
        return result;
    const struct hqq_chunk *chunk = &outgoing->item.chunk;
    if (chunk->total == 0 && !outgoing->item.is_begun) { /* an empty message has had no piece to go with */
        result = write(advanced, outgoing, NULL, 0, deadline_ns);
        if (!outgoing->item.is_begun)
            outgoing->failure = 0; /* nothing of it has gone: it may be tried again */
    } else if (chunk->offset != chunk->total)
        result = outgoing->failure != 0 ? outgoing->failure : HQQ_ERROR_INVALID_SIZE;
    if (result == 0)
        discard(outgoing);
    return hqq_advanced_end(advanced, result);
}

void hqq_outgoing_abort(struct hqq_outgoing *outgoing)
{
    if (!outgoing || hqq_advanced_begin(outgoing->advanced) != 0)
        return;
    struct hqq_advanced *advanced = outgoing->advanced;
    hqq_output_abort_message(advanced, &outgoing->item);
    discard(outgoing);
    (void)hqq_advanced_end(advanced, 0);
}
