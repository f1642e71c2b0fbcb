#include "advanced/schedule.h"

#include "advanced/credit.h"

#define TURNS_OF_THE_LOWEST 32

static uint32_t class_of(const struct hqq_advanced *advanced, const struct hqq_connection *on)
{
    return hqq_advanced_has(advanced, HQQ_FEATURE_QOS) ? on->priority : HQQ_PRIORITY_NORMAL;
}

static void append(struct hqq_ready *ready, struct hqq_connection *on)
{
    on->next_ready = NULL;
    *ready->last = on;
    ready->last = &on->next_ready;
}

static void take_out(struct hqq_ready *ready, struct hqq_connection *on)
{
    struct hqq_connection **at = &ready->first;
    while (*at != on)
        at = &(*at)->next_ready;
    *at = on->next_ready;
    if (!*at)
        ready->last = at;
}

void hqq_schedule_ready(struct hqq_advanced *advanced, struct hqq_connection *on)
{
    if (on->turn != HQQ_TURN_NONE || !on->first_item)
        return;
    on->turn = HQQ_TURN_READY;
    on->ready_class = class_of(advanced, on);
    append(&advanced->ready[on->ready_class], on);
}

void hqq_schedule_look_again(struct hqq_connection *on)
{
    if (on->turn == HQQ_TURN_NO_CREDIT)
        on->turn = HQQ_TURN_NONE;
}

void hqq_schedule_remove(struct hqq_advanced *advanced, struct hqq_connection *on)
{
    if (on->turn != HQQ_TURN_READY)
        return;
    on->turn = HQQ_TURN_NONE;
    take_out(&advanced->ready[on->ready_class], on);
}

/* How many slots must be free for a chunk of that class. */
static uint64_t room_of(const struct hqq_advanced *advanced, uint32_t priority)
{
    uint64_t count = advanced->link->tx.count;
    if (!hqq_advanced_has(advanced, HQQ_FEATURE_QOS))
        return 1;
    uint64_t room = count - count * (priority + 1) / HQQ_PRIORITIES + 1;
    return room < count ? room : count;
}

/* True if a rate does not let a chunk of the connection go yet. Notes the earliest time. */
static bool is_held_back(struct hqq_advanced *advanced, const struct hqq_connection *on, uint64_t now_ns)
{
    uint64_t own = hqq_rate_ready_ns(&on->rate), all = hqq_rate_ready_ns(&advanced->rate);
    uint64_t ready_ns = own > all ? own : all;
    if (ready_ns <= now_ns)
        return false;
    if (ready_ns < advanced->rate_until_ns)
        advanced->rate_until_ns = ready_ns;
    return true;
}

static uint64_t capacity_of(const struct hqq_advanced *advanced)
{
    return advanced->link->tx.buffer_size - hqq_advanced_overhead(advanced->session.is_sealing);
}

uint64_t hqq_schedule_chunks(const struct hqq_advanced *advanced, const struct hqq_item *item)
{
    uint64_t capacity = capacity_of(advanced);
    return item->left == 0 ? 1 : item->left / capacity + (item->left % capacity != 0);
}

/* Cuts the next chunk. False if there is no credit for any of it, or not for a datagram, which cannot be cut. */
static bool cut(struct hqq_advanced *advanced, struct hqq_connection *on)
{
    struct hqq_item *item = on->first_item;
    uint64_t capacity = capacity_of(advanced);
    uint64_t want = item->left < capacity ? item->left : capacity;
    bool may_go;
    item->chunk.size = hqq_credit_left(advanced, on, item, want, &may_go);
    if ((item->chunk.flags & HQQ_FRAME_DATAGRAM) != 0)
        return may_go && item->chunk.size == want;
    return may_go && (item->chunk.size != 0 || want == 0);
}

/* The first connection of a class that may go. Those that turn out to have no credit leave the ring. */
static struct hqq_connection *next_of_class(struct hqq_advanced *advanced, size_t class, uint64_t now_ns)
{
    struct hqq_ready *ready = &advanced->ready[class];
    struct hqq_connection *next;
    for (struct hqq_connection *on = ready->first; on; on = next) {
        next = on->next_ready;
        if (is_held_back(advanced, on, now_ns))
            continue;
        if (cut(advanced, on))
            return on;
        on->turn = HQQ_TURN_NO_CREDIT;
        take_out(ready, on);
        advanced->stats.credit_waits++;
    }
    return NULL;
}

struct hqq_connection *hqq_schedule_next(struct hqq_advanced *advanced, uint64_t now_ns, uint64_t *ret_room)
{
    bool lowest_first = advanced->turn % TURNS_OF_THE_LOWEST == TURNS_OF_THE_LOWEST - 1;
    advanced->rate_until_ns = HQQ_FOREVER;
    for (uint32_t i = 0; i < HQQ_PRIORITIES; i++) {
        uint32_t class = lowest_first ? i : HQQ_PRIORITIES - 1 - i;
        struct hqq_connection *on = next_of_class(advanced, class, now_ns);
        if (!on)
            continue;
        *ret_room = lowest_first ? 1 : room_of(advanced, class);
        return on;
    }
    return NULL;
}

void hqq_schedule_sent(struct hqq_advanced *advanced, struct hqq_connection *on, uint64_t now_ns)
{
    uint64_t bytes = on->first_item->chunk.size + hqq_advanced_overhead(advanced->session.is_sealing);
    advanced->turn++;
    hqq_rate_take(&on->rate, bytes, now_ns);
    hqq_rate_take(&advanced->rate, bytes, now_ns);
    hqq_credit_use(on, on->first_item, on->first_item->chunk.size);
    hqq_schedule_remove(advanced, on);
}
