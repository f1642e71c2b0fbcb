#include "advanced/inbox.h"

#include <talloc.h>

#include "advanced/credit.h"
#include "advanced/event.h"
#include "advanced/news.h"
#include "advanced/wake.h"
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
    hqq_news_add(advanced, &arrival->news, HQQ_NEWS_ARRIVAL, on);
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
    hqq_news_remove(advanced, &arrival->news);
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

void hqq_inbox_put_error(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
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

int hqq_inbox_take(struct hqq_advanced *advanced, struct hqq_connection *on, struct hqq_received *ret_received)
{
    struct hqq_arrival *arrival = take(advanced, &on->inbox);
    int error = arrival->error;
    hqq_credit_return(advanced, on, arrival->cost);
    *ret_received = arrival->received;
    talloc_free(arrival);
    hqq_event_update(advanced);
    return error;
}

void hqq_inbox_clear(struct hqq_advanced *advanced, struct hqq_inbox *inbox)
{
    while (inbox->first) {
        struct hqq_arrival *arrival = take(advanced, inbox);
        talloc_free(arrival->received.data);
        talloc_free(arrival);
    }
}
