/* Lanes: messages of any size, sent in every way, received whole or as a stream. See advanced.h. */
#include <stdlib.h>
#include <string.h>

#include "stress/advanced.h"

/* ---- Messages that are known ------------------------------------------------------------------------------------- */

static uint64_t key_of(const struct advanced_round *round, uint64_t lane, uint64_t number)
{
    return heavy_mix(heavy_mix(round->seed ^ heavy_mix(lane)) + number);
}

size_t advanced_length(const struct advanced_round *round, uint64_t lane, uint64_t number)
{
    struct heavy_random random = {key_of(round, lane, number)};
    size_t slot = round->size;
    size_t most = slot * 512 < ADVANCED_LONGEST ? slot * 512 : ADVANCED_LONGEST;
    switch (heavy_below(&random, 16)) {
    case 0:
        return 0;
    case 1:
    case 2:
    case 3:
    case 4:
        return heavy_below(&random, 40);
    case 5: /* about a slot, with and without a tag */
        return slot - 18 + heavy_below(&random, 20);
    case 6:
        return heavy_one_in(&random, 4) ? heavy_below(&random, most + 1) : most / 64;
    case 7:
    case 8:
    case 9:
        return heavy_below(&random, 16 * slot);
    default:
        return heavy_below(&random, 2 * slot);
    }
}

/* Every message is of one of three makes: noise, one word again and again, or both by turns. */
static uint64_t word_of(uint64_t key, uint64_t index)
{
    bool is_noise = key % 3 == 0 || (key % 3 == 1 && index / 64 % 2 == 0);
    return is_noise ? heavy_mix(key + index) : key;
}

static void fill(uint64_t key, size_t offset, unsigned char *data, size_t length)
{
    for (size_t at = 0; at < length;) {
        uint64_t word = word_of(key, (offset + at) / sizeof(word));
        size_t from = (offset + at) % sizeof(word);
        size_t count = sizeof(word) - from < length - at ? sizeof(word) - from : length - at;
        memcpy(data + at, (unsigned char *)&word + from, count);
        at += count;
    }
}

size_t advanced_fill(const struct advanced_round *round, uint64_t lane, uint64_t number, unsigned char *data)
{
    size_t length = advanced_length(round, lane, number);
    fill(key_of(round, lane, number), 0, data, length);
    return length;
}

void advanced_check(const struct advanced_round *round, uint64_t lane, uint64_t number, size_t offset,
                    const unsigned char *data, size_t length)
{
    unsigned char expected[512];
    uint64_t key = key_of(round, lane, number);
    for (size_t at = 0; at < length; at += sizeof(expected)) {
        size_t count = length - at < sizeof(expected) ? length - at : sizeof(expected);
        fill(key, offset + at, expected, count);
        if (memcmp(data + at, expected, count) != 0)
            heavy_fail("message %llu of lane %llx is not what was sent, within %zu bytes from %zu",
                       (unsigned long long)number, (unsigned long long)lane, count, offset + at);
    }
}

/* ---- Sending ------------------------------------------------------------------------------------------------------ */

uint64_t advanced_deadline(struct advanced_thread *self)
{
    if ((self->end->round->trouble & ADVANCED_IMPATIENT) == 0 || !heavy_one_in(&self->random, 4))
        return HQQ_FOREVER;
    return heavy_one_in(&self->random, 4) ? 0 : hqq_clock_ns() + heavy_below(&self->random, 2 * HEAVY_MS);
}

bool advanced_gave_up(struct advanced_thread *self, int result)
{
    bool gave_up = result == HQQ_ERROR_TIMEOUT || result == HQQ_ERROR_WOULD_BLOCK;
    if (gave_up)
        atomic_fetch_add(&self->end->round->given_up, 1);
    return gave_up;
}

