#include "socket/doorbell.h"

#include "base/point.h"
#include "platform/barrier.h"
#include "platform/clock.h"
#include "platform/trace.h"
#include "socket/route.h"
#include "socket/spin.h"

#include <hqq/link.h>

#define CALM 64
#define SWEEP 8

/* Bells of pairs that were not looked at, and what one is worth in doors that are opened and armed again. */
#define MANY_BELLS 4
#define PAIRS_FOR_A_BELL 64

static void set_door(struct hqq_pair *pair, uint32_t door)
{
    if (!pair->is_closing)
        hqq_store32_release(&pair->own->door, door);
}

static void close_door(struct hqq_pair *pair)
{
    set_door(pair, HQQ_DOOR_CLOSED);
    pair->is_closing = true;
}

/* ---- Which pairs are looked at --------------------------------------------------------------------------------- */

struct hqq_pair *hqq_doorbell_find(const struct hqq_endpoint *endpoint, const struct hqq_token *token)
{
    struct hqq_pair *pair = endpoint->by_id[token->id.word[1] % HQQ_ID_BUCKETS];
    while (pair && !hqq_pair_id_equal(&pair->id, &token->id))
        pair = pair->id_next;
    return pair;
}

void hqq_doorbell_activate(struct hqq_endpoint *endpoint, struct hqq_pair *pair)
{
    if (pair->is_active)
        return;
    pair->is_active = true;
    pair->active_next = NULL;
    pair->active_previous = endpoint->active_last;
    if (pair->active_previous)
        pair->active_previous->active_next = pair;
    else
        endpoint->active = pair;
    endpoint->active_last = pair;
    pair->limit = endpoint->head_is_data ? hqq_load_relaxed(hqq_ring_r(&pair->rx)) : 0;
    pair->limit_of = endpoint->head_count;
}

static void deactivate(struct hqq_endpoint *endpoint, struct hqq_pair *pair)
{
    if (pair->active_previous)
        pair->active_previous->active_next = pair->active_next;
    else
        endpoint->active = pair->active_next;
    if (pair->active_next)
        pair->active_next->active_previous = pair->active_previous;
    else
        endpoint->active_last = pair->active_previous;
    pair->active_next = pair->active_previous = NULL;
    pair->is_active = false;
    if (endpoint->current == pair)
        endpoint->current = NULL;
}

static bool is_unproved(const struct hqq_pair *pair)
{
    return pair->is_attached && !pair->is_met;
}

void hqq_doorbell_add(struct hqq_endpoint *endpoint, struct hqq_pair *pair)
{
    struct hqq_pair **bucket = &endpoint->by_id[pair->id.word[1] % HQQ_ID_BUCKETS];
    hqq_store32_relaxed(&endpoint->may_meet_tokens, 1);
    pair->next = NULL;
    pair->previous = endpoint->pairs_last;
    if (pair->previous)
        pair->previous->next = pair;
    else
        endpoint->pairs = pair;
    endpoint->pairs_last = pair;
    pair->id_next = *bucket;
    *bucket = pair;
    endpoint->pair_count++;
    endpoint->unproved_count += is_unproved(pair);
    if (hqq_load32_relaxed(&endpoint->park) != 0)
        endpoint->is_parked = true;
    set_door(pair, endpoint->is_parked ? HQQ_DOOR_PARKED : HQQ_DOOR_AWAKE);
}

void hqq_doorbell_meet(struct hqq_endpoint *endpoint, struct hqq_pair *pair)
{
    endpoint->unproved_count -= is_unproved(pair);
    pair->is_met = true;
}

void hqq_doorbell_unlist(struct hqq_endpoint *endpoint, struct hqq_pair *pair)
{
    struct hqq_pair **bucket = &endpoint->by_id[pair->id.word[1] % HQQ_ID_BUCKETS];
    while (*bucket != pair)
        bucket = &(*bucket)->id_next;
    *bucket = pair->id_next;
    if (pair->is_active)
        deactivate(endpoint, pair);
    if (pair->previous)
        pair->previous->next = pair->next;
    else
        endpoint->pairs = pair->next;
    if (pair->next)
        pair->next->previous = pair->previous;
    else
        endpoint->pairs_last = pair->previous;
    if (endpoint->swept == pair)
        endpoint->swept = pair->next;
    endpoint->pair_count--;
    endpoint->unproved_count -= is_unproved(pair);
}

