#include "advanced/connect.h"

#include <errno.h>

#include "advanced/call.h"
#include "advanced/connection.h"
#include "advanced/control.h"
#include "advanced/credit.h"
#include "advanced/event.h"
#include "advanced/inbox.h"
#include "advanced/news.h"
#include "advanced/output.h"
#include "advanced/wake.h"
#include "platform/clock.h"

/* ---- Ends -------------------------------------------------------------------------------------------------------- */

/* Nothing more can be sent on it nor will come. What has arrived can still be received. */
static void close_now(struct hqq_advanced *advanced, struct hqq_connection *connection, int why)
{
    if (connection->state == HQQ_CONNECTION_CLOSED)
        return;
    hqq_connection_get(connection);
    connection->state = HQQ_CONNECTION_CLOSED;
    hqq_output_fail_connection(advanced, connection, why);
    hqq_call_end_connection(advanced, connection->id, why);
    hqq_connection_remove(advanced, connection);
    hqq_advanced_wake(advanced, &connection->inbox);
    hqq_advanced_wake(advanced, connection);
    hqq_connection_put(connection);
}

void hqq_connect_end_all(struct hqq_advanced *advanced)
{
    while (advanced->all)
        close_now(advanced, advanced->all, advanced->ended);
}

void hqq_connect_leave(struct hqq_advanced *advanced, struct hqq_connection *connection, uint64_t reason)
{
    connection->is_user_held = false;
    hqq_inbox_clear(advanced, &connection->inbox);
    hqq_event_update(advanced);
    if (connection->state != HQQ_CONNECTION_CLOSED) {
        connection->state = HQQ_CONNECTION_CLOSING;
        connection->close_reason = reason;
        hqq_advanced_wake(advanced, &connection->inbox);
        hqq_output_fail_waiting(advanced, connection, HQQ_ERROR_CLOSED);
        hqq_call_end_connection(advanced, connection->id, HQQ_ERROR_CLOSED);
        hqq_connection_sent_all(advanced, connection);
        hqq_output_push(advanced);
    }
    hqq_connection_put(connection);
}

/* ---- What the peer says ------------------------------------------------------------------------------------------ */

static int answer(struct hqq_advanced *advanced, uint64_t opcode, uint64_t id, uint64_t code)
{
    struct hqq_packet packet = hqq_control_packet(opcode, id, code, 0);
    return hqq_control_answer(advanced, &packet); /* without it the peer runs into its deadline */
}

/* Whether a connection that the peer dials may come into being. */
static int judge(struct hqq_advanced *advanced, uint64_t id, uint64_t flags)
{
    if (id == 0 || id >= HQQ_CONNECTION_ID_END || flags != 0 || id <= advanced->highest_peer_id ||
        hqq_connection_was_dialled(advanced, id) || hqq_connection_find(advanced, id))
        return HQQ_ERROR_INVALID_OP;
    if (advanced->waiting_connections >= advanced->backlog || hqq_clock_ns() >= advanced->listen_until_ns ||
        advanced->connections >= advanced->config.max_connections)
        return HQQ_ERROR_CONN_NOT_FOUND;
    return 0;
}

void hqq_connect_handle_create(struct hqq_advanced *advanced, uint64_t id, uint64_t flags)
{
    int result = judge(advanced, id, flags);
    struct hqq_connection *connection = result == 0 ? hqq_connection_new(advanced, id) : NULL;
    if (!connection) {
        if (result == HQQ_ERROR_INVALID_OP)
            advanced->stats.invalid_frames++;
        else
            advanced->stats.connections_refused++;
        (void)answer(advanced, HQQ_OPCODE_ERROR, id, result != 0 ? (uint64_t)result : HQQ_ERROR_CONN_NOT_FOUND);
        return;
    }
    if (answer(advanced, HQQ_OPCODE_CONN_ACCEPT, id, 0) != 0) {
        advanced->stats.connections_refused++; /* whoever dials will not know that it was accepted */
        hqq_connection_put(connection);
        return;
    }
    connection->state = HQQ_CONNECTION_OPEN;
    hqq_credit_init(advanced, connection);
    hqq_connection_insert(advanced, connection);
    advanced->highest_peer_id = id;
    connection->is_user_held = true; /* as soon as it is accepted */
    hqq_connection_get(connection);
    *advanced->last_waiting = connection;
    advanced->last_waiting = &connection->next_waiting;
    advanced->waiting_connections++;
    advanced->stats.connections_opened++;
    hqq_news_add(advanced, &connection->news, HQQ_NEWS_CONNECTION, connection);
    hqq_advanced_wake(advanced, &advanced->first_waiting);
    hqq_event_update(advanced);
}

