/* A writing thread of the link's stress tests: numbers its datagrams and sends them by whichever call comes up. */
#include "stress/link.h"

#include <sched.h>

#include <hqq/error.h>

/* What comes next of a producer: its next number, or now and then a datagram too short to carry one. */
struct next {
    size_t length;
    uint32_t number;
    bool is_filler;
};

static struct next draw(struct stress_thread *self, uint32_t number)
{
    uint64_t size = self->round->mode.size;
    struct next next = {.number = number, .is_filler = heavy_one_in(&self->random, 32)};
    if (next.is_filler)
        next.length = 1 + heavy_below(&self->random, HEAVY_ELEMENT_MIN - 1);
    else if (heavy_one_in(&self->random, 4))
        next.length = size;
    else
        next.length = HEAVY_ELEMENT_MIN + heavy_below(&self->random, size - HEAVY_ELEMENT_MIN + 1);
    return next;
}

static void fill(const struct stress_thread *self, void *data, const struct next *next)
{
    heavy_element_fill(data, next->length, self->index, next->number);
}

/* To be called before the datagram can be taken, so that nobody finds more taken than sent. */
static void count(struct stress_thread *self, const struct next *next)
{
    atomic_fetch_add(next->is_filler ? &self->direction->fillers_sent : &self->direction->sent, 1);
    atomic_fetch_add(&self->direction->bytes_sent, next->length);
}

static void uncount(struct stress_thread *self, const struct next *next)
{
    atomic_fetch_sub(next->is_filler ? &self->direction->fillers_sent : &self->direction->sent, 1);
    atomic_fetch_sub(&self->direction->bytes_sent, next->length);
}

/* True if the call did what it should; false if it came back without for a reason that may be. */
static bool is_done(struct stress_thread *self, const char *call, int result)
{
    if (result == 0)
        return true;
    if (result != HQQ_ERROR_TIMEOUT && result != HQQ_ERROR_WOULD_BLOCK)
        heavy_fail("%s: %d (%s)", call, result, hqq_strerror(result));
    stress_move_deadlines(self, false);
    sched_yield();
    return false;
}

/* Each of these sends at most what is left up to the number end, and returns by how much the number rises. */

static uint32_t send_copy(struct stress_thread *self, uint32_t number, unsigned call)
{
    struct next next = draw(self, number);
    struct hqq_address to;
    int result;
    fill(self, self->buffers, &next);
    do {
        count(self, &next);
        if (call == STRESS_WRITE_TO) {
            hqq_link_remote_address(self->link, &to);
            result = hqq_link_write_to(self->link, self->buffers, next.length, &to);
        } else {
            result = call == STRESS_WRITE_TRY ? hqq_link_try_write(self->link, self->buffers, next.length)
                                              : hqq_link_write(self->link, self->buffers, next.length);
        }
        if (result != 0)
            uncount(self, &next);
    } while (!is_done(self, "write", result));
    return next.is_filler ? 0 : 1;
}

static uint32_t send_batch(struct stress_thread *self, uint32_t number, uint32_t end)
{
    struct hqq_message messages[STRESS_BATCH_MAX];
    struct next next[STRESS_BATCH_MAX];
    size_t length = 1 + heavy_below(&self->random, STRESS_BATCH_MAX);
    size_t drawn = 0;
    uint32_t rise = 0;
    while (drawn < length && number + rise < end) {
        unsigned char *buffer = self->buffers + drawn * self->round->mode.size;
        next[drawn] = draw(self, number + rise);
        fill(self, buffer, &next[drawn]);
        messages[drawn] = (struct hqq_message){.data = buffer, .length = next[drawn].length};
        count(self, &next[drawn]);
        rise += next[drawn].is_filler ? 0 : 1;
        drawn++;
    }
    for (size_t sent = 0; sent < drawn;) {
        size_t written;
        int result = hqq_link_write_batch(self->link, messages + sent, drawn - sent, &written);
        if (written > drawn - sent || (result == 0) != (written == drawn - sent))
            heavy_fail("write_batch: %zu of %zu written, and the result is %d", written, drawn - sent, result);
        sent += written;
        is_done(self, "write_batch", result);
    }
    return rise;
}

static bool reserve(struct stress_thread *self, struct hqq_slot *ret_slot)
{
    if (!is_done(self, "reserve", hqq_link_reserve(self->link, ret_slot)))
        return false;
    if (ret_slot->length != self->round->mode.size)
        heavy_fail("reserve: %zu bytes fit, not %llu", ret_slot->length, (unsigned long long)self->round->mode.size);
    return true;
}

static uint32_t commit(struct stress_thread *self, struct hqq_slot *slot, uint32_t number)
{
    if (heavy_one_in(&self->random, 5)) {
        heavy_element_fill(slot->data, self->round->mode.size, 255, number); /* nobody's: must never be seen */
        heavy_expect("abort", hqq_link_abort(self->link, slot, heavy_next(&self->random)), 0);
        return 0;
    }
    struct next next = draw(self, number);
    fill(self, slot->data, &next);
    if (heavy_one_in(&self->random, 8))
        sched_yield();
    count(self, &next);
    heavy_expect("commit", hqq_link_commit(self->link, slot, next.length), 0);
    return next.is_filler ? 0 : 1;
}

/* Slots are claimed in order, and so numbered; they may be committed in any. */
static uint32_t send_slots(struct stress_thread *self, uint32_t number, uint32_t end)
{
    struct hqq_slot first, second;
    if (!reserve(self, &first))
        return 0;
    if (number + 2 > end || !stress_may_hold_two(&self->round->mode) || !reserve(self, &second))
        return commit(self, &first, number);
    /* The number of the second must be higher, and all numbers be used: so the first may not be aborted. */
    struct next next = {.number = number, .length = HEAVY_ELEMENT_MIN};
    uint32_t rise = commit(self, &second, number + 1);
    fill(self, first.data, &next);
    count(self, &next);
    heavy_expect("commit", hqq_link_commit(self->link, &first, next.length), 0);
    return rise + 1;
}

struct filling {
    struct stress_thread *self;
    struct next next;
    bool fails;
};

#define FILLING_FAILED 4711

static int fill_in_place(void *data, size_t capacity, size_t *ret_length, void *arg)
{
    struct filling *filling = arg;
    if (capacity != filling->self->round->mode.size)
        heavy_fail("write_with: capacity %zu", capacity);
    if (filling->fails)
        return FILLING_FAILED;
    fill(filling->self, data, &filling->next);
    count(filling->self, &filling->next);
    *ret_length = filling->next.length;
    return 0;
}

static uint32_t send_with(struct stress_thread *self, uint32_t number)
{
    struct filling filling = {self, draw(self, number), heavy_one_in(&self->random, 5)};
    int result = hqq_link_write_with(self->link, fill_in_place, &filling);
    if (filling.fails && result == FILLING_FAILED)
        return 0;
    return is_done(self, "write_with", result) && !filling.next.is_filler ? 1 : 0;
}

void stress_produce(struct stress_thread *self)
{
    uint32_t end = self->round->mode.per_round;
    stress_move_deadlines(self, false);
    for (uint32_t number = 0; number < end;) {
        unsigned call = stress_pick(&self->random, self->round->mode.writes);
        switch (call) {
        case STRESS_WRITE_BATCH:
            number += send_batch(self, number, end);
            break;
        case STRESS_WRITE_SLOTS:
            number += send_slots(self, number, end);
            break;
        case STRESS_WRITE_WITH:
            number += send_with(self, number);
            break;
        default:
            number += send_copy(self, number, call);
            break;
        }
    }
}
