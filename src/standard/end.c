#include "standard/end.h"

#include <errno.h>

#include <hqq/error.h>

#include "base/point.h"
#include "platform/process.h"
#include "ring/recover.h"

#define STATE_SHIFT HQQ_PROCESS_BITS
#define IDENTITY_MASK ((UINT64_C(1) << HQQ_PROCESS_BITS) - 1)

static uint64_t owner_of(enum hqq_end_state state, uint64_t identity)
{
    return (uint64_t)state << STATE_SHIFT | identity;
}

enum hqq_end_state hqq_end_state(uint64_t owner)
{
    uint64_t state = owner >> STATE_SHIFT;
    return state <= HQQ_END_DEAD ? (enum hqq_end_state)state : HQQ_END_NONE;
}

static bool is_held(enum hqq_end_state state)
{
    return state == HQQ_END_ALIVE || state == HQQ_END_SHUT || state == HQQ_END_RECOVERING;
}

bool hqq_end_is_gone(const struct hqq_end *end, bool can_check)
{
    uint64_t owner = hqq_load_acquire(&end->owner);
    enum hqq_end_state state = hqq_end_state(owner);
    if (state == HQQ_END_CLOSED || state == HQQ_END_DEAD)
        return true;
    return is_held(state) && can_check && hqq_process_is_dead(owner & IDENTITY_MASK);
}

static uint64_t sweep(const struct hqq_end_view *view)
{
    /* Nobody of that end sleeps any more, whatever it has counted. */
    for (int i = 0; i < 2; i++) {
        hqq_store32_relaxed(&view->bells[i]->sleepers, 0);
        hqq_store32_relaxed(&view->bells[i]->armed, 0);
        hqq_store32_relaxed(&view->bells[i]->is_polled, 0);
    }
    return hqq_ring_recover_producers(view->produces) + hqq_ring_recover_consumers(view->consumes);
}

bool hqq_end_recover(const struct hqq_end_view *view, uint64_t self, uint64_t *ret_recovered)
{
    uint64_t owner = hqq_load_acquire(&view->end->owner); /* edge E1 */
    enum hqq_end_state found = hqq_end_state(owner);
    if (self == HQQ_PROCESS_UNKNOWN || !is_held(found))
        return false;
    if (!hqq_process_is_dead(owner & IDENTITY_MASK))
        return false;
    /* The word still names the process that was found dead, so nobody else has begun to recover, or who had is dead. */
    if (!hqq_cas_acq_rel(&view->end->owner, &owner, owner_of(HQQ_END_RECOVERING, self)))
        return false;
    HQQ_POINT("recover.begun");
    *ret_recovered = sweep(view);
    HQQ_POINT("recover.done");
    /* edge E1: with the claim in hqq_end_claim() and the load of who waits. The slots are free before the end says
     * dead. */
    hqq_store_release(&view->end->owner, owner_of(found == HQQ_END_SHUT ? HQQ_END_CLOSED : HQQ_END_DEAD, 0));
    return true;
}

void hqq_end_hold(struct hqq_end *end, uint64_t self, bool is_light)
{
    hqq_store32_relaxed(&end->is_light, is_light);
    hqq_store_relaxed(&end->owner, owner_of(HQQ_END_ALIVE, self));
}

int hqq_end_claim(const struct hqq_end_view *view, uint64_t self, bool is_light, uint64_t *ret_recovered)
{
    *ret_recovered = 0;
    hqq_end_recover(view, self, ret_recovered);
    uint64_t owner = hqq_load_acquire(&view->end->owner); /* edge E1 */
    enum hqq_end_state state = hqq_end_state(owner);
    if (state == HQQ_END_RECOVERING)
        return -EAGAIN;
    if (is_held(state))
        return HQQ_ERROR_BUSY;
    if (!hqq_cas_acq_rel(&view->end->owner, &owner, owner_of(HQQ_END_ALIVE, self)))
        return -EAGAIN;
    /* edge L2: with the fence in hqq_bell_arm(). Whoever was asleep before this is seen is woken by the caller. */
    hqq_store32_relaxed(&view->end->is_light, is_light);
    HQQ_POINT("end.claimed");
    return 0;
}

void hqq_end_shut(struct hqq_end *end)
{
    uint64_t owner = hqq_load_relaxed(&end->owner);
    if (hqq_end_state(owner) != HQQ_END_ALIVE)
        return;
    /* edge E2: with the load of who waits. What this thread published comes before the end says shut. A word that
     * changed under us was changed by a hostile peer, or by another thread that shuts it. */
    hqq_cas_acq_rel(&end->owner, &owner, owner_of(HQQ_END_SHUT, owner & IDENTITY_MASK));
    HQQ_POINT("end.closing");
}

void hqq_end_leave(const struct hqq_end_view *view, bool holds_slots)
{
    if (holds_slots)
        sweep(view);
    hqq_store_release(&view->end->owner, owner_of(HQQ_END_CLOSED, 0)); /* edge E1 */
}
