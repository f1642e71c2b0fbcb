#include "advanced/requests.h"

#include <talloc.h>

#include "advanced/connection.h"
#include "advanced/control.h"
#include "advanced/credit.h"
#include "advanced/event.h"
#include "advanced/handlers.h"
#include "advanced/news.h"
#include "advanced/wake.h"

void hqq_requests_add(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
                      const struct hqq_received *received)
{
    struct hqq_request *request = talloc_zero(advanced->memory, struct hqq_request);
    if (!request) {
        talloc_free(received->data);
        hqq_requests_refuse(advanced, on, begin, HQQ_ERROR_TOO_MANY_CALLS);
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
    hqq_news_add(advanced, &request->news, HQQ_NEWS_REQUEST, request);
    advanced->requests++;
    advanced->request_bytes += received->length;
    advanced->stats.requests_received++;
    hqq_advanced_wake(advanced, &advanced->first_request);
    hqq_advanced_wake(advanced, advanced); /* who processes */
    hqq_event_update(advanced);
}

/* A control packet, as these are bounded. */
void hqq_requests_refuse(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
                         int error)
{
    const struct hqq_chunk chunk = {
        .connection = begin->connection,
        .message = begin->message,
        .flags = HQQ_FRAME_BEGIN | HQQ_FRAME_END | HQQ_FRAME_RESPONSE | HQQ_FRAME_ERROR,
        .method = error > 0 ? (uint64_t)error : HQQ_ERROR_INVALID_OP,
    };
    struct hqq_packet packet = hqq_chunk_packet(&chunk, 0);
    if (on->state != HQQ_CONNECTION_OPEN || hqq_control_answer(advanced, &packet) != 0)
        return; /* the caller runs into its deadline */
    advanced->stats.messages_sent++;
    advanced->stats.responses_sent++;
    advanced->stats.error_responses_sent++;
    on->messages_sent++;
}

void hqq_requests_take(struct hqq_advanced *advanced, struct hqq_request *request)
{
    struct hqq_request **at = &advanced->first_request;
    while (*at != request)
        at = &(*at)->next;
    *at = request->next;
    if (!*at)
        advanced->last_request = at;
    hqq_news_remove(advanced, &request->news);
    advanced->requests--;
    advanced->request_bytes -= request->received.length;
    struct hqq_connection *on = hqq_connection_of_message(advanced, request->received.connection);
    if (on)
        hqq_credit_return(advanced, on, request->cost);
    hqq_event_update(advanced);
}

struct hqq_request *hqq_requests_take_first(struct hqq_advanced *advanced, bool is_handled)
{
    struct hqq_request *request = advanced->first_request;
    while (request && hqq_handlers_is_handled(advanced, request) != is_handled)
        request = request->next;
    if (request)
        hqq_requests_take(advanced, request);
    return request;
}
