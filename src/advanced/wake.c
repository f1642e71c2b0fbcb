#include "advanced/wake.h"

static void call_waiter(struct hqq_advanced *advanced, struct hqq_waiter *waiter)
{
    if (waiter->is_called)
        return;
    waiter->is_called = true;
    switch (waiter->how) {
    case HQQ_WAITING_TAKING:
        hqq_link_stop_taking(advanced->link);
        break;
    case HQQ_WAITING_ROOM:
        hqq_link_stop_awaiting(advanced->link);
        break;
    case HQQ_WAITING_ASLEEP:
    default:
        (void)pthread_cond_signal(&waiter->cond);
        break;
    }
}

void hqq_advanced_wake(struct hqq_advanced *advanced, const void *object)
{
    for (struct hqq_waiter *waiter = advanced->waiters; waiter; waiter = waiter->next) {
        if (waiter->object == object)
            call_waiter(advanced, waiter);
    }
}

void hqq_advanced_wake_one(struct hqq_advanced *advanced)
{
    for (struct hqq_waiter *waiter = advanced->waiters; waiter; waiter = waiter->next) {
        if (!waiter->is_called) {
            call_waiter(advanced, waiter);
            return;
        }
    }
}

void hqq_advanced_wake_all(struct hqq_advanced *advanced)
{
    for (struct hqq_waiter *waiter = advanced->waiters; waiter; waiter = waiter->next)
        call_waiter(advanced, waiter);
}

void hqq_advanced_hand_over(struct hqq_advanced *advanced)
{
    bool lacks_something = advanced->room_wanted != 0 || advanced->rate_until_ns != HQQ_FOREVER;
    if (!hqq_advanced_may_take(advanced) && !lacks_something)
        return;
    for (struct hqq_waiter *waiter = advanced->waiters; waiter; waiter = waiter->next) {
        if (waiter->is_called || waiter->is_looking)
            return;
    }
    hqq_advanced_wake_one(advanced);
}
