#include "advanced/call.h"

#include <talloc.h>

#include "advanced/wake.h"

static struct hqq_pending **bucket(struct hqq_advanced *advanced, uint64_t message)
{
    return &advanced->calls[message % HQQ_BUCKETS];
}

/* Where the call is in its bucket; what is there may be NULL. */
static struct hqq_pending **find(struct hqq_advanced *advanced, uint64_t connection, uint64_t message)
{
    struct hqq_pending **at = bucket(advanced, message);
    while (*at && ((*at)->connection != connection || (*at)->message != message))
        at = &(*at)->next;
    return at;
}

/* Takes it out of what is under way. */
static void settle(struct hqq_advanced *advanced, struct hqq_pending **at, int result)
{
    struct hqq_pending *pending = *at;
    *at = pending->next;
    advanced->call_count--;
    if (pending->state == HQQ_PENDING_UNDER_WAY)
        pending->state = HQQ_PENDING_ANSWERED;
    pending->result = result;
    hqq_advanced_wake(advanced, pending);
}

bool hqq_call_is_pending(struct hqq_advanced *advanced, uint64_t connection, uint64_t message)
{
    return *find(advanced, connection, message) != NULL;
}

void hqq_call_answer(struct hqq_advanced *advanced, const struct hqq_chunk *begin, const struct hqq_received *received)
{
    struct hqq_pending **at = find(advanced, begin->connection, begin->message);
    bool is_error = (begin->flags & HQQ_FRAME_ERROR) != 0;
    if (!*at) {
        advanced->stats.late_responses++;
        talloc_free(received->data);
        return;
    }
    (*at)->answer = *received;
    (*at)->status = begin->method;
    advanced->stats.responses_received++;
    if (is_error)
        advanced->stats.error_responses_received++;
    settle(advanced, at, is_error ? HQQ_ERROR_REMOTE : 0);
}

void hqq_call_fail(struct hqq_advanced *advanced, uint64_t connection, uint64_t message, int error)
{
    struct hqq_pending **at = find(advanced, connection, message);
    if (*at)
        settle(advanced, at, error);
}

static void fail_all(struct hqq_advanced *advanced, bool of_one, uint64_t connection, int error)
{
    for (size_t i = 0; i < HQQ_BUCKETS; i++) {
        struct hqq_pending **at = &advanced->calls[i];
        while (*at) {
            if (!of_one || (*at)->connection == connection)
                settle(advanced, at, error);
            else
                at = &(*at)->next;
        }
    }
}

void hqq_call_end_connection(struct hqq_advanced *advanced, uint64_t connection, int error)
{
    fail_all(advanced, true, connection, error);
}

void hqq_call_end_all(struct hqq_advanced *advanced, int error)
{
    fail_all(advanced, false, 0, error);
}

struct hqq_pending *hqq_call_new(struct hqq_advanced *advanced, uint64_t connection, uint64_t message)
{
    struct hqq_pending *pending = talloc_zero(advanced->memory, struct hqq_pending);
    if (!pending)
        return NULL;
    pending->advanced = advanced;
    pending->connection = connection;
    pending->message = message;
    struct hqq_pending **at = bucket(advanced, message);
    pending->next = *at;
    *at = pending;
    advanced->call_count++;
    return pending;
}

void hqq_call_forget(struct hqq_advanced *advanced, struct hqq_pending *pending)
{
    struct hqq_pending **at = find(advanced, pending->connection, pending->message);
    if (*at == pending)
        settle(advanced, at, HQQ_ERROR_CANCELED);
    talloc_free(pending->answer.data);
    talloc_free(pending);
}