void hqq_connect_handle_accept(struct hqq_advanced *advanced, uint64_t id)
{
    struct hqq_connection *connection = hqq_connection_find(advanced, id);
    if (!connection) {
        advanced->stats.late_frames++; /* it was given up meanwhile */
        return;
    }
    if (connection->state != HQQ_CONNECTION_OPENING) {
        advanced->stats.invalid_frames++;
        return;
    }
    connection->state = HQQ_CONNECTION_OPEN;
    advanced->stats.connections_opened++;
    hqq_advanced_wake(advanced, connection);
}

void hqq_connect_handle_close(struct hqq_advanced *advanced, uint64_t id, uint64_t reason)
{
    struct hqq_connection *connection = hqq_connection_find(advanced, id);
    if (!connection) {
        advanced->stats.late_frames++;
        return;
    }
    connection->close_reason = reason;
    close_now(advanced, connection, HQQ_ERROR_CLOSED);
}

/* The protocol's errors are answers to what this end did with a connection. */
void hqq_connect_handle_error(struct hqq_advanced *advanced, uint64_t id, int error)
{
    struct hqq_connection *connection = hqq_connection_find(advanced, id);
    if (!connection) {
        advanced->stats.late_frames++;
        return;
    }
    connection->refusal = error;
    /* Nothing was ever said on it: the id is free for the next dial. One that the peer calls invalid is not. */
    if (connection->state == HQQ_CONNECTION_OPENING && error == HQQ_ERROR_CONN_NOT_FOUND && id + 2 == advanced->next_id)
        advanced->next_id = id;
    close_now(advanced, connection, connection->state == HQQ_CONNECTION_OPENING ? error : HQQ_ERROR_CLOSED);
}

/* ---- Dialling and accepting -------------------------------------------------------------------------------------- */

int hqq_connect_begin(struct hqq_advanced *advanced, struct hqq_connection **ret_connection)
{
    if (advanced->connections >= advanced->config.max_connections || advanced->next_id >= HQQ_CONNECTION_ID_END ||
        hqq_control_is_crowded(advanced))
        return HQQ_ERROR_TOO_MANY_CONNECTIONS;
    struct hqq_connection *connection = hqq_connection_new(advanced, hqq_connection_next_id(advanced));
    if (!connection)
        return -ENOMEM;
    struct hqq_packet packet = hqq_control_packet(HQQ_OPCODE_CONN_CREATE, connection->id, 0, 0);
    int result = hqq_control_queue(advanced, &packet);
    if (result != 0) {
        hqq_connection_put(connection);
        return result;
    }
    connection->state = HQQ_CONNECTION_OPENING;
    connection->is_dialled = connection->is_user_held = true;
    hqq_credit_init(advanced, connection);
    hqq_connection_insert(advanced, connection);
    *ret_connection = hqq_connection_get(connection);
    hqq_output_push(advanced);
    return 0;
}

void hqq_connect_take(struct hqq_advanced *advanced, struct hqq_connection *connection)
{
    struct hqq_connection **at = &advanced->first_waiting;
    while (*at != connection)
        at = &(*at)->next_waiting;
    *at = connection->next_waiting;
    if (!*at)
        advanced->last_waiting = at;
    hqq_news_remove(advanced, &connection->news);
    advanced->waiting_connections--;
    hqq_event_update(advanced);
}
