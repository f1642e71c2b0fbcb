#include "advanced/enter.h"

#include "advanced/output.h"
#include "advanced/wake.h"

int hqq_advanced_begin(struct hqq_advanced *advanced)
{
    if (hqq_link_guard(advanced->link) == HQQ_ERROR_FORKED)
        return HQQ_ERROR_FORKED;
    hqq_advanced_lock(advanced);
    advanced->inside++;
    return 0;
}

int hqq_advanced_end(struct hqq_advanced *advanced, int result)
{
    if (result != 0 && result != HQQ_ERROR_TIMEOUT && result != HQQ_ERROR_WOULD_BLOCK)
        advanced->stats.errors++;
    if (advanced->first_control)
        hqq_output_push(advanced); /* what this call owes the peer */
    hqq_advanced_hand_over(advanced);
    if (--advanced->inside == 0)
        (void)pthread_cond_broadcast(&advanced->outside);
    hqq_advanced_unlock(advanced);
    return result;
}

int hqq_advanced_begin_agreed(struct hqq_advanced *advanced, uint64_t feature)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    if (!advanced->session.is_done)
        return hqq_advanced_end(advanced, advanced->ended != 0 ? advanced->ended : HQQ_ERROR_INVALID_OP);
    if ((feature & ~advanced->session.features) != 0)
        return hqq_advanced_end(advanced, HQQ_ERROR_INVALID_OP);
    return 0;
}
