/* A reading thread of the link's stress tests: takes datagrams by whichever call comes up, checks and stamps each. */
#include "stress/link.h"

#include <sched.h>
#include <string.h>

#include <hqq/error.h>

/* What one reader knows. */
struct consumer {
    struct stress_thread *self;
    int64_t last[STRESS_PRODUCERS_MAX]; /* the number it took last of each producer */
    bool is_over;
};

/* True if the call brought a datagram. */
static bool is_done(struct consumer *consumer, const char *call, int result)
{
    if (result == 0)
        return true;
    if (result == HQQ_ERROR_CLOSED)
        consumer->is_over = true;
    else if (result != HQQ_ERROR_TIMEOUT && result != HQQ_ERROR_WOULD_BLOCK)
        heavy_fail("%s: %d (%s)", call, result, hqq_strerror(result));
    stress_move_deadlines(consumer->self, true);
    sched_yield();
    return false;
}

static void stamp(struct consumer *consumer, const char *call, unsigned producer, uint32_t number)
{
    struct stress_thread *self = consumer->self;
    const struct stress_mode *mode = &self->round->mode;
    if (producer >= mode->producers || number >= mode->per_round)
        heavy_fail("%s: a datagram of producer %u, number %u, which nobody sent", call, producer, number);
    uint8_t before =
        atomic_exchange(&self->direction->stamps[producer * mode->per_round + number], (uint8_t)(self->index + 1));
    if (before != 0)
        heavy_fail("%s: reader %u got what reader %d had already: producer %u, number %u", call, self->index,
                   before - 1, producer, number);
    if (consumer->last[producer] >= (int64_t)number)
        heavy_fail("%s: reader %u got number %u of producer %u after number %lld", call, self->index, number, producer,
                   (long long)consumer->last[producer]);
    consumer->last[producer] = number;

    atomic_fetch_add(&self->round->progress, 1);
    if (atomic_fetch_add(&self->direction->taken, 1) + 1 == (uint64_t)mode->producers * mode->per_round) {
        sem_post(&self->direction->all_taken);
        sem_post(&self->direction->all_taken);
    }
}

static void take(struct consumer *consumer, const char *call, const void *data, size_t length)
{
    unsigned producer;
    uint32_t number;
    if (length == 0 || length > consumer->self->round->mode.size)
        heavy_fail("%s: a datagram of %zu bytes", call, length);
    atomic_fetch_add(&consumer->self->direction->bytes_taken, length);
    switch (heavy_element_check(data, length, &producer, &number)) {
    case HEAVY_WHOLE:
        stamp(consumer, call, producer, number);
        break;
    case HEAVY_FILLER:
        atomic_fetch_add(&consumer->self->direction->fillers_taken, 1);
        break;
    case HEAVY_TORN:
    default:
        heavy_fail("%s: a torn datagram of %zu bytes", call, length);
    }
}

static void receive_copy(struct consumer *consumer, unsigned call)
{
    struct stress_thread *self = consumer->self;
    size_t size = self->round->mode.size;
    size_t length = SIZE_MAX;
    struct hqq_address from;
    int result;
    memset(self->buffers, 0xee, HEAVY_ELEMENT_MIN);
    switch (call) {
    case STRESS_READ_TRY:
        result = hqq_link_try_read(self->link, self->buffers, size, &length);
        break;
    case STRESS_READ_FROM:
        result = hqq_link_read_from(self->link, self->buffers, size, &length, &from);
        if (result == 0 && from.role == hqq_link_role(self->link))
            heavy_fail("read_from: from this very end");
        break;
    default:
        result = hqq_link_read(self->link, self->buffers, size, &length);
        break;
    }
    if (is_done(consumer, "read", result))
        take(consumer, "read", self->buffers, length);
    else if (length != SIZE_MAX)
        heavy_fail("read: no datagram, but a length");
}

/* The length seen by a peek is that of some datagram; whether of this reader's only if there is no other reader. */
static void receive_peeked(struct consumer *consumer)
{
    struct stress_thread *self = consumer->self;
    size_t peeked, length;
    if (!is_done(consumer, "peek", hqq_link_peek(self->link, &peeked)))
        return;
    if (peeked == 0 || peeked > self->round->mode.size)
        heavy_fail("peek: a datagram of %zu bytes", peeked);
    if (!is_done(consumer, "read", hqq_link_try_read(self->link, self->buffers, self->round->mode.size, &length)))
        return;
    if (self->round->mode.consumers == 1 && length != peeked)
        heavy_fail("peek saw %zu bytes, read got %zu", peeked, length);
    take(consumer, "peek", self->buffers, length);
}

