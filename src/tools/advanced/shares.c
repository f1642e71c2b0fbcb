/*
 * Several connections of the same class, each with messages waiting to be sent all the time: what share of the link does
 * each get? Its own figure is that of the one that got least, divided by that of the one that got most.
 */
#include <sched.h>

#include "tools/advanced/link.h"
#include "tools/perf/message.h"
#include "tools/perf/transport_hqq.h"

/* Messages of each connection that wait to be sent. */
enum { WAITING = 4 };

/* ---- Sending ----------------------------------------------------------------------------------------------------- */

/* The first connection from here on with room for another message; the count of them if there is none. */
static unsigned find_room(struct perf_end *end, unsigned from)
{
    struct advanced_end *own = advanced_of(end);

    for (unsigned i = 0; i < ADVANCED_CONNECTIONS; i++) {
        unsigned candidate = (from + i) % ADVANCED_CONNECTIONS;
        struct hqq_connection_info info;

        hqq_connection_get_info(own->connections[candidate], &info);
        if (own->posted[candidate] - info.bytes_sent < WAITING * end->shape->size)
            return candidate;
    }
    return ADVANCED_CONNECTIONS;
}

static int post(struct perf_end *end, unsigned connection, uint64_t head)
{
    struct advanced_end *own = advanced_of(end);

    own->posted[connection] += end->shape->size;
    return hqq_connection_post(own->connections[connection], perf_outgoing(end, head), end->shape->size);
}

static int post_somewhere(struct perf_end *end)
{
    struct hqq_advanced *advanced = advanced_of(end)->advanced;
    unsigned connection;

    while ((connection = find_room(end, (unsigned)(end->next % ADVANCED_CONNECTIONS))) == ADVANCED_CONNECTIONS) {
        int result = hqq_advanced_process(advanced, 0);

        if (result != 0 && result != HQQ_ERROR_WOULD_BLOCK)
            return result;
        if (perf_now_ns() > end->deadline_ns)
            return PERF_ERROR_STALLED;
        if (end->shape->yields)
            sched_yield();
    }
    return post(end, connection, end->next++);
}

static int send_many(struct perf_end *end, uint64_t count, bool last)
{
    int result = 0;

    if (last) { /* behind all the others */
        result = hqq_advanced_flush(advanced_of(end)->advanced, end->deadline_ns);
        if (result == 0)
            result = post(end, 0, end->next++ | PERF_LAST);
        return result == 0 ? hqq_advanced_flush(advanced_of(end)->advanced, end->deadline_ns) : result;
    }
    for (uint64_t left = count; result == 0 && left > 0; left--)
        result = post_somewhere(end);
    return result;
}

/* ---- Receiving --------------------------------------------------------------------------------------------------- */

/* The number stands in the first bytes of a message, and a piece may be as short as one byte. */
static void keep_head(struct advanced_end *own, unsigned connection, const struct hqq_stream_piece *piece)
{
    unsigned char *head = (unsigned char *)&own->heads[connection];
    size_t left = piece->offset < sizeof(uint64_t) ? sizeof(uint64_t) - (size_t)piece->offset : 0;

    if (piece->event == HQQ_STREAM_DATA && left != 0)
        memcpy(head + piece->offset, piece->data, piece->length < left ? piece->length : left);
}

static int take_piece(const struct hqq_stream_piece *piece, void *arg)
{
    struct perf_end *end = arg;
    struct advanced_end *own = advanced_of(end);
    unsigned connection = 0;

    while (connection < ADVANCED_CONNECTIONS - 1 &&
           hqq_connection_id(own->connections[connection]) != piece->connection)
        connection++;
    keep_head(own, connection, piece);
    own->arrived[connection] += piece->length;
    if (piece->event == HQQ_STREAM_END) {
        end->next++;
        own->is_last = (own->heads[connection] & PERF_LAST) != 0;
    }
    return 0;
}

static void note_shares(struct perf_end *end)
{
    const uint64_t *arrived = advanced_of(end)->arrived;
    uint64_t least = arrived[0], most = arrived[0];

    for (unsigned i = 1; i < ADVANCED_CONNECTIONS; i++) {
        least = arrived[i] < least ? arrived[i] : least;
        most = arrived[i] > most ? arrived[i] : most;
    }
    end->control->result[end->side].own = (double)least / (double)most;
}

static int receive_many(struct perf_end *end, uint64_t count)
{
    struct advanced_end *own = advanced_of(end);
    uint64_t begun = end->next;
    int result = 0;

    while (result == 0 && !own->is_last && end->next - begun < count)
        result = hqq_advanced_process(own->advanced, end->deadline_ns);
    note_shares(end);
    return result;
}

static int open_shares(struct perf_end *end)
{
    int result = advanced_open(end, 0, 0);

    if (result == 0)
        result = advanced_connect(end, ADVANCED_CONNECTIONS);
    if (result == 0 && end->side == PERF_PEER)
        result = hqq_advanced_set_stream(advanced_of(end)->advanced, HQQ_ANY_CONNECTION, take_piece, end);
    return result;
}

const struct perf_transport advanced_shares = {
    .name = "4-connections",
    .modes = PERF_BIT(PERF_SPIN),
    .create = perf_link_create,
    .open = open_shares,
    .close = advanced_close,
    .send = send_many,
    .receive = receive_many,
};
