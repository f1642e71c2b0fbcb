/*
 * An urgent message there and back while the answering side has more bulk to send than the link can take: what the
 * answer waits for is what lies before it. The asking side takes the bulk in pieces and looks at each word, which takes
 * longer than sending it, so that the slots that bulk may have are always full.
 */
#include <sched.h>

#include "tools/advanced/link.h"
#include "tools/perf/loops.h"
#include "tools/perf/transport_hqq.h"

/* The other connections are bulk: each may have a window's worth on its way, and several fill the link. */
enum { URGENT = 0, FIRST_BULK = 1 };

/* What is always waiting to be sent of each of them, and in messages of that size. */
enum { BULK_WAITING = 512 << 10, BULK_MESSAGE = 64 << 10 };

/* FNV-1a, by words. */
static int hash_piece(const struct hqq_stream_piece *piece, void *arg)
{
    struct advanced_end *own = arg;
    const unsigned char *bytes = piece->data;

    for (size_t i = 0; i + sizeof(uint64_t) <= piece->length; i += sizeof(uint64_t)) {
        uint64_t word;

        memcpy(&word, bytes + i, sizeof(word));
        own->hash = (own->hash ^ word) * UINT64_C(0x100000001b3);
    }
    return 0;
}

static int open_both(struct perf_end *end, uint64_t left_out)
{
    int result = advanced_open(end, 0, left_out);
    struct advanced_end *own = advanced_of(end);

    if (result == 0)
        result = advanced_connect(end, ADVANCED_CONNECTIONS);
    if (result == 0)
        result = hqq_connection_set_priority(own->connections[URGENT], HQQ_PRIORITY_URGENT);
    for (unsigned i = FIRST_BULK; result == 0 && i < ADVANCED_CONNECTIONS; i++) {
        result = hqq_connection_set_priority(own->connections[i], HQQ_PRIORITY_BULK);
        if (result == 0 && end->side == PERF_DRIVER)
            result = hqq_advanced_set_stream(own->advanced, hqq_connection_id(own->connections[i]), hash_piece, own);
    }
    return result;
}

static int open_classes(struct perf_end *end)
{
    return open_both(end, 0);
}

static int open_equal(struct perf_end *end)
{
    return open_both(end, HQQ_FEATURE_QOS);
}

/* ---- The asking side --------------------------------------------------------------------------------------------- */

static int put_urgent(struct perf_end *end, uint64_t head)
{
    return hqq_connection_send(advanced_of(end)->connections[URGENT], perf_outgoing(end, head), end->shape->size,
                               end->deadline_ns);
}

static int look_at(struct perf_end *end, struct hqq_received *received, uint64_t *ret_head)
{
    int result = PERF_ERROR_MISMATCH;

    if (received->length == end->shape->size)
        result = perf_incoming(end, received->data, received->length, ret_head);
    hqq_received_free(advanced_of(end)->advanced, received);
    return result;
}

static int take_urgent(struct perf_end *end, uint64_t *ret_head)
{
    struct hqq_received received;
    int result = hqq_connection_receive(advanced_of(end)->connections[URGENT], end->deadline_ns, &received);

    return result == 0 ? look_at(end, &received, ret_head) : result;
}

static int ping(struct perf_end *end, uint64_t count, bool last)
{
    return perf_loop_ping(end, count, last, put_urgent, take_urgent);
}

/* ---- The answering side ------------------------------------------------------------------------------------------ */

static int post_bulk(struct perf_end *end)
{
    static const char bulk[BULK_MESSAGE];
    struct advanced_end *own = advanced_of(end);
    int result = 0;

    for (unsigned i = FIRST_BULK; result == 0 && i < ADVANCED_CONNECTIONS; i++) {
        struct hqq_connection_info info;

        hqq_connection_get_info(own->connections[i], &info);
        if (own->posted[i] - info.bytes_sent >= BULK_WAITING)
            continue;
        result = hqq_connection_post(own->connections[i], bulk, sizeof(bulk));
        own->posted[i] += sizeof(bulk);
    }
    return result;
}

/* Looks for the next question, which is what sends bulk meanwhile. */
static int take_beside_bulk(struct perf_end *end, uint64_t *ret_head)
{
    struct hqq_received received;

    for (;;) {
        int result = post_bulk(end);

        if (result == 0)
            result = hqq_connection_receive(advanced_of(end)->connections[URGENT], 0, &received);
        if (result == 0)
            return look_at(end, &received, ret_head);
        if (result != HQQ_ERROR_WOULD_BLOCK)
            return result;
        if (perf_now_ns() > end->deadline_ns)
            return PERF_ERROR_STALLED;
        if (end->shape->yields)
            sched_yield();
    }
}

static int pong_beside_bulk(struct perf_end *end)
{
    return perf_loop_pong(end, put_urgent, take_beside_bulk);
}

static int pong(struct perf_end *end)
{
    return perf_loop_pong(end, put_urgent, take_urgent);
}

const struct perf_transport advanced_alone = {
    .name = "alone",
    .modes = PERF_BIT(PERF_SPIN),
    .create = perf_link_create,
    .open = open_classes,
    .close = advanced_close,
    .ping = ping,
    .pong = pong,
};

const struct perf_transport advanced_urgent = {
    .name = "urgent",
    .modes = PERF_BIT(PERF_SPIN),
    .create = perf_link_create,
    .open = open_classes,
    .close = advanced_close,
    .ping = ping,
    .pong = pong_beside_bulk,
};

const struct perf_transport advanced_equal = {
    .name = "no-priorities",
    .modes = PERF_BIT(PERF_SPIN),
    .create = perf_link_create,
    .open = open_equal,
    .close = advanced_close,
    .ping = ping,
    .pong = pong_beside_bulk,
};
