#include "advanced/call.h"

#include <errno.h>

#include <talloc.h>

#include "advanced/connection.h"
#include "advanced/message.h"
#include "advanced/wait.h"

/* ---- What is under way --------------------------------------------------------------------------------------------- */

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
    pending->is_answered = true;
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

void hqq_calls_end_connection(struct hqq_advanced *advanced, uint64_t connection, int error)
{
    fail_all(advanced, true, connection, error);
}

void hqq_calls_end(struct hqq_advanced *advanced, int error)
{
    fail_all(advanced, false, 0, error);
}

/* ---- Calling ------------------------------------------------------------------------------------------------------- */

static struct hqq_pending *make(struct hqq_advanced *advanced, const struct hqq_message_out *out)
{
    struct hqq_pending *pending = talloc_zero(advanced->memory, struct hqq_pending);
    if (!pending)
        return NULL;
    pending->advanced = advanced;
    pending->connection = out->connection;
    pending->message = out->message;
    struct hqq_pending **at = bucket(advanced, out->message);
    pending->next = *at;
    *at = pending;
    advanced->call_count++;
    return pending;
}

static void forget(struct hqq_advanced *advanced, struct hqq_pending *pending)
{
    struct hqq_pending **at = find(advanced, pending->connection, pending->message);
    if (!pending->is_answered && *at == pending)
        settle(advanced, at, HQQ_ERROR_CANCELED);
    talloc_free(pending->answer.data);
    talloc_free(pending);
}

/* Sends the request. It is under way before it is sent, as the answer may come while its last chunk is being sent. */
static int begin(struct hqq_advanced *advanced, struct hqq_message_out *out, uint64_t deadline_ns,
                 struct hqq_pending **ret_pending)
{
    if (!hqq_advanced_has(advanced, HQQ_FEATURE_REQUEST_RESPONSE))
        return HQQ_ERROR_INVALID_OP;
    if (advanced->call_count >= advanced->config.max_calls)
        return HQQ_ERROR_TOO_MANY_CALLS;
    out->flags = HQQ_FRAME_REQUEST;
    out->message = advanced->next_message++;
    struct hqq_pending *pending = make(advanced, out);
    if (!pending)
        return -ENOMEM;
    uint64_t message;
    int result = hqq_message_send(advanced, out, deadline_ns, &message);
    if (result != 0) {
        forget(advanced, pending);
        return result;
    }
    *ret_pending = pending;
    return 0;
}

static bool is_settled(void *arg)
{
    const struct hqq_pending *pending = arg;
    return pending->is_answered || pending->is_canceled;
}

/* Waits for the answer, and frees the call unless it is to be waited for again. */
static int finish(struct hqq_advanced *advanced, struct hqq_pending *pending, uint64_t deadline_ns,
                  uint64_t *ret_status, struct hqq_received *ret_answer)
{
    const struct hqq_await wait = {
        .object = pending,
        .is_ready = is_settled,
        .arg = pending,
        .kind = HQQ_AWAIT_PEER,
        .deadline_ns = deadline_ns,
    };
    pending->is_waited_for = true;
    int result = hqq_advanced_wait(advanced, &wait);
    pending->is_waited_for = false;
    if (!pending->is_canceled && !pending->is_answered &&
        (result == HQQ_ERROR_TIMEOUT || result == HQQ_ERROR_WOULD_BLOCK))
        return result;
    if (pending->is_canceled)
        result = HQQ_ERROR_CANCELED;
    else if (pending->is_answered)
        result = pending->result;
    if (result == 0 || result == HQQ_ERROR_REMOTE) {
        if (ret_status)
            *ret_status = pending->status;
        if (ret_answer) {
            *ret_answer = pending->answer;
            pending->answer.data = NULL;
        }
    }
    forget(advanced, pending);
    return result;
}

static int call(struct hqq_advanced *advanced, struct hqq_message_out *out, uint64_t deadline_ns, uint64_t *ret_status,
                struct hqq_received *ret_answer)
{
    struct hqq_pending *pending;
    int result = begin(advanced, out, deadline_ns, &pending);
    if (result != 0)
        return result;
    result = finish(advanced, pending, deadline_ns, ret_status, ret_answer);
    if (result == HQQ_ERROR_TIMEOUT || result == HQQ_ERROR_WOULD_BLOCK)
        forget(advanced, pending);
    return result;
}

int hqq_advanced_call(struct hqq_advanced *advanced, uint64_t method, const void *data, size_t length,
                      uint64_t deadline_ns, uint64_t *ret_status, struct hqq_received *ret_answer)
{
    int result = hqq_advanced_begin_agreed(advanced, 0);
    if (result != 0)
        return result;
    struct hqq_message_out out = {.on = advanced->ground, .method = method, .data = data, .length = length};
    return hqq_advanced_end(advanced, call(advanced, &out, deadline_ns, ret_status, ret_answer));
}

int hqq_connection_call(struct hqq_connection *connection, uint64_t method, const void *data, size_t length,
                        uint64_t deadline_ns, uint64_t *ret_status, struct hqq_received *ret_answer)
{
    struct hqq_advanced *advanced = connection->advanced;
    int result = hqq_advanced_begin_agreed(advanced, 0);
    if (result != 0)
        return result;
    struct hqq_message_out out = {
        .on = connection, .connection = connection->id, .method = method, .data = data, .length = length};
    return hqq_advanced_end(advanced, call(advanced, &out, deadline_ns, ret_status, ret_answer));
}

/* ---- Answers that are waited for later ------------------------------------------------------------------------------ */

int hqq_pending_begin(struct hqq_advanced *advanced, struct hqq_connection *connection, uint64_t method,
                      const void *data, size_t length, uint64_t deadline_ns, struct hqq_pending **ret_pending)
{
    int result = hqq_advanced_begin_agreed(advanced, 0);
    if (result != 0)
        return result;
    struct hqq_message_out out = {
        .on = connection ? connection : advanced->ground,
        .connection = connection ? connection->id : 0,
        .method = method,
        .data = data,
        .length = length,
    };
    return hqq_advanced_end(advanced, begin(advanced, &out, deadline_ns, ret_pending));
}

int hqq_pending_wait(struct hqq_pending *pending, uint64_t deadline_ns, uint64_t *ret_status,
                     struct hqq_received *ret_answer)
{
    struct hqq_advanced *advanced = pending->advanced;
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    return hqq_advanced_end(advanced, finish(advanced, pending, deadline_ns, ret_status, ret_answer));
}

void hqq_pending_cancel(struct hqq_pending *pending)
{
    if (!pending || hqq_advanced_begin(pending->advanced) != 0)
        return;
    struct hqq_advanced *advanced = pending->advanced;
    pending->is_canceled = true;
    if (pending->is_waited_for)
        hqq_advanced_wake(advanced, pending);
    else
        forget(advanced, pending);
    (void)hqq_advanced_end(advanced, 0);
}