void hqq_doorbell_break(struct hqq_endpoint *endpoint, struct hqq_pair *pair)
{
    hqq_doorbell_unlist(endpoint, pair);
    close_door(pair);
    if (hqq_lock_take(&endpoint->send_lock)) {
        hqq_route_disown(endpoint, pair);
        if (!pair->is_attached && hqq_pair_peer_has_left(pair))
            hqq_route_abandon(endpoint, pair);
        hqq_lock_give(&endpoint->send_lock);
    }
    hqq_pair_drop(pair);
}

void hqq_doorbell_close(struct hqq_endpoint *endpoint)
{
    for (struct hqq_pair *pair = endpoint->pairs; pair; pair = pair->next) {
        close_door(pair);
        hqq_doorbell_activate(endpoint, pair);
    }
    hqq_doorbell_arm(endpoint); /* the fence */
    hqq_doorbell_sweep(endpoint);
}

void hqq_doorbell_hand_over(struct hqq_endpoint *endpoint)
{
    for (struct hqq_pair *pair = endpoint->pairs; pair; pair = pair->next) {
        set_door(pair, HQQ_DOOR_HANDED_OVER);
        pair->is_closing = true;
        hqq_doorbell_activate(endpoint, pair);
    }
    hqq_doorbell_arm(endpoint); /* the fence */
}

/* An offer that was never proved does not stay for ever. */
#define PROOF_TIME_NS (10 * HQQ_NS_PER_S)

static bool is_over(const struct hqq_pair *pair)
{
    if (is_unproved(pair) && hqq_is_due(hqq_clock_ns(), pair->since_ns, PROOF_TIME_NS))
        return true;
    bool is_closed =
        pair->is_closing || hqq_load32_acquire(&pair->given_up) != 0 || hqq_pair_peer_has_left(pair); /* edge D8 */
    return is_closed && !hqq_ring_is_readable(&pair->rx);
}

/* A few at a time, as each takes a look at memory that the peer writes. */
void hqq_doorbell_sweep(struct hqq_endpoint *endpoint)
{
    for (uint32_t i = 0; i < SWEEP && i < endpoint->pair_count; i++) {
        struct hqq_pair *pair = endpoint->swept ? endpoint->swept : endpoint->pairs;
        endpoint->swept = pair->next;
        if (is_over(pair))
            hqq_doorbell_break(endpoint, pair);
    }
}

/* ---- Arming ---------------------------------------------------------------------------------------------------- */

/*
 * Stores the doors, then makes sure that every publish either comes before the look that the caller does next or finds
 * the door armed: by our fence and the publisher's, or for those that publish without one by a barrier that membarrier
 * makes them pass (edges D1, D2).
 */
static bool fence(bool has_light)
{
    hqq_fence_full();
    return !has_light || hqq_barrier_everywhere();
}

bool hqq_doorbell_arm(struct hqq_endpoint *endpoint)
{
    bool has_light = false;
    if (!endpoint->active)
        return true;
    HQQ_POINT("socket.arming");
    if (!endpoint->is_parked) {
        for (struct hqq_pair *pair = endpoint->active; pair; pair = pair->active_next) {
            pair->epoch = (pair->epoch + 1) & (UINT32_MAX >> HQQ_DOOR_BITS);
            set_door(pair, pair->epoch << HQQ_DOOR_BITS | HQQ_DOOR_ARMED);
        }
    }
    for (struct hqq_pair *pair = endpoint->active; pair; pair = pair->active_next)
        has_light |= hqq_load32_acquire(&pair->peer->is_light) != 0;
    HQQ_POINT("socket.armed");
    return fence(has_light);
}

void hqq_doorbell_disarm(struct hqq_endpoint *endpoint)
{
    if (endpoint->is_parked)
        return;
    for (struct hqq_pair *pair = endpoint->active; pair; pair = pair->active_next)
        set_door(pair, HQQ_DOOR_AWAKE);
}