/* What is cut off cannot be checked: what came is compared with what was written, which its header tells. */
static void receive_short(struct consumer *consumer)
{
    struct stress_thread *self = consumer->self;
    size_t size = self->round->mode.size;
    size_t capacity = HEAVY_ELEMENT_MIN + heavy_below(&self->random, size - HEAVY_ELEMENT_MIN + 1);
    size_t length = 0;
    int result = hqq_link_read(self->link, self->buffers, capacity, &length);
    if (result != HQQ_ERROR_TRUNCATED) {
        if (is_done(consumer, "short read", result))
            take(consumer, "short read", self->buffers, length);
        return;
    }
    if (length <= capacity || length > size)
        heavy_fail("short read: cut at %zu, though it was %zu bytes long", capacity, length);
    uint64_t header;
    unsigned char *whole = self->buffers + size;
    memcpy(&header, self->buffers, sizeof(header));
    heavy_element_fill(whole, length, (unsigned)(header >> 56), (uint32_t)(header >> 24));
    if (memcmp(whole, self->buffers, capacity) != 0)
        heavy_fail("short read: torn");
    take(consumer, "short read", whole, length);
}

static void receive_batch(struct consumer *consumer)
{
    struct stress_thread *self = consumer->self;
    struct hqq_message messages[STRESS_BATCH_MAX];
    size_t length = 1 + heavy_below(&self->random, STRESS_BATCH_MAX);
    size_t read;
    for (size_t i = 0; i < length; i++) {
        messages[i] = (struct hqq_message){
            .data = self->buffers + i * self->round->mode.size,
            .capacity = self->round->mode.size,
        };
    }
    int result = hqq_link_read_batch(self->link, messages, length, &read);
    if (read > length || (result == 0) != (read != 0))
        heavy_fail("read_batch: %zu of %zu read, and the result is %d", read, length, result);
    is_done(consumer, "read_batch", result);
    for (size_t i = 0; i < read; i++)
        take(consumer, "read_batch", messages[i].data, messages[i].length);
}

static bool borrow(struct consumer *consumer, struct hqq_slot *ret_slot)
{
    if (!is_done(consumer, "borrow", hqq_link_borrow(consumer->self->link, ret_slot)))
        return false;
    take(consumer, "borrow", ret_slot->data, ret_slot->length);
    return true;
}

static void give_back(struct consumer *consumer, struct hqq_slot *slot)
{
    unsigned producer;
    uint32_t number;
    if (heavy_element_check(slot->data, slot->length, &producer, &number) == HEAVY_TORN)
        heavy_fail("borrow: a datagram changed while it was borrowed");
    heavy_expect("release", hqq_link_release(consumer->self->link, slot), 0);
}

/* The second is given back before the first. */
static void receive_slots(struct consumer *consumer)
{
    struct hqq_slot first, second;
    if (!borrow(consumer, &first))
        return;
    if (stress_may_hold_two(&consumer->self->round->mode) && borrow(consumer, &second))
        give_back(consumer, &second);
    give_back(consumer, &first);
}

#define LOOKED 4712

static int look(const void *data, size_t length, void *arg)
{
    take(arg, "read_with", data, length);
    return LOOKED;
}

static void receive_with(struct consumer *consumer)
{
    int result = hqq_link_read_with(consumer->self->link, look, consumer);
    if (result != LOOKED)
        is_done(consumer, "read_with", result);
}

void stress_consume(struct stress_thread *self)
{
    struct consumer consumer = {.self = self};
    for (size_t i = 0; i < STRESS_PRODUCERS_MAX; i++)
        consumer.last[i] = -1;
    stress_move_deadlines(self, true);
    while (!consumer.is_over) {
        unsigned call = stress_pick(&self->random, self->round->mode.reads);
        switch (call) {
        case STRESS_READ_BATCH:
            receive_batch(&consumer);
            break;
        case STRESS_READ_SLOTS:
            receive_slots(&consumer);
            break;
        case STRESS_READ_WITH:
            receive_with(&consumer);
            break;
        case STRESS_READ_PEEK:
            receive_peeked(&consumer);
            break;
        case STRESS_READ_SHORT:
            receive_short(&consumer);
            break;
        default:
            receive_copy(&consumer, call);
            break;
        }
    }
}
