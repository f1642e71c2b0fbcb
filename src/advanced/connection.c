#include "advanced/connection.h"

#include <errno.h>

#include <talloc.h>

#include "advanced/call.h"
#include "advanced/credit.h"
#include "advanced/inbox.h"
#include "advanced/output.h"
#include "advanced/process.h"
#include "advanced/wait.h"
#include "platform/clock.h"

/* ---- The table --------------------------------------------------------------------------------------------------- */

static struct hqq_connection **bucket(struct hqq_advanced *advanced, uint64_t id)
{
    return &advanced->table[id / 2 % HQQ_BUCKETS]; /* ids of one end are all odd, or all even */
}

struct hqq_connection *hqq_connection_new(struct hqq_advanced *advanced, uint64_t id)
{
    struct hqq_connection *connection = talloc_zero(advanced->memory, struct hqq_connection);
    if (!connection)
        return NULL;
    connection->advanced = advanced;
    connection->id = id;
    connection->priority = HQQ_PRIORITY_NORMAL;
    connection->last_item = &connection->first_item;
    connection->created_ns = connection->used_ns = hqq_clock_ns();
    connection->references = 1;
    hqq_inbox_init(&connection->inbox);
    return connection;
}

struct hqq_connection *hqq_connection_get(struct hqq_connection *connection)
{
    connection->references++;
    return connection;
}

void hqq_connection_put(struct hqq_connection *connection)
{
    if (--connection->references != 0)
        return;
    hqq_inbox_clear(connection->advanced, &connection->inbox);
    talloc_free(connection);
}

/* The table takes over the reference that it was made with. */
static void insert(struct hqq_advanced *advanced, struct hqq_connection *connection)
{
    struct hqq_connection **at = bucket(advanced, connection->id);
    connection->is_in_table = true;
    connection->next_in_bucket = *at;
    *at = connection;
    connection->next_all = advanced->all;
    connection->link_all = &advanced->all;
    if (advanced->all)
        advanced->all->link_all = &connection->next_all;
    advanced->all = connection;
    advanced->connections++;
}

static void remove_from_table(struct hqq_advanced *advanced, struct hqq_connection *connection)
{
    struct hqq_connection **at = bucket(advanced, connection->id);
    if (!connection->is_in_table)
        return;
    while (*at != connection)
        at = &(*at)->next_in_bucket;
    *at = connection->next_in_bucket;
    *connection->link_all = connection->next_all;
    if (connection->next_all)
        connection->next_all->link_all = connection->link_all;
    connection->is_in_table = false;
    advanced->connections--;
    hqq_connection_put(connection);
}

struct hqq_connection *hqq_connection_find(struct hqq_advanced *advanced, uint64_t id)
{
    struct hqq_connection *connection = *bucket(advanced, id);
    while (connection && connection->id != id)
        connection = connection->next_in_bucket;
    return connection;
}

static bool was_dialled(const struct hqq_advanced *advanced, uint64_t id)
{
    return id % 2 == advanced->next_id % 2 && id < advanced->next_id;
}

struct hqq_connection *hqq_connection_of_message(struct hqq_advanced *advanced, uint64_t id)
{
    if (id == 0)
        return advanced->ground;
    struct hqq_connection *connection = hqq_connection_find(advanced, id);
    if (connection)
        return connection->state == HQQ_CONNECTION_OPENING ? NULL : connection;
    return was_dialled(advanced, id) || id <= advanced->highest_peer_id ? NULL : advanced->ground;
}

/* ---- Ends -------------------------------------------------------------------------------------------------------- */

/* Nothing more can be sent on it nor will come. What has arrived can still be received. */
static void close_now(struct hqq_advanced *advanced, struct hqq_connection *connection, int why)
{
    if (connection->state == HQQ_CONNECTION_CLOSED)
        return;
    hqq_connection_get(connection);
    connection->state = HQQ_CONNECTION_CLOSED;
    hqq_output_fail_connection(advanced, connection, why);
    hqq_calls_end_connection(advanced, connection->id, why);
    remove_from_table(advanced, connection);
    hqq_advanced_wake(advanced, &connection->inbox);
    hqq_advanced_wake(advanced, connection);
    hqq_connection_put(connection);
}

void hqq_connections_end(struct hqq_advanced *advanced)
{
    while (advanced->all)
        close_now(advanced, advanced->all, advanced->ended);
}

/* ---- What the peer says ------------------------------------------------------------------------------------------ */

static void answer(struct hqq_advanced *advanced, uint64_t opcode, uint64_t id, uint64_t code)
{
    struct hqq_packet packet = hqq_control_packet(opcode, id, code, 0);
    (void)hqq_output_control(advanced, &packet); /* without memory for it the peer runs into its deadline */
}

/* Whether a connection that the peer dials may come into being. */
static int judge(struct hqq_advanced *advanced, uint64_t id, uint64_t flags)
{
    if (id == 0 || id >= HQQ_CONNECTION_ID_END || flags != 0 || id <= advanced->highest_peer_id ||
        was_dialled(advanced, id) || hqq_connection_find(advanced, id))
        return HQQ_ERROR_INVALID_OP;
    if (advanced->waiting_connections >= advanced->backlog || advanced->connections >= advanced->config.max_connections)
        return HQQ_ERROR_CONN_NOT_FOUND;
    return 0;
}