static int send_in_pieces(struct advanced_thread *self, uint64_t connection, const unsigned char *data, size_t length)
{
    struct hqq_outgoing *outgoing;
    size_t at = 0;
    bool gives_up =
        (self->end->round->trouble & ADVANCED_IMPATIENT) != 0 && length > 1 && heavy_one_in(&self->random, 4);
    size_t until = gives_up ? heavy_below(&self->random, length) : length;
    heavy_expect("begin", hqq_outgoing_begin(self->end->advanced, connection, length, &outgoing), 0);
    while (at < until) {
        size_t piece = 1 + heavy_below(&self->random, until - at);
        int result = hqq_outgoing_write(outgoing, data + at, piece, advanced_deadline(self));
        if (result != 0) {
            hqq_outgoing_abort(outgoing);
            return result;
        }
        at += piece;
    }
    if (gives_up) {
        hqq_outgoing_abort(outgoing);
        return HQQ_ERROR_TIMEOUT;
    }
    heavy_expect("finish", hqq_outgoing_finish(outgoing, HQQ_FOREVER), 0);
    return 0;
}

static int send_whole(struct advanced_thread *self, struct hqq_connection *connection, uint64_t number,
                      const unsigned char *data, size_t length)
{
    if (heavy_one_in(&self->random, 3)) {
        int result = connection ? hqq_connection_post(connection, data, length)
                                : hqq_advanced_post(self->end->advanced, number, data, length);
        if (result != HQQ_ERROR_TOO_MANY_BYTES)
            return result;
    }
    uint64_t deadline = advanced_deadline(self);
    return connection ? hqq_connection_send(connection, data, length, deadline)
                      : hqq_advanced_send(self->end->advanced, number, data, length, deadline);
}

void advanced_send_one(struct advanced_thread *self, struct hqq_connection *connection, uint64_t number_of_connection,
                       uint64_t lane, uint64_t number, unsigned char *buffer)
{
    size_t length = advanced_fill(self->end->round, lane, number, buffer);
    int result;
    do {
        if (heavy_one_in(&self->random, 4))
            result =
                send_in_pieces(self, connection ? hqq_connection_id(connection) : number_of_connection, buffer, length);
        else
            result = send_whole(self, connection, number_of_connection, buffer, length);
        atomic_fetch_add(&self->end->round->progress, 1);
    } while (advanced_gave_up(self, result));
    heavy_expect("send", result, 0);
}

void advanced_send_lane(struct advanced_thread *self)
{
    const struct advanced_round *round = self->end->round;
    unsigned char *buffer = malloc(ADVANCED_LONGEST);
    uint64_t lane = ADVANCED_LANE(self->end->side, self->index);
    for (uint32_t number = 0; buffer && number < round->messages; number++)
        advanced_send_one(self, NULL, ADVANCED_NUMBER(self->index), lane, number, buffer);
    free(buffer);
}

/* ---- Receiving ---------------------------------------------------------------------------------------------------- */

void advanced_receive_lanes(struct advanced_thread *self)
{
    struct advanced_round *round = self->end->round;
    uint64_t expected[ADVANCED_STREAM_LANE] = {0};
    for (uint32_t i = 0; i < ADVANCED_STREAM_LANE * round->messages;) {
        struct hqq_received received;
        int result = hqq_advanced_receive(self->end->advanced, advanced_deadline(self), &received);
        atomic_fetch_add(&round->progress, 1);
        if (advanced_gave_up(self, result))
            continue;
        if (result == HQQ_ERROR_ABORTED && (round->trouble & ADVANCED_IMPATIENT) != 0)
            continue;
        heavy_expect("receive", result, 0);
        uint64_t index = received.connection - ADVANCED_NUMBER(0);
        if (index >= ADVANCED_STREAM_LANE)
            heavy_fail("a message for connection %llu", (unsigned long long)received.connection);
        uint64_t lane = ADVANCED_LANE(1 - self->end->side, index);
        uint64_t number = expected[index]++;
        if (received.length != advanced_length(round, lane, number))
            heavy_fail("message %llu of lane %llx has %zu bytes", (unsigned long long)number, (unsigned long long)lane,
                       received.length);
        advanced_check(round, lane, number, 0, received.data, received.length);
        hqq_received_free(self->end->advanced, &received);
        atomic_fetch_add(&round->got, 1);
        i++;
    }
}

