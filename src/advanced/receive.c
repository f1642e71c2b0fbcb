/* Messages as the program receives them. */
#include <talloc.h>

#include "advanced/connection.h"
#include "advanced/enter.h"
#include "advanced/inbox.h"
#include "advanced/output.h"
#include "advanced/wait.h"

static bool is_anything_there(void *arg)
{
    const struct hqq_connection *on = arg;
    return on->inbox.first || (on->state != HQQ_CONNECTION_OPEN && on->state != HQQ_CONNECTION_OPENING);
}

/* Waits for the next message of a connection and takes it. With the lock. */
static int receive(struct hqq_advanced *advanced, struct hqq_connection *on, uint64_t deadline_ns,
                   struct hqq_received *ret_received)
{
    const struct hqq_await wait = {
        .object = &on->inbox,
        .is_ready = is_anything_there,
        .arg = on,
        .kind = HQQ_AWAIT_PEER,
        .deadline_ns = deadline_ns,
    };
    int result = hqq_advanced_wait(advanced, &wait);
    if (!on->inbox.first)
        return result != 0 ? result : advanced->ended != 0 ? advanced->ended : HQQ_ERROR_CLOSED;

    result = hqq_inbox_take(advanced, on, ret_received);
    if (advanced->first_control) /* the peer may be waiting for this credit, and this be our last call for long */
        hqq_output_push(advanced);
    return result;
}

int hqq_advanced_receive(struct hqq_advanced *advanced, uint64_t deadline_ns, struct hqq_received *ret_received)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    if (!advanced->ground->inbox.first && !advanced->session.is_done)
        return hqq_advanced_end(advanced, advanced->ended != 0 ? advanced->ended : HQQ_ERROR_INVALID_OP);
    return hqq_advanced_end(advanced, receive(advanced, advanced->ground, deadline_ns, ret_received));
}

int hqq_connection_receive(struct hqq_connection *connection, uint64_t deadline_ns, struct hqq_received *ret_received)
{
    struct hqq_advanced *advanced = connection->advanced;
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    hqq_connection_get(connection); /* another thread may close it meanwhile */
    result = receive(advanced, connection, deadline_ns, ret_received);
    hqq_connection_put(connection);
    return hqq_advanced_end(advanced, result);
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
