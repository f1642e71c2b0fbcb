/* Whatever comes next: one call for messages, requests and connections, in the order in which they came. */
#include "advanced/connect.h"
#include "advanced/enter.h"
#include "advanced/handlers.h"
#include "advanced/inbox.h"
#include "advanced/output.h"
#include "advanced/requests.h"
#include "advanced/wait.h"

/* What this call may take: not the requests that a handler is for. */
static struct hqq_news *first_of(struct hqq_advanced *advanced)
{
    struct hqq_news *news = advanced->news;
    while (news && news->kind == HQQ_NEWS_REQUEST && hqq_handlers_is_handled(advanced, news->object))
        news = news->next;
    return news;
}

static bool is_any_there(void *arg)
{
    return first_of(arg) != NULL;
}

static void take_arrival(struct hqq_advanced *advanced, struct hqq_connection *on, struct hqq_next *ret_next)
{
    ret_next->error = hqq_inbox_take(advanced, on, &ret_next->message);
    ret_next->kind = ret_next->error == 0 ? HQQ_NEXT_MESSAGE : HQQ_NEXT_FAILED;
    ret_next->connection = on != advanced->ground ? on : NULL;
}

static void take(struct hqq_advanced *advanced, struct hqq_news *news, struct hqq_next *ret_next)
{
    *ret_next = (struct hqq_next){0};
    switch (news->kind) {
    case HQQ_NEWS_REQUEST:
        ret_next->kind = HQQ_NEXT_REQUEST;
        ret_next->request = news->object;
        hqq_requests_take(advanced, ret_next->request);
        break;
    case HQQ_NEWS_CONNECTION:
        ret_next->kind = HQQ_NEXT_CONNECTION;
        ret_next->connection = news->object;
        hqq_connect_take(advanced, ret_next->connection);
        break;
    case HQQ_NEWS_ARRIVAL:
    default:
        take_arrival(advanced, news->object, ret_next);
        break;
    }
}

int hqq_advanced_next(struct hqq_advanced *advanced, uint64_t deadline_ns, struct hqq_next *ret_next)
{
    const struct hqq_await wait = {
        .object = &advanced->news,
        .is_ready = is_any_there,
        .arg = advanced,
        .kind = HQQ_AWAIT_PEER,
        .deadline_ns = deadline_ns,
    };
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    if (!first_of(advanced) && !advanced->session.is_done)
        return hqq_advanced_end(advanced, advanced->ended != 0 ? advanced->ended : HQQ_ERROR_INVALID_OP);
    result = hqq_advanced_wait(advanced, &wait);
    struct hqq_news *news = first_of(advanced);
    if (news) {
        take(advanced, news, ret_next);
        result = 0;
        if (advanced->first_control) /* its credit */
            hqq_output_push(advanced);
    }
    return hqq_advanced_end(advanced, result);
}
