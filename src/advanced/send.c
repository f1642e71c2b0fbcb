/* Messages as the program sends them: by number, by connection, and plain datagrams. */
#include "advanced/connection.h"
#include "advanced/enter.h"
#include "advanced/message.h"

/* ---- By number --------------------------------------------------------------------------------------------------- */

/* The connection of a number that the program gives. */
static int resolve(struct hqq_advanced *advanced, uint64_t id, struct hqq_message_out *out)
{
    out->on = hqq_connection_of_message(advanced, id);
    out->connection = id;
    return out->on ? 0 : HQQ_ERROR_CONN_NOT_FOUND;
}

int hqq_advanced_send_message(struct hqq_advanced *advanced, uint64_t connection, const void *data, size_t length,
                              uint64_t deadline_ns, uint64_t *ret_message)
{
    struct hqq_message_out out = {.data = data, .length = length};
    *ret_message = 0;
    int result = hqq_advanced_begin_agreed(advanced, 0);
    if (result != 0)
        return result;
    result = resolve(advanced, connection, &out);
    if (result == 0)
        result = hqq_message_send(advanced, &out, deadline_ns, ret_message);
    return hqq_advanced_end(advanced, result);
}

int hqq_advanced_send(struct hqq_advanced *advanced, uint64_t connection, const void *data, size_t length,
                      uint64_t deadline_ns)
{
    uint64_t message;
    return hqq_advanced_send_message(advanced, connection, data, length, deadline_ns, &message);
}

static int send_datagram(struct hqq_advanced *advanced, const void *data, size_t length, uint64_t deadline_ns)
{
    const struct hqq_message_out out = {
        .on = advanced->ground, .flags = HQQ_FRAME_DATAGRAM, .data = data, .length = length};
    uint64_t message;
    if (hqq_advanced_has(advanced, HQQ_FEATURE_ENCRYPTION))
        return HQQ_ERROR_INVALID_OP;
    if (length > advanced->link->tx.buffer_size)
        return HQQ_ERROR_BUFFER_OVERFLOW;
    return length == 0 ? 0 : hqq_message_send(advanced, &out, deadline_ns, &message);
}

int hqq_advanced_send_datagram(struct hqq_advanced *advanced, const void *data, size_t length, uint64_t deadline_ns)
{
    int result = hqq_advanced_begin_agreed(advanced, 0);
    if (result != 0)
        return result;
    return hqq_advanced_end(advanced, send_datagram(advanced, data, length, deadline_ns));
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

/* ---- By connection ----------------------------------------------------------------------------------------------- */

int hqq_connection_send_message(struct hqq_connection *connection, const void *data, size_t length,
                                uint64_t deadline_ns, uint64_t *ret_message)
{
    struct hqq_advanced *advanced = connection->advanced;
    *ret_message = 0;
    int result = hqq_advanced_begin_agreed(advanced, 0);
    if (result != 0)
        return result;
    const struct hqq_message_out out = {connection, connection->id, 0, 0, 0, data, length};
    return hqq_advanced_end(advanced, hqq_message_send(advanced, &out, deadline_ns, ret_message));
}

int hqq_connection_send(struct hqq_connection *connection, const void *data, size_t length, uint64_t deadline_ns)
{
    uint64_t message;
    return hqq_connection_send_message(connection, data, length, deadline_ns, &message);
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
