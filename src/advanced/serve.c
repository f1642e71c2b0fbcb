/* Answering calls: requests that wait, who handles them, and answers. */
#include <errno.h>

#include <talloc.h>

#include "advanced/call.h"
#include "advanced/connection.h"
#include "advanced/credit.h"
#include "advanced/message.h"
#include "advanced/output.h"
#include "advanced/process.h"
#include "advanced/wait.h"

/* ---- Requests that wait -------------------------------------------------------------------------------------------- */

/* With the lock. */
void hqq_call_request(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
                      const struct hqq_received *received)
{
    struct hqq_request *request = talloc_zero(advanced->memory, struct hqq_request);
    if (!request) {
        talloc_free(received->data);
        hqq_call_refuse(advanced, on, begin, HQQ_ERROR_TOO_MANY_CALLS);
        return;
    }
    request->advanced = advanced;
    request->received = *received;
    request->received.data = talloc_reparent(advanced->memory, request, received->data);
    request->method = begin->method;
    request->cost = hqq_credit_cost(begin->total);
    hqq_credit_hold(on, request->cost);
    *advanced->last_request = request;
    advanced->last_request = &request->next;
    advanced->requests++;
    advanced->request_bytes += received->length;
    advanced->stats.requests_received++;
    hqq_advanced_wake(advanced, &advanced->first_request);
    hqq_advanced_wake(advanced, advanced); /* who processes */
    hqq_event_update(advanced);
}

/* A control packet, as these are bounded: a peer that goes on calling without reading what it gets is not listened to. */
void hqq_call_refuse(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin, int error)
{
    const struct hqq_chunk chunk = {
        .connection = begin->connection,
        .message = begin->message,
        .flags = HQQ_FRAME_BEGIN | HQQ_FRAME_END | HQQ_FRAME_RESPONSE | HQQ_FRAME_ERROR,
        .method = error > 0 ? (uint64_t)error : HQQ_ERROR_INVALID_OP,
    };
    struct hqq_packet packet = hqq_chunk_packet(&chunk, 0);
    if (on->state != HQQ_CONNECTION_OPEN || hqq_output_control(advanced, &packet) != 0)
        return; /* without memory for it the caller runs into its deadline */
    advanced->stats.messages_sent++;
    advanced->stats.responses_sent++;
    advanced->stats.error_responses_sent++;
    on->messages_sent++;
}

static const struct hqq_handler *handler_of(const struct hqq_advanced *advanced, uint64_t method)
{
    const struct hqq_handler *any = NULL;
    for (size_t i = 0; i < advanced->handler_count; i++) {
        if (advanced->handlers[i].method == method)
            return &advanced->handlers[i];
        if (advanced->handlers[i].method == HQQ_ANY_METHOD)
            any = &advanced->handlers[i];
    }
    return any;
}

bool hqq_call_has_request(const struct hqq_advanced *advanced, bool is_handled)
{
    for (const struct hqq_request *request = advanced->first_request; request; request = request->next) {
        if ((handler_of(advanced, request->method) != NULL) == is_handled)
            return true;
    }
    return false;
}

/* Takes the first request that has, or has no, handler. */
static struct hqq_request *take(struct hqq_advanced *advanced, bool is_handled)
{
    struct hqq_request **at = &advanced->first_request;
    while (*at && (handler_of(advanced, (*at)->method) != NULL) != is_handled)
        at = &(*at)->next;
    struct hqq_request *request = *at;
    if (!request)
        return NULL;
    *at = request->next;
    if (!*at)
        advanced->last_request = at;
    advanced->requests--;
    advanced->request_bytes -= request->received.length;
    struct hqq_connection *on = hqq_connection_of_message(advanced, request->received.connection);
    if (on)
        hqq_credit_return(advanced, on, request->cost);
    hqq_event_update(advanced);
    return request;
}

struct hqq_request *hqq_call_next_handled(struct hqq_advanced *advanced, struct hqq_handler *ret_handler)
{
    struct hqq_request *request = take(advanced, true);
    if (request)
        *ret_handler = *handler_of(advanced, request->method);
    return request;
}

static bool is_there_one(void *arg)
{
    return hqq_call_has_request(arg, false);
}

