/* The standard link, one message a call: copied (hqq), and in place (hqq-zerocopy). */
#include "tools/perf/transport_hqq.h"

#include "tools/perf/loops.h"
#include "tools/perf/transport.h"

static uint64_t slots_of(const struct perf_shape *shape)
{
    return shape->link_slots != 0 ? shape->link_slots : shape->slots;
}

static uint64_t bytes_of(const struct perf_shape *shape)
{
    return shape->link_slots != 0 ? shape->link_bytes : shape->size;
}

int perf_link_create(struct perf_channel *channel)
{
    const struct perf_shape *shape = channel->shape;
    uint64_t length;
    int result = hqq_layout_size(slots_of(shape), bytes_of(shape), &length);

    if (result != 0)
        return result;
    channel->region = perf_pages_create(channel, length, PERF_PAGES_SHARED);
    return channel->region == NULL ? -ENOMEM : 0;
}

int perf_link_open(struct perf_end *end)
{
    const struct perf_shape *shape = end->shape;
    struct hqq_link_config config = HQQ_LINK_CONFIG_INIT;
    int result;

    config.buffer_count = slots_of(shape);
    config.buffer_size = bytes_of(shape);
    config.attach_timeout_ns = shape->timeout_ns;
    config.spin_ns = shape->sleeps ? HQQ_SPIN_NEVER : shape->spin_ns;
    config.role = end->side == PERF_DRIVER ? HQQ_ROLE_PRIMARY : HQQ_ROLE_SECONDARY;
    result = hqq_link_attach(end->channel->region->base, end->channel->region->length, &config, &end->link);
    return result == 0 ? hqq_link_set_deadline(end->link, end->deadline_ns) : result;
}

void perf_link_close(struct perf_end *end)
{
    struct perf_side_result *mine = &end->control->result[end->side];

    if (end->link == NULL)
        return;
    mine->has_link = true;
    hqq_link_get_stats(end->link, &mine->link);
    hqq_link_close(end->link);
    end->link = NULL;
}

static int put_copy(struct perf_end *end, uint64_t head)
{
    return hqq_link_write(end->link, perf_outgoing(end, head), end->shape->size);
}

static int take_copy(struct perf_end *end, uint64_t *ret_head)
{
    size_t length;
    int result = hqq_link_read(end->link, end->in, end->shape->size, &length);

    return result == 0 ? perf_incoming(end, end->in, length, ret_head) : result;
}

static int put_in_place(struct perf_end *end, uint64_t head)
{
    struct hqq_slot slot;
    int result = hqq_link_reserve(end->link, &slot);

    if (result != 0)
        return result;
    perf_touch(slot.data, head);
    return hqq_link_commit(end->link, &slot, end->shape->size);
}

static int take_in_place(struct perf_end *end, uint64_t *ret_head)
{
    struct hqq_slot slot;
    int released;
    int result = hqq_link_borrow(end->link, &slot);

    if (result != 0)
        return result;
    result = perf_look(end, slot.data, slot.length, ret_head);
    released = hqq_link_release(end->link, &slot);
    return result == 0 ? released : result;
}

static int ping(struct perf_end *end, uint64_t count, bool last)
{
    return perf_loop_ping(end, count, last, put_copy, take_copy);
}

static int pong(struct perf_end *end)
{
    return perf_loop_pong(end, put_copy, take_copy);
}

static int send_many(struct perf_end *end, uint64_t count, bool last)
{
    return perf_loop_send(end, count, last, put_copy);
}

static int receive_many(struct perf_end *end, uint64_t count)
{
    return perf_loop_receive(end, count, take_copy);
}

static int ping_in_place(struct perf_end *end, uint64_t count, bool last)
{
    return perf_loop_ping(end, count, last, put_in_place, take_in_place);
}

static int pong_in_place(struct perf_end *end)
{
    return perf_loop_pong(end, put_in_place, take_in_place);
}

static int send_in_place(struct perf_end *end, uint64_t count, bool last)
{
    return perf_loop_send(end, count, last, put_in_place);
}

static int receive_in_place(struct perf_end *end, uint64_t count)
{
    return perf_loop_receive(end, count, take_in_place);
}

const struct perf_transport perf_hqq = {
    .name = "hqq",
    .modes = PERF_BIT(PERF_SPIN) | PERF_BIT(PERF_SLEEP),
    .create = perf_link_create,
    .open = perf_link_open,
    .close = perf_link_close,
    .ping = ping,
    .pong = pong,
    .send = send_many,
    .receive = receive_many,
};

const struct perf_transport perf_hqq_zerocopy = {
    .name = "hqq-zerocopy",
    .in_place = true,
    .modes = PERF_BIT(PERF_SPIN) | PERF_BIT(PERF_SLEEP),
    .create = perf_link_create,
    .open = perf_link_open,
    .close = perf_link_close,
    .ping = ping_in_place,
    .pong = pong_in_place,
    .send = send_in_place,
    .receive = receive_in_place,
};
