/* Answering calls: taking requests, who handles them, and answers. */
#include <errno.h>

#include <talloc.h>

#include "advanced/connection.h"
#include "advanced/enter.h"
#include "advanced/event.h"
#include "advanced/handlers.h"
#include "advanced/message.h"
#include "advanced/output.h"
#include "advanced/requests.h"
#include "advanced/wait.h"
#include "advanced/wake.h"

/* ---- Taking ------------------------------------------------------------------------------------------------------ */

static bool is_there_one(void *arg)
{
    return hqq_handlers_has_request(arg, false);
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
    struct hqq_request *request = hqq_requests_take_first(advanced, false);
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

int hqq_advanced_handle(struct hqq_advanced *advanced, uint64_t method, hqq_request_fn *handle, void *arg)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    struct hqq_handler *handler = hqq_handlers_entry(advanced, method);
    if (!handler)
        return hqq_advanced_end(advanced, -ENOMEM);
    *handler = (struct hqq_handler){method, handle, arg};
    if (!handle) /* the last one takes its place */
        *handler = advanced->handlers[--advanced->handler_count];
    hqq_event_update(advanced);
    hqq_advanced_wake_all(advanced); /* requests that wait may be somebody else's now */
    return hqq_advanced_end(advanced, 0);
}

/* ---- Requests and answers ---------------------------------------------------------------------------------------- */

uint64_t hqq_request_method(const struct hqq_request *request)
{
    return request->method;
}

uint64_t hqq_request_connection(const struct hqq_request *request)
{
    return request->received.connection;
}

uint64_t hqq_request_message(const struct hqq_request *request)
{
    return request->received.message;
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
