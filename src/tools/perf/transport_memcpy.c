/*
 * What copying costs. memcpy: the driver alone copies messages out of memory as large as a ring, which stays in its
 * caches. memcpy-pair: the driver copies messages into a bare ring and the peer copies them out, with a counter each
 * way and nothing else; what the lines cost that travel from one processor to the other is in this and not in memcpy.
 * No stream of large messages that copies them through shared memory can do better.
 */
#include "tools/perf/loops.h"
#include "tools/perf/transport.h"

/* The counters of the bare ring, before its messages. */
struct perf_counters {
    _Alignas(PERF_APART) hqq_atomic_u64 written; /* by the driver */
    _Alignas(PERF_APART) hqq_atomic_u64 read;    /* by the peer */
};

static int open_alone(struct perf_end *end)
{
    const struct perf_shape *shape = end->shape;
    struct perf_pages *ring;

    if (end->side == PERF_PEER)
        return 0;
    ring = perf_pages_create(end, shape->slots * shape->size, PERF_PAGES_PRIVATE);
    if (ring == NULL)
        return -ENOMEM;
    end->ring = ring->base;
    memset(end->ring, 1, ring->length);
    return 0;
}

static unsigned char *slot_of(struct perf_end *end)
{
    return end->ring + (end->next & (end->shape->slots - 1)) * end->shape->size;
}

static int copy_alone(struct perf_end *end, uint64_t count, bool last)
{
    (void)last;
    for (uint64_t left = count; left > 0; left--) {
        memcpy(end->in, slot_of(end), end->shape->size);
        /* Somebody reads this: the copy must not be left out. */
        __asm__ volatile("" ::"r"(end->in) : "memory");
        end->next++;
    }
    return 0;
}

static int create_pair(struct perf_channel *channel)
{
    const struct perf_shape *shape = channel->shape;

    channel->region =
        perf_pages_create(channel, sizeof(struct perf_counters) + shape->slots * shape->size, PERF_PAGES_SHARED);
    return channel->region == NULL ? -ENOMEM : 0;
}

static int open_pair(struct perf_end *end)
{
    end->counters = end->channel->region->base;
    end->ring = (unsigned char *)end->channel->region->base + sizeof(struct perf_counters);
    return 0;
}

/* The other side's count is read only when the one seen last is used up: its line stays where it is written. */
static inline int await_other(struct perf_end *end, const hqq_atomic_u64 *word, uint64_t count)
{
    if (end->seen >= count)
        return 0;
    return perf_await(end->control, word, count, end->shape->yields, end->deadline_ns, &end->seen);
}

/* A slot is free once the message before in it has been read. */
static int put_bare(struct perf_end *end, uint64_t head)
{
    const unsigned char *data = perf_outgoing(end, head);
    uint64_t before = end->next > end->shape->slots ? end->next - end->shape->slots : 0;
    int result = await_other(end, &end->counters->read, before);

    if (result != 0)
        return result;
    memcpy(slot_of(end), data, end->shape->size);
    hqq_store_release(&end->counters->written, end->next); /* pairs with the acquire in take_bare's wait */
    return 0;
}

static int take_bare(struct perf_end *end, uint64_t *ret_head)
{
    int result = await_other(end, &end->counters->written, end->next);

    if (result != 0)
        return result;
    memcpy(end->in, slot_of(end), end->shape->size);
    hqq_store_release(&end->counters->read, end->next); /* pairs with the acquire in put_bare's wait */
    return perf_incoming(end, end->in, end->shape->size, ret_head);
}

static int send_bare(struct perf_end *end, uint64_t count, bool last)
{
    return perf_loop_send(end, count, last, put_bare);
}

static int receive_bare(struct perf_end *end, uint64_t count)
{
    return perf_loop_receive(end, count, take_bare);
}

const struct perf_transport perf_memcpy = {
    .name = "memcpy",
    .modes = PERF_BIT(PERF_SPIN),
    .open = open_alone,
    .send = copy_alone,
};

const struct perf_transport perf_memcpy_pair = {
    .name = "memcpy-pair",
    .modes = PERF_BIT(PERF_SPIN),
    .create = create_pair,
    .open = open_pair,
    .send = send_bare,
    .receive = receive_bare,
};
