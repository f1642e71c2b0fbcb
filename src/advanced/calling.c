/* Calls as the program makes them, and waits for their answers. */
#include <errno.h>

#include "advanced/call.h"
#include "advanced/enter.h"
#include "advanced/message.h"
#include "advanced/wait.h"
#include "advanced/wake.h"

/* ---- Calling ----------------------------------------------------------------------------------------------------- */

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
    struct hqq_pending *pending = hqq_call_new(advanced, out->connection, out->message);
    if (!pending)
        return -ENOMEM;
    uint64_t message;
    int result = hqq_message_send(advanced, out, deadline_ns, &message);
    if (result != 0) {
        hqq_call_forget(advanced, pending);
        return result;
    }
    *ret_pending = pending;
    return 0;
}

static bool is_settled(void *arg)
{
    const struct hqq_pending *pending = arg;
    return pending->state != HQQ_PENDING_UNDER_WAY;
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
    if (pending->state == HQQ_PENDING_UNDER_WAY && (result == HQQ_ERROR_TIMEOUT || result == HQQ_ERROR_WOULD_BLOCK))
        return result;
    if (pending->state == HQQ_PENDING_CANCELED)
        result = HQQ_ERROR_CANCELED;
    else if (pending->state == HQQ_PENDING_ANSWERED)
        result = pending->result;
    if (result == 0 || result == HQQ_ERROR_REMOTE) {
        if (ret_status)
            *ret_status = pending->status;
        if (ret_answer) {
            *ret_answer = pending->answer;
            pending->answer.data = NULL;
        }
    }
    hqq_call_forget(advanced, pending);
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
        hqq_call_forget(advanced, pending);
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

/* ---- Answers that are waited for later --------------------------------------------------------------------------- */

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

uint64_t hqq_pending_message(const struct hqq_pending *pending)
{
    return pending->message;
}

void hqq_pending_cancel(struct hqq_pending *pending)
{
    if (!pending || hqq_advanced_begin(pending->advanced) != 0)
        return;
    struct hqq_advanced *advanced = pending->advanced;
    pending->state = HQQ_PENDING_CANCELED;
    if (pending->is_waited_for)
        hqq_advanced_wake(advanced, pending);
    else
        hqq_call_forget(advanced, pending);
    (void)hqq_advanced_end(advanced, 0);
}
