#include "advanced/inbox.h"

#include <talloc.h>

#include "advanced/call.h"
#include "advanced/connection.h"
#include "advanced/credit.h"
#include "advanced/output.h"
#include "advanced/process.h"
#include "advanced/wait.h"
#include "platform/clock.h"

/* What a message costs beside its bytes: that empty ones are not free. */
#define ARRIVAL_BYTES 128

void hqq_inbox_init(struct hqq_inbox *inbox)
{
    *inbox = (struct hqq_inbox){.last = &inbox->first};
}

static uint64_t weight(const struct hqq_arrival *arrival)
{
    return arrival->received.length + ARRIVAL_BYTES;
}

static void put(struct hqq_advanced *advanced, struct hqq_connection *on, struct hqq_arrival *arrival)
{
    struct hqq_inbox *inbox = &on->inbox;
    arrival->next = NULL;
    *inbox->last = arrival;
    inbox->last = &arrival->next;
    inbox->count++;
    inbox->bytes += arrival->received.length;
    advanced->waiting_count++;
    advanced->waiting_bytes += weight(arrival);
    on->used_ns = hqq_clock_ns();
    hqq_advanced_wake(advanced, inbox);
    hqq_event_update(advanced);
}

static struct hqq_arrival *take(struct hqq_advanced *advanced, struct hqq_inbox *inbox)
{
    struct hqq_arrival *arrival = inbox->first;
    bool was_full = advanced->waiting_bytes >= advanced->config.max_received_bytes;
    inbox->first = arrival->next;
    if (!inbox->first)
        inbox->last = &inbox->first;
    inbox->count--;
    inbox->bytes -= arrival->received.length;
    advanced->waiting_count--;
    advanced->waiting_bytes -= weight(arrival);
    if (was_full)
        hqq_advanced_wake_one(advanced); /* it may take packets again */
    return arrival;
}

void hqq_inbox_put(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_received *received,
                   uint64_t cost)
{
    struct hqq_arrival *arrival = on->is_user_held ? talloc_zero(advanced->memory, struct hqq_arrival) : NULL;
    if (!arrival) {
        talloc_free(received->data);
        if (on->is_user_held)
            advanced->stats.messages_refused++; /* out of memory, and no way to say so */
        return;
    }
    arrival->received = *received;
    arrival->cost = cost;
    hqq_credit_hold(on, cost);
    put(advanced, on, arrival);
}

/* News like the last one is not put twice: a peer that does nothing but fail must not fill our memory. */
static void put_error(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
                      int error)
{
    struct hqq_arrival *last = NULL;
    for (struct hqq_arrival *arrival = on->inbox.first; arrival; arrival = arrival->next)
        last = arrival;
    if (!on->is_user_held || (last && last->error == error))
        return;
    struct hqq_arrival *arrival = talloc_zero(advanced->memory, struct hqq_arrival);
    if (!arrival)
        return;
    arrival->received.connection = begin->connection;
    arrival->received.message = begin->message;
    arrival->error = error;
    put(advanced, on, arrival);
}

void hqq_inbox_refuse(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
                      int error)
{
    advanced->stats.messages_refused++;
    if ((begin->flags & HQQ_FRAME_RESPONSE) != 0)
        hqq_call_fail(advanced, begin->connection, begin->message, error);
    else if ((begin->flags & HQQ_FRAME_REQUEST) != 0)
        hqq_call_refuse(advanced, on, begin, error);
    else
        put_error(advanced, on, begin, error);
}

static bool is_anything_there(void *arg)
{
    const struct hqq_connection *on = arg;
    return on->inbox.first || (on->state != HQQ_CONNECTION_OPEN && on->state != HQQ_CONNECTION_OPENING);
}

int hqq_inbox_receive(struct hqq_advanced *advanced, struct hqq_connection *on, uint64_t deadline_ns,
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

    struct hqq_arrival *arrival = take(advanced, &on->inbox);
    hqq_credit_return(advanced, on, arrival->cost);
    result = arrival->error;
    if (result == 0)
        *ret_received = arrival->received;
    talloc_free(arrival);
    hqq_event_update(advanced);
    if (advanced->first_control) /* the peer may be waiting for this credit, and this be our last call for long */
        hqq_output_push(advanced);
    return result;
}

void hqq_inbox_clear(struct hqq_advanced *advanced, struct hqq_inbox *inbox)
{
    while (inbox->first) {
        struct hqq_arrival *arrival = take(advanced, inbox);
        talloc_free(arrival->received.data);
        talloc_free(arrival);
    }
}
