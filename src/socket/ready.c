#include "socket/ready.h"

#include <hqq/link.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "socket/doorbell.h"
#include "socket/offers.h"
#include "socket/queue.h"
#include "socket/receive.h"
#include "socket/rings.h"

/* How long a store may stay in another processor's buffer, generously. */
#define UNSEEN_NS (50 * HQQ_NS_PER_US)

bool hqq_receive_is_ready(struct hqq_endpoint *endpoint, int fd)
{
    if (endpoint->offered)
        hqq_offers_take_over(endpoint);
    for (int i = 0; i < HQQ_TOKENS_MOST; i++) {
        struct hqq_pair *broken = NULL;
        for (struct hqq_pair *pair = endpoint->active; pair && !broken; pair = pair->active_next) {
            enum hqq_look look = hqq_rings_look(endpoint, pair);
            if (look == HQQ_LOOK_DATA)
                return true;
            if (look == HQQ_LOOK_BROKEN)
                broken = pair;
        }
        if (broken) {
            hqq_doorbell_break(endpoint, broken);
            continue;
        }
        struct hqq_token token;
        switch (hqq_queue_ask(fd, &token)) {
        case HQQ_QUEUE_END:
            hqq_store32_relaxed(&endpoint->is_kernel_only, HQQ_KERNEL_ONLY_SHUT);
            return true;
        case HQQ_QUEUE_DATA:
        case HQQ_QUEUE_ERROR:
            return true;
        case HQQ_QUEUE_EMPTY:
            if (!hqq_rings_pass_noted(endpoint))
                return false;
            break;
        case HQQ_QUEUE_TOKEN:
        default:
            if (!hqq_queue_may_pop(endpoint, &token) || !hqq_queue_pop_token(endpoint, fd))
                return true;
            break;
        }
    }
    return true;
}

/* How often pairs that are over are looked for: else their memory would be kept until somebody offers another one. */
#define SWEEP_NS (10 * HQQ_NS_PER_MS)

static void sweep_now_and_then(struct hqq_endpoint *endpoint)
{
    uint64_t now = hqq_clock_ns();
    if (!hqq_is_due(now, endpoint->swept_ns, SWEEP_NS))
        return;
    endpoint->swept_ns = now;
    hqq_doorbell_sweep(endpoint);
}

bool hqq_receive_arm(struct hqq_endpoint *endpoint, int fd)
{
    hqq_offers_look(endpoint, true);
    if (endpoint->pairs)
        sweep_now_and_then(endpoint);
    if (!endpoint->pairs)
        return true;
    if (hqq_receive_is_ready(endpoint, fd))
        return false;
    if (!hqq_doorbell_arm(endpoint)) /* the barrier was refused: what was published will be seen very soon */
        hqq_sys.sleep_until(hqq_clock_ns() + UNSEEN_NS);
    if (!hqq_receive_glance(endpoint))
        return true;
    hqq_doorbell_disarm(endpoint);
    return false;
}

void hqq_ready_settle(struct hqq_endpoint *endpoint, int fd)
{
    struct hqq_token token;
    if (!endpoint->pairs || hqq_receive_glance(endpoint))
        return;
    hqq_doorbell_arm(endpoint);
    for (int tokens = 0; tokens < HQQ_TOKENS_MOST && !hqq_receive_glance(endpoint) &&
                         hqq_queue_ask(fd, &token) == HQQ_QUEUE_TOKEN && !hqq_doorbell_is_news(endpoint, &token);
         tokens++) {
        if (!hqq_queue_may_pop(endpoint, &token) || !hqq_queue_pop_token(endpoint, fd))
            return; /* the first one of a pair may be all that tells */
        hqq_doorbell_arm(endpoint);
    }
}

/* From where on a wait has not been told. By what is published, not by w: what is only claimed is not there for a receive
 * yet, and is to be told when it is. */
static uint64_t first_untold(const struct hqq_pair *pair)
{
    uint64_t r = hqq_load_relaxed(hqq_ring_r(&pair->rx));
    return hqq_ring_distance(pair->told, r) < 0 ? r : pair->told;
}

static bool is_published(const struct hqq_pair *pair, uint64_t position)
{
    return hqq_load_relaxed(hqq_ring_seq(&pair->rx, position)) == position + 1;
}

bool hqq_receive_has_news(const struct hqq_endpoint *endpoint)
{
    for (struct hqq_pair *pair = endpoint->active; pair; pair = pair->active_next) {
        if (hqq_pair_is_met(pair) && is_published(pair, first_untold(pair)))
            return true;
    }
    return false;
}

void hqq_receive_note_told(struct hqq_endpoint *endpoint)
{
    for (struct hqq_pair *pair = endpoint->pairs; pair; pair = pair->next) {
        pair->told = first_untold(pair);
        for (uint64_t i = 0; i < pair->rx.count && is_published(pair, pair->told); i++)
            pair->told++;
    }
}

void hqq_receive_forget_told(struct hqq_endpoint *endpoint)
{
    for (struct hqq_pair *pair = endpoint->pairs; pair; pair = pair->next)
        pair->told = hqq_load_relaxed(hqq_ring_r(&pair->rx)) - 1;
}
