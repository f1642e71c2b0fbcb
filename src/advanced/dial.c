/* Connections as the program dials, accepts, closes and describes them. */
#include "advanced/connect.h"
#include "advanced/enter.h"
#include "advanced/wait.h"

/* ---- Dialling and accepting -------------------------------------------------------------------------------------- */

static bool is_opened(void *arg)
{
    const struct hqq_connection *connection = arg;
    return connection->state != HQQ_CONNECTION_OPENING;
}

int hqq_advanced_dial(struct hqq_advanced *advanced, uint64_t deadline_ns, struct hqq_connection **ret_connection)
{
    struct hqq_connection *connection;
    int result = hqq_advanced_begin_agreed(advanced, 0);
    if (result != 0)
        return result;
    result = hqq_connect_begin(advanced, &connection);
    if (result != 0)
        return hqq_advanced_end(advanced, result);
    const struct hqq_await wait = {
        .object = connection,
        .is_ready = is_opened,
        .arg = connection,
        .kind = HQQ_AWAIT_PEER,
        .deadline_ns = deadline_ns,
    };
    result = hqq_advanced_wait(advanced, &wait);
    if (result == 0 && connection->state != HQQ_CONNECTION_OPEN)
        result = connection->refusal != 0 ? connection->refusal
                 : advanced->ended != 0   ? advanced->ended
                                          : HQQ_ERROR_CLOSED;
    if (result == 0)
        *ret_connection = connection;
    else
        hqq_connect_leave(advanced, connection, 0);
    return hqq_advanced_end(advanced, result);
}

int hqq_advanced_listen(struct hqq_advanced *advanced, uint64_t backlog)
{
    return hqq_advanced_listen_until(advanced, backlog, HQQ_FOREVER);
}

int hqq_advanced_listen_until(struct hqq_advanced *advanced, uint64_t backlog, uint64_t deadline_ns)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    advanced->backlog = backlog;
    advanced->listen_until_ns = deadline_ns;
    return hqq_advanced_end(advanced, 0);
}

static bool does_any_wait(void *arg)
{
    const struct hqq_advanced *advanced = arg;
    return advanced->first_waiting != NULL;
}

int hqq_advanced_accept(struct hqq_advanced *advanced, uint64_t deadline_ns, struct hqq_connection **ret_connection)
{
    const struct hqq_await wait = {
        .object = &advanced->first_waiting,
        .is_ready = does_any_wait,
        .arg = advanced,
        .kind = HQQ_AWAIT_PEER,
        .deadline_ns = deadline_ns,
    };
    int result = hqq_advanced_begin_agreed(advanced, 0);
    if (result != 0)
        return result;
    result = hqq_advanced_wait(advanced, &wait);
    struct hqq_connection *connection = advanced->first_waiting;
    if (connection) {
        result = 0;
        hqq_connect_take(advanced, connection);
        *ret_connection = connection;
    }
    return hqq_advanced_end(advanced, result);
}

void hqq_connection_close(struct hqq_connection *connection, uint64_t reason)
{
    if (!connection || hqq_advanced_begin(connection->advanced) != 0)
        return;
    struct hqq_advanced *advanced = connection->advanced;
    hqq_connect_leave(advanced, connection, reason);
    (void)hqq_advanced_end(advanced, 0);
}

/* ---- What it is -------------------------------------------------------------------------------------------------- */

uint64_t hqq_connection_id(const struct hqq_connection *connection)
{
    return connection->id;
}

enum hqq_connection_state hqq_connection_state(const struct hqq_connection *connection)
{
    struct hqq_connection_info info;
    hqq_connection_get_info(connection, &info);
    return info.state;
}

uint64_t hqq_connection_close_reason(const struct hqq_connection *connection)
{
    struct hqq_advanced *advanced = connection->advanced;
    if (hqq_advanced_begin(advanced) != 0)
        return 0;
    uint64_t reason = connection->close_reason;
    (void)hqq_advanced_end(advanced, 0);
    return reason;
}

static struct hqq_connection_info describe(const struct hqq_connection *connection)
{
    return (struct hqq_connection_info){
        .id = connection->id,
        .state = connection->state,
        .priority = connection->priority,
        .is_dialled = connection->is_dialled,
        .created_ns = connection->created_ns,
        .used_ns = connection->used_ns,
        .messages_sent = connection->messages_sent,
        .bytes_sent = connection->bytes_sent,
        .messages_received = connection->messages_received,
        .bytes_received = connection->bytes_received,
        .waiting_bytes = connection->inbox.bytes,
    };
}

void hqq_connection_get_info(const struct hqq_connection *connection, struct hqq_connection_info *ret_info)
{
    struct hqq_advanced *advanced = connection->advanced;
    *ret_info = (struct hqq_connection_info){.id = connection->id};
    if (hqq_advanced_begin(advanced) != 0)
        return;
    *ret_info = describe(connection);
    (void)hqq_advanced_end(advanced, 0);
}

int hqq_advanced_connections(struct hqq_advanced *advanced, struct hqq_connection_info *infos, size_t capacity,
                             size_t *ret_count)
{
    *ret_count = 0;
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    for (const struct hqq_connection *connection = advanced->all; connection; connection = connection->next_all) {
        if (*ret_count < capacity)
            infos[*ret_count] = describe(connection);
        (*ret_count)++;
    }
    return hqq_advanced_end(advanced, 0);
}
