#include "advanced/deliver.h"

#include "advanced/call.h"
#include "advanced/credit.h"
#include "advanced/inbox.h"
#include "advanced/requests.h"

void hqq_deliver(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
                 const struct hqq_received *received)
{
    advanced->stats.messages_received++;
    advanced->stats.bytes_received += received->length;
    on->messages_received++;
    on->bytes_received += received->length;
    if ((begin->flags & HQQ_FRAME_RESPONSE) != 0)
        hqq_call_answer(advanced, begin, received);
    else if ((begin->flags & HQQ_FRAME_REQUEST) != 0)
        hqq_requests_add(advanced, on, begin, received);
    else if (received->data) /* else a stream's function has had it */
        hqq_inbox_put(advanced, on, received, hqq_credit_cost(begin->total));
}

void hqq_deliver_failure(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
                         int error)
{
    advanced->stats.messages_refused++;
    if ((begin->flags & HQQ_FRAME_RESPONSE) != 0)
        hqq_call_fail(advanced, begin->connection, begin->message, error);
    else if ((begin->flags & HQQ_FRAME_REQUEST) != 0)
        hqq_requests_refuse(advanced, on, begin, error);
    else
        hqq_inbox_put_error(advanced, on, begin, error);
}