int hqq_advanced_serve(struct hqq_advanced *advanced, uint64_t deadline_ns, struct hqq_request **ret_request)
{
    const struct hqq_await wait = {
        .object = &advanced->first_request,
        .is_ready = is_there_one,
        .arg = advanced,
        .kind = HQQ_AWAIT_PEER,
        .deadline_ns = deadline_ns,
    };
    int result = hqq_advanced_begin_agreed(advanced, HQQ_FEATURE_REQUEST_RESPONSE);
    if (result != 0)
        return result;
    result = hqq_advanced_wait(advanced, &wait);
    struct hqq_request *request = take(advanced, false);
    if (request) {
        *ret_request = request;
        result = 0;
        if (advanced->first_control) /* its credit */
            hqq_output_push(advanced);
    } else if (result == 0) {
        result = HQQ_ERROR_WOULD_BLOCK; /* another thread was faster, and may be answering it */
    }
    return hqq_advanced_end(advanced, result);
}

/* ---- Handlers ------------------------------------------------------------------------------------------------------- */

static struct hqq_handler *entry(struct hqq_advanced *advanced, uint64_t method)
{
    for (size_t i = 0; i < advanced->handler_count; i++) {
        if (advanced->handlers[i].method == method)
            return &advanced->handlers[i];
    }
    struct hqq_handler *handlers =
        talloc_realloc(advanced->memory, advanced->handlers, struct hqq_handler, (unsigned)advanced->handler_count + 1);
    if (!handlers)
        return NULL;
    advanced->handlers = handlers;
    return &handlers[advanced->handler_count++];
}

int hqq_advanced_handle(struct hqq_advanced *advanced, uint64_t method, hqq_request_fn *handle, void *arg)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    struct hqq_handler *handler = entry(advanced, method);
    if (!handler)
        return hqq_advanced_end(advanced, -ENOMEM);
    *handler = (struct hqq_handler){method, handle, arg};
    if (!handle) /* the last one takes its place */
        *handler = advanced->handlers[--advanced->handler_count];
    hqq_event_update(advanced);
    hqq_advanced_wake_all(advanced); /* requests that wait may be somebody else's now */
    return hqq_advanced_end(advanced, 0);
}

/* ---- Requests and answers ------------------------------------------------------------------------------------------- */

uint64_t hqq_request_method(const struct hqq_request *request)
{
    return request->method;
}

uint64_t hqq_request_connection(const struct hqq_request *request)
{
    return request->received.connection;
}

const void *hqq_request_data(const struct hqq_request *request)
{
    return request->received.data;
}

size_t hqq_request_length(const struct hqq_request *request)
{
    return request->received.length;
}

static int send_answer(struct hqq_advanced *advanced, const struct hqq_message_out *out, uint64_t deadline_ns)
{
    uint64_t message;
    if (!out->on)
        return HQQ_ERROR_CLOSED;
    return deadline_ns == 0 ? hqq_message_post(advanced, out) : hqq_message_send(advanced, out, deadline_ns, &message);
}

static bool may_try_again(int result)
{
    return result == HQQ_ERROR_WOULD_BLOCK || result == HQQ_ERROR_TIMEOUT || result == HQQ_ERROR_BUFFER_OVERFLOW ||
           result == HQQ_ERROR_TOO_MANY_BYTES || result == -ENOMEM;
}

static int respond(struct hqq_request *request, uint64_t flags, uint64_t status, const void *data, size_t length,
                   uint64_t deadline_ns)
{
    struct hqq_advanced *advanced = request->advanced;
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    const struct hqq_message_out out = {
        .on = hqq_connection_of_message(advanced, request->received.connection),
        .connection = request->received.connection,
        .message = request->received.message,
        .flags = flags,
        .method = status,
        .data = data,
        .length = length,
    };
    result = send_answer(advanced, &out, deadline_ns);
    if (!may_try_again(result))
        talloc_free(request);
    return hqq_advanced_end(advanced, result);
}

int hqq_request_respond(struct hqq_request *request, uint64_t status, const void *data, size_t length,
                        uint64_t deadline_ns)
{
    return respond(request, HQQ_FRAME_RESPONSE, status, data, length, deadline_ns);
}

int hqq_request_respond_error(struct hqq_request *request, uint64_t status, const void *data, size_t length,
                              uint64_t deadline_ns)
{
    return respond(request, HQQ_FRAME_RESPONSE | HQQ_FRAME_ERROR, status, data, length, deadline_ns);
}

void hqq_request_drop(struct hqq_request *request)
{
    if (!request || hqq_advanced_begin(request->advanced) != 0)
        return;
    struct hqq_advanced *advanced = request->advanced;
    talloc_free(request);
    (void)hqq_advanced_end(advanced, 0);
}