/* ---- The stream --------------------------------------------------------------------------------------------------- */

/* Touched by the taker alone, but for the count. */
struct advanced_stream {
    struct advanced_end *end;
    uint64_t number;  /* of the message that comes, or comes next */
    uint64_t offset;  /* of its next piece */
    uint64_t message; /* id, once it has begun */
    bool has_begun;
    struct heavy_random random;
    _Atomic uint64_t whole;
};

static void check_piece(struct advanced_stream *stream, const struct hqq_stream_piece *piece)
{
    const struct advanced_round *round = stream->end->round;
    uint64_t lane = ADVANCED_LANE(1 - stream->end->side, ADVANCED_STREAM_LANE);
    if (piece->connection != ADVANCED_NUMBER(ADVANCED_STREAM_LANE) ||
        piece->total != advanced_length(round, lane, stream->number) || piece->offset != stream->offset ||
        stream->has_begun == (piece->event == HQQ_STREAM_BEGIN) ||
        (stream->has_begun && piece->message != stream->message))
        heavy_fail("event %d of message %llu, %llu of %llu bytes, when %llu bytes of %llu had come", (int)piece->event,
                   (unsigned long long)stream->number, (unsigned long long)piece->offset,
                   (unsigned long long)piece->total, (unsigned long long)stream->offset,
                   (unsigned long long)advanced_length(round, lane, stream->number));
    if (piece->event == HQQ_STREAM_DATA)
        advanced_check(round, lane, stream->number, piece->offset, piece->data, piece->length);
}

/* Gives a message up now and then, and counts it as if it had come. */
static int take_piece(const struct hqq_stream_piece *piece, void *arg)
{
    struct advanced_stream *stream = arg;
    struct advanced_round *round = stream->end->round;
    check_piece(stream, piece);
    atomic_fetch_add(&round->progress, 1);
    stream->has_begun = true;
    stream->message = piece->message;
    stream->offset += piece->event == HQQ_STREAM_DATA ? piece->length : 0;
    /* In IMPATIENT rounds it could be a message that its sender gives up, and sends again. */
    bool gives_up = piece->event != HQQ_STREAM_END && (round->trouble & ADVANCED_IMPATIENT) == 0 &&
                    heavy_one_in(&stream->random, 16);
    if (piece->event == HQQ_STREAM_FAILED)
        heavy_expect("end of a stream", piece->error, HQQ_ERROR_ABORTED);
    if (piece->event == HQQ_STREAM_END || piece->event == HQQ_STREAM_FAILED || gives_up) {
        stream->has_begun = false;
        stream->offset = 0;
    }
    if (piece->event == HQQ_STREAM_END || gives_up) {
        stream->number++;
        atomic_fetch_add(&round->got, 1);
        atomic_fetch_add(&stream->whole, 1);
    }
    return gives_up;
}

void advanced_stream_begin(struct advanced_end *end)
{
    struct advanced_stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        heavy_fail("no memory");
    stream->end = end;
    stream->random = heavy_random(end->round->seed, 500 + end->side);
    end->stream = stream;
    heavy_expect("set_stream",
                 hqq_advanced_set_stream(end->advanced, ADVANCED_NUMBER(ADVANCED_STREAM_LANE), take_piece, stream), 0);
}

void advanced_stream_end(struct advanced_end *end)
{
    if (atomic_load(&end->stream->whole) != end->round->messages)
        heavy_fail("%llu messages of the stream came, not %u", (unsigned long long)atomic_load(&end->stream->whole),
                   end->round->messages);
    free(end->stream);
}
