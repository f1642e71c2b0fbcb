#include "advanced/connection.h"

#include <talloc.h>

#include "advanced/control.h"
#include "advanced/inbox.h"
#include "platform/clock.h"

/* Where ids begin beside a peer that counts its own from 1. */
#define FIRST_ID_BESIDE_THE_REFERENCE (UINT64_C(1) << 31)

/* ---- References -------------------------------------------------------------------------------------------------- */

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
    if (connection->queued_credit)
        connection->queued_credit->place = NULL;
    talloc_free(connection);
}

/* ---- The table --------------------------------------------------------------------------------------------------- */

static struct hqq_connection **bucket(struct hqq_advanced *advanced, uint64_t id)
{
    return &advanced->table[id / 2 % HQQ_BUCKETS]; /* ids of one end are all odd, or all even */
}

void hqq_connection_insert(struct hqq_advanced *advanced, struct hqq_connection *connection)
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

void hqq_connection_remove(struct hqq_advanced *advanced, struct hqq_connection *connection)
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

/* ---- Ids --------------------------------------------------------------------------------------------------------- */

void hqq_connection_begin_ids(struct hqq_advanced *advanced)
{
    if (!hqq_advanced_has(advanced, HQQ_FEATURES_OWN))
        advanced->first_id = advanced->next_id += FIRST_ID_BESIDE_THE_REFERENCE;
}

uint64_t hqq_connection_next_id(struct hqq_advanced *advanced)
{
    uint64_t id = advanced->next_id;
    if (id <= advanced->highest_peer_id)
        id = advanced->highest_peer_id + 1 + (advanced->highest_peer_id + 1 + id) % 2;
    advanced->next_id = id + 2;
    return id;
}

bool hqq_connection_was_dialled(const struct hqq_advanced *advanced, uint64_t id)
{
    return id % 2 == advanced->next_id % 2 && id >= advanced->first_id && id < advanced->next_id;
}

struct hqq_connection *hqq_connection_of_message(struct hqq_advanced *advanced, uint64_t id)
{
    if (id == 0)
        return advanced->ground;
    struct hqq_connection *connection = hqq_connection_find(advanced, id);
    if (connection)
        return connection->state == HQQ_CONNECTION_OPENING ? NULL : connection;
    return hqq_connection_was_dialled(advanced, id) || id <= advanced->highest_peer_id ? NULL : advanced->ground;
}

/* ---- The end ----------------------------------------------------------------------------------------------------- */

void hqq_connection_sent_all(struct hqq_advanced *advanced, struct hqq_connection *connection)
{
    if (connection->state != HQQ_CONNECTION_CLOSING || connection->first_item)
        return;
    const struct hqq_packet packet =
        hqq_control_packet(HQQ_OPCODE_CONN_CLOSE, connection->id, connection->close_reason, 0);
    (void)hqq_control_queue(advanced, &packet); /* without memory for it the peer keeps the connection */
    connection->state = HQQ_CONNECTION_CLOSED;
    hqq_connection_remove(advanced, connection);
}