void hqq_connection_handle_create(struct hqq_advanced *advanced, uint64_t id, uint64_t flags)
{
    int result = judge(advanced, id, flags);
    struct hqq_connection *connection = result == 0 ? hqq_connection_new(advanced, id) : NULL;
    if (!connection) {
        if (result == HQQ_ERROR_INVALID_OP)
            advanced->stats.invalid_frames++;
        else
            advanced->stats.connections_refused++;
        answer(advanced, HQQ_OPCODE_ERROR, id, result != 0 ? (uint64_t)result : HQQ_ERROR_CONN_NOT_FOUND);
        return;
    }
    connection->state = HQQ_CONNECTION_OPEN;
    hqq_credit_init(advanced, connection);
    insert(advanced, connection);
    advanced->highest_peer_id = id;
    connection->is_user_held = true; /* as soon as it is accepted */
    hqq_connection_get(connection);
    *advanced->last_waiting = connection;
    advanced->last_waiting = &connection->next_waiting;
    advanced->waiting_connections++;
    advanced->stats.connections_opened++;
    answer(advanced, HQQ_OPCODE_CONN_ACCEPT, id, 0);
    hqq_advanced_wake(advanced, &advanced->first_waiting);
    hqq_event_update(advanced);
}

void hqq_connection_handle_accept(struct hqq_advanced *advanced, uint64_t id)
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

void hqq_connection_handle_close(struct hqq_advanced *advanced, uint64_t id, uint64_t reason)
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
void hqq_connection_handle_error(struct hqq_advanced *advanced, uint64_t id, int error)
{
    struct hqq_connection *connection = hqq_connection_find(advanced, id);
    if (!connection) {
        advanced->stats.late_frames++;
        return;
    }
    connection->refusal = error;
    close_now(advanced, connection, connection->state == HQQ_CONNECTION_OPENING ? error : HQQ_ERROR_CLOSED);
}

/* ---- Dialling and accepting -------------------------------------------------------------------------------------- */

static uint64_t next_free_id(struct hqq_advanced *advanced)
{
    uint64_t id = advanced->next_id;
    if (id <= advanced->highest_peer_id)
        id = advanced->highest_peer_id + 1 + (advanced->highest_peer_id + 1 + id) % 2;
    advanced->next_id = id + 2;
    return id;
}

int hqq_connection_begin(struct hqq_advanced *advanced, struct hqq_connection **ret_connection)
{
    if (advanced->connections >= advanced->config.max_connections || advanced->next_id >= HQQ_CONNECTION_ID_END)
        return HQQ_ERROR_TOO_MANY_CONNECTIONS;
    struct hqq_connection *connection = hqq_connection_new(advanced, next_free_id(advanced));
    if (!connection)
        return -ENOMEM;
    struct hqq_packet packet = hqq_control_packet(HQQ_OPCODE_CONN_CREATE, connection->id, 0, 0);
    int result = hqq_output_control(advanced, &packet);
    if (result != 0) {
        hqq_connection_put(connection);
        return result;
    }
    connection->state = HQQ_CONNECTION_OPENING;
    connection->is_dialled = connection->is_user_held = true;
    hqq_credit_init(advanced, connection);
    insert(advanced, connection);
    *ret_connection = hqq_connection_get(connection);
    hqq_output_push(advanced);
    return 0;
}

/* The program lets it go: after what waits to be sent the peer is told. */
static void leave(struct hqq_advanced *advanced, struct hqq_connection *connection, uint64_t reason)
{
    connection->is_user_held = false;
    hqq_inbox_clear(advanced, &connection->inbox);
    hqq_event_update(advanced);
    if (connection->state != HQQ_CONNECTION_CLOSED) {
        connection->state = HQQ_CONNECTION_CLOSING;
        connection->close_reason = reason;
        hqq_calls_end_connection(advanced, connection->id, HQQ_ERROR_CLOSED);
        hqq_connection_sent_all(advanced, connection);
        hqq_output_push(advanced);
    }
    hqq_connection_put(connection);
}

void hqq_connection_sent_all(struct hqq_advanced *advanced, struct hqq_connection *connection)
{
    if (connection->state != HQQ_CONNECTION_CLOSING || connection->first_item)
        return;
    answer(advanced, HQQ_OPCODE_CONN_CLOSE, connection->id, connection->close_reason);
    connection->state = HQQ_CONNECTION_CLOSED;
    remove_from_table(advanced, connection);
}

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
    result = hqq_connection_begin(advanced, &connection);
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
        leave(advanced, connection, 0);
    return hqq_advanced_end(advanced, result);
}

int hqq_advanced_listen(struct hqq_advanced *advanced, uint64_t backlog)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    advanced->backlog = backlog;
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
        advanced->first_waiting = connection->next_waiting;
        if (!advanced->first_waiting)
            advanced->last_waiting = &advanced->first_waiting;
        advanced->waiting_connections--;
        *ret_connection = connection;
        hqq_event_update(advanced);
    }
    return hqq_advanced_end(advanced, result);
}

void hqq_connection_close(struct hqq_connection *connection, uint64_t reason)
{
    if (!connection || hqq_advanced_begin(connection->advanced) != 0)
        return;
    struct hqq_advanced *advanced = connection->advanced;
    leave(advanced, connection, reason);
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
