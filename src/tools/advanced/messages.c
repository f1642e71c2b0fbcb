/* Calls there and back, and messages one way: plain, encrypted, compressed. */
#include "tools/advanced/link.h"
#include "tools/perf/loops.h"
#include "tools/perf/transport_hqq.h"

enum { METHOD = 1 };

/* ---- Calls ------------------------------------------------------------------------------------------------------- */

static int put_call(struct perf_end *end, uint64_t head)
{
    struct advanced_end *own = advanced_of(end);

    return hqq_pending_begin(own->advanced, NULL, METHOD, perf_outgoing(end, head), end->shape->size, end->deadline_ns,
                             &own->pending);
}

/* What came, looked at and freed. */
static int take_received(struct perf_end *end, struct hqq_received *received, uint64_t *ret_head)
{
    int result = PERF_ERROR_MISMATCH;

    if (received->length == end->shape->size)
        result = perf_incoming(end, received->data, received->length, ret_head);
    hqq_received_free(advanced_of(end)->advanced, received);
    return result;
}

static int take_answer(struct perf_end *end, uint64_t *ret_head)
{
    struct hqq_received answer;
    int result = hqq_pending_wait(advanced_of(end)->pending, end->deadline_ns, NULL, &answer);

    return result == 0 ? take_received(end, &answer, ret_head) : result;
}

static int take_request(struct perf_end *end, uint64_t *ret_head)
{
    struct advanced_end *own = advanced_of(end);
    int result = hqq_advanced_serve(own->advanced, end->deadline_ns, &own->request);

    if (result == 0 && hqq_request_length(own->request) != end->shape->size)
        result = PERF_ERROR_MISMATCH;
    return result == 0 ? perf_incoming(end, hqq_request_data(own->request), end->shape->size, ret_head) : result;
}

static int put_answer(struct perf_end *end, uint64_t head)
{
    return hqq_request_respond(advanced_of(end)->request, 0, perf_outgoing(end, head), end->shape->size,
                               end->deadline_ns);
}

static int ping(struct perf_end *end, uint64_t count, bool last)
{
    return perf_loop_ping(end, count, last, put_call, take_answer);
}

static int pong(struct perf_end *end)
{
    return perf_loop_pong(end, put_answer, take_request);
}

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

static int put_message(struct perf_end *end, uint64_t head)
{
    return hqq_advanced_send(advanced_of(end)->advanced, 0, perf_outgoing(end, head), end->shape->size,
                             end->deadline_ns);
}

static int take_message(struct perf_end *end, uint64_t *ret_head)
{
    struct hqq_received received;
    int result = hqq_advanced_receive(advanced_of(end)->advanced, end->deadline_ns, &received);

    return result == 0 ? take_received(end, &received, ret_head) : result;
}

static int send_many(struct perf_end *end, uint64_t count, bool last)
{
    return perf_loop_send(end, count, last, put_message);
}

static int receive_many(struct perf_end *end, uint64_t count)
{
    return perf_loop_receive(end, count, take_message);
}

/* ---- The transports ---------------------------------------------------------------------------------------------- */

static int open_plain(struct perf_end *end)
{
    advanced_fill_random(end);
    return advanced_open(end, 0, 0);
}

static int open_encrypted(struct perf_end *end)
{
    advanced_fill_random(end);
    return advanced_open(end, HQQ_FEATURE_ENCRYPTION, 0);
}

static int open_packed(struct perf_end *end)
{
    advanced_fill_text(end);
    return advanced_open(end, HQQ_FEATURE_COMPRESSION, 0);
}

static int open_unpackable(struct perf_end *end)
{
    advanced_fill_random(end);
    return advanced_open(end, HQQ_FEATURE_COMPRESSION, 0);
}

const struct perf_transport advanced_plain = {
    .name = "advanced",
    .modes = PERF_BIT(PERF_SPIN),
    .create = perf_link_create,
    .open = open_plain,
    .close = advanced_close,
    .ping = ping,
    .pong = pong,
    .send = send_many,
    .receive = receive_many,
};

const struct perf_transport advanced_encrypted = {
    .name = "encrypted",
    .modes = PERF_BIT(PERF_SPIN),
    .create = perf_link_create,
    .open = open_encrypted,
    .close = advanced_close,
    .ping = ping,
    .pong = pong,
    .send = send_many,
    .receive = receive_many,
};

const struct perf_transport advanced_packed = {
    .name = "compress-text",
    .modes = PERF_BIT(PERF_SPIN),
    .create = perf_link_create,
    .open = open_packed,
    .close = advanced_close,
    .send = send_many,
    .receive = receive_many,
};

const struct perf_transport advanced_unpackable = {
    .name = "compress-random",
    .modes = PERF_BIT(PERF_SPIN),
    .create = perf_link_create,
    .open = open_unpackable,
    .close = advanced_close,
    .send = send_many,
    .receive = receive_many,
};