bool hqq_doorbell_is_news(const struct hqq_endpoint *endpoint, const struct hqq_token *token)
{
    const struct hqq_pair *pair = token->kind == HQQ_TOKEN_BELL ? hqq_doorbell_find(endpoint, token) : NULL;
    return pair && token->value == pair->epoch;
}

/*
 * A bell has come. Where many pairs were armed together each costs its sender a bell of its own, of which the queue
 * holds but a few. So once as much has been paid for bells, one soon after the other, as opening all doors and arming
 * them again would cost, they are opened, and all rings looked at until the next sleep. Not beside a thread that sleeps
 * already, or a program that waits unseen: they rely on armed doors, and on the tokens that those bring.
 */
void hqq_doorbell_rung(struct hqq_endpoint *endpoint, struct hqq_pair *pair)
{
    bool is_news = !pair->is_active;
    bool has_unseen_waiter =
        hqq_load32_relaxed(&endpoint->is_ours_only) == 0 || hqq_load32_relaxed(&endpoint->sleepers) != 0;
    hqq_doorbell_activate(endpoint, pair);
    if (endpoint->is_parked || has_unseen_waiter || !is_news)
        return;
    uint32_t woken = hqq_load32_relaxed(&endpoint->woken) + 1;
    hqq_store32_relaxed(&endpoint->woken, woken);
    if (woken < MANY_BELLS + endpoint->pair_count / PAIRS_FOR_A_BELL)
        return;
    hqq_store32_relaxed(&endpoint->woken, 0);
    for (struct hqq_pair *other = endpoint->pairs; other; other = other->next) {
        if (other->is_active || !other->is_met || other->is_closing)
            continue;
        set_door(other, HQQ_DOOR_AWAKE);
        hqq_doorbell_activate(endpoint, other);
    }
}

/* ---- Parking --------------------------------------------------------------------------------------------------- */

void hqq_doorbell_park(struct hqq_endpoint *endpoint)
{
    endpoint->calm = 0;
    if (endpoint->is_parked)
        return;
    endpoint->is_parked = true;
    hqq_count_own(&endpoint->counters->parked, 1);
    for (struct hqq_pair *pair = endpoint->pairs; pair; pair = pair->next) {
        set_door(pair, HQQ_DOOR_PARKED);
        hqq_doorbell_activate(endpoint, pair);
    }
    hqq_doorbell_arm(endpoint); /* the fence */
}

static void unpark(struct hqq_endpoint *endpoint)
{
    endpoint->is_parked = false;
    for (struct hqq_pair *pair = endpoint->pairs; pair; pair = pair->next) {
        set_door(pair, HQQ_DOOR_AWAKE);
        hqq_doorbell_activate(endpoint, pair);
    }
}

void hqq_doorbell_enter(struct hqq_endpoint *endpoint)
{
    if (__builtin_expect(hqq_load32_relaxed(&endpoint->sleepers) != 0, 0)) {
        hqq_doorbell_park(endpoint);
    } else if (__builtin_expect(endpoint->is_parked, 0) && hqq_load32_relaxed(&endpoint->park) == 0 &&
               ++endpoint->calm >= CALM) {
        unpark(endpoint);
    }
}

/* ---- Sleeping -------------------------------------------------------------------------------------------------- */

void hqq_doorbell_enter_sleep(struct hqq_endpoint *endpoint)
{
    struct hqq_pair *next;
    for (struct hqq_pair *pair = endpoint->active; pair; pair = next) {
        next = pair->active_next;
        if (!hqq_ring_is_readable(&pair->rx)) /* what a parked one holds still is looked at again */
            deactivate(endpoint, pair);
    }
    hqq_add32_relaxed(&endpoint->sleepers, 1);
    hqq_count_own(&endpoint->counters->sleeps, 1);
}

void hqq_doorbell_leave_sleep(void *endpoint)
{
    struct hqq_endpoint *slept_for = endpoint;
    hqq_sub32_relaxed(&slept_for->sleepers, 1);
}

void hqq_doorbell_woke(struct hqq_endpoint *endpoint)
{
    if (hqq_load32_relaxed(&endpoint->sleepers) != 0)
        hqq_doorbell_park(endpoint);
}
