#include "advanced/assembly.h"

#include <errno.h>
#include <string.h>

#include <talloc.h>

#include "advanced/call.h"
#include "advanced/compress.h"
#include "advanced/connection.h"
#include "advanced/credit.h"
#include "advanced/deliver.h"
#include "advanced/partial.h"
#include "advanced/stream.h"
#include "base/thread.h"

/* ---- Streams ----------------------------------------------------------------------------------------------------- */

/* Runs the program's function, with neither lock nor memory that the peer can change. */
static int hand_over(struct hqq_advanced *advanced, struct hqq_assembly *assembly, enum hqq_stream_event event,
                     const void *data, size_t length, int error)
{
    const struct hqq_stream_piece piece = {
        .event = event,
        .error = error,
        .connection = assembly->begin.connection,
        .message = assembly->begin.message,
        .total = assembly->size,
        .offset = assembly->filled,
        .data = data,
        .length = length,
    };
    hqq_store32_relaxed(&advanced->callback_thread, hqq_thread_self());
    int result = assembly->stream.take(&piece, assembly->stream.arg);
    hqq_store32_relaxed(&advanced->callback_thread, 0);
    return result;
}

/* ---- Refusing ---------------------------------------------------------------------------------------------------- */

/* From here on its chunks are dropped. Tells whoever waits for the message. Without the lock. */
static void give_up(struct hqq_advanced *advanced, struct hqq_assembly *assembly, int error)
{
    const struct hqq_chunk *begin = &assembly->begin;
    struct hqq_connection *on = assembly->on;
    bool is_stream = assembly->stream.take != NULL;
    if (!on)
        return;                                                                /* it has been given up before */
    if (is_stream && assembly->is_stream_begun && error != HQQ_ERROR_CANCELED) /* that was its function's own wish */
        (void)hand_over(advanced, assembly, HQQ_STREAM_FAILED, NULL, 0, error);

    hqq_advanced_lock(advanced);
    assembly->on = NULL;
    if (!is_stream || !assembly->is_stream_begun)
        hqq_deliver_failure(advanced, on, begin, error);
    else if (error != HQQ_ERROR_CANCELED)
        advanced->stats.messages_refused++;
    hqq_connection_put(on);
    advanced->partial_bytes -= assembly->reserved;
    assembly->reserved = 0;
    TALLOC_FREE(assembly->data);
    TALLOC_FREE(assembly->decompress);
    hqq_advanced_unlock(advanced);
}

/* ---- Beginning --------------------------------------------------------------------------------------------------- */

/* Whether a message of that size may be received whole; its memory is then reserved. With the lock. */
static int reserve(struct hqq_advanced *advanced, struct hqq_assembly *assembly, uint64_t size)
{
    const struct hqq_advanced_config *config = &advanced->config;
    bool is_bounded = !assembly->stream.take || !hqq_advanced_has(advanced, HQQ_FEATURE_STREAMING);
    if (is_bounded && size > config->max_message)
        return HQQ_ERROR_BUFFER_OVERFLOW;
    if (assembly->stream.take)
        return 0;
    if (size > config->max_partial_bytes - advanced->partial_bytes)
        return HQQ_ERROR_TOO_MANY_BYTES;
    assembly->data = talloc_size(assembly, size != 0 ? size : 1);
    if (!assembly->data)
        return -ENOMEM;
    assembly->reserved = size;
    advanced->partial_bytes += size;
    return 0;
}

/* Whether a message may begin at all. With the lock. */
static int judge(struct hqq_advanced *advanced, const struct hqq_chunk *chunk)
{
    if ((chunk->flags & (HQQ_FRAME_REQUEST | HQQ_FRAME_RESPONSE)) != 0 &&
        !hqq_advanced_has(advanced, HQQ_FEATURE_REQUEST_RESPONSE))
        return HQQ_ERROR_INVALID_OP;
    if ((chunk->flags & HQQ_FRAME_END) == 0 && !hqq_advanced_has(advanced, HQQ_FEATURE_LARGE_COPY))
        return HQQ_ERROR_INVALID_OP;
    if ((chunk->flags & HQQ_FRAME_REQUEST) != 0 && advanced->requests >= advanced->config.max_calls)
        return HQQ_ERROR_TOO_MANY_CALLS;
    if ((chunk->flags & HQQ_FRAME_REQUEST) != 0 && advanced->request_bytes >= advanced->config.max_received_bytes)
        return HQQ_ERROR_TOO_MANY_BYTES;
    return 0;
}

/* Prepares the place where the message is put together. With the lock. */
static int prepare(struct hqq_advanced *advanced, struct hqq_assembly *assembly)
{
    const struct hqq_chunk *begin = &assembly->begin;
    int result = judge(advanced, begin);
    if (result != 0)
        return result;
    if ((begin->flags & (HQQ_FRAME_REQUEST | HQQ_FRAME_RESPONSE)) == 0)
        assembly->stream = hqq_stream_find(advanced, begin->connection);
    if ((begin->flags & HQQ_FRAME_COMPRESSED) != 0)
        return hqq_decompress_new(assembly, &assembly->decompress);
    assembly->size = begin->total;
    assembly->is_size_known = true;
    return reserve(advanced, assembly, begin->total);
}

/* A message that nobody here will want: to a connection that was closed, or an answer to a call that was given up. */
static bool is_late(struct hqq_advanced *advanced, const struct hqq_chunk *chunk, struct hqq_connection *on)
{
    if (!on) {
        advanced->stats.late_frames++;
        return true;
    }
    if (hqq_partial_is_answer(chunk->flags) && !hqq_call_is_pending(advanced, chunk->connection, chunk->message)) {
        advanced->stats.late_responses++;
        return true;
    }
    return false;
}

/* Puts a message into the table, or refuses it. NULL where its chunks are of no further interest. With the lock. */
static struct hqq_assembly *begin(struct hqq_advanced *advanced, const struct hqq_chunk *chunk, int *ret_error)
{
    struct hqq_connection *on = hqq_connection_of_message(advanced, chunk->connection);
    bool late = is_late(advanced, chunk, on);
    struct hqq_assembly *assembly = NULL;
    bool is_whole = (chunk->flags & HQQ_FRAME_END) != 0; /* it is not arriving: it is here */
    *ret_error = 0;
    if (!is_whole && advanced->partial_count >= advanced->config.max_partial_count)
        *ret_error = HQQ_ERROR_TOO_MANY_MESSAGES;
    else if (!(assembly = hqq_partial_new(advanced, chunk)))
        *ret_error = -ENOMEM;
    if (!assembly) {
        if (!late)
            hqq_deliver_failure(advanced, on, chunk, *ret_error);
        return NULL;
    }
    if (!late) {
        assembly->on = hqq_connection_get(on);
        *ret_error = prepare(advanced, assembly);
    }
    return assembly;
}

/* ---- Putting together -------------------------------------------------------------------------------------------- */

/* The size of a compressed message has become known. Without the lock. */
static int learn_size(struct hqq_advanced *advanced, struct hqq_assembly *assembly)
{
    if (assembly->is_size_known || !hqq_decompress_total(assembly->decompress, &assembly->size))
        return 0;
    assembly->is_size_known = true;
    if (assembly->size > HQQ_WIRE_MAX)
        return HQQ_ERROR_INVALID_SIZE;
    hqq_advanced_lock(advanced);
    int result = reserve(advanced, assembly, assembly->size);
    hqq_advanced_unlock(advanced);
    return result;
}

/* The next bytes of the message as the program sees it; they are in private memory if it is a stream. */
static int put(struct hqq_advanced *advanced, struct hqq_assembly *assembly, const unsigned char *bytes, uint64_t count)
{
    if (assembly->stream.take) {
        bool is_begun = assembly->is_stream_begun;
        assembly->is_stream_begun = true;
        if (!is_begun && hand_over(advanced, assembly, HQQ_STREAM_BEGIN, NULL, 0, 0) != 0)
            return HQQ_ERROR_CANCELED;
        if (count != 0 && hand_over(advanced, assembly, HQQ_STREAM_DATA, bytes, count, 0) != 0)
            return HQQ_ERROR_CANCELED;
    } else if (bytes && count != 0) {
        memcpy(assembly->data + assembly->filled, bytes, count);
    }
    assembly->filled += count;
    return 0;
}

/* The same of compressed bytes. A stream's go through a buffer of a slot's size. */
static int put_compressed(struct hqq_advanced *advanced, struct hqq_assembly *assembly, const unsigned char *bytes,
                          uint64_t count)
{
    uint64_t slot = advanced->link->rx.buffer_size;
    for (;;) {
        size_t used, written;
        bool is_stream = assembly->stream.take != NULL;
        uint64_t room = assembly->is_size_known ? assembly->size - assembly->filled : 0;
        unsigned char *out = is_stream || room == 0 ? advanced->unpacked : assembly->data + assembly->filled;
        int result = hqq_decompress_feed(assembly->decompress, bytes, count, &used, out,
                                         is_stream && room > slot ? slot : room, &written);
        if (result == 0)
            result = is_stream && written != 0 ? put(advanced, assembly, out, written) : 0;
        if (result != 0)
            return result;
        if (!is_stream)
            assembly->filled += written;
        bytes += used;
        count -= used;
        bool was_known = assembly->is_size_known;
        result = learn_size(advanced, assembly);
        if (result != 0)
            return result;
        if (count == 0 && written == 0 && was_known == assembly->is_size_known)
            return 0;
        if (used == 0 && written == 0 && was_known == assembly->is_size_known)
            return HQQ_ERROR_INVALID_SIZE; /* it announced less than it holds */
    }
}

static int absorb(struct hqq_advanced *advanced, struct hqq_assembly *assembly, const struct hqq_chunk *chunk,
                  const unsigned char *body)
{
    if ((assembly->decompress || assembly->stream.take) && !advanced->session.is_opening) {
        memcpy(advanced->plain, body, chunk->size);
        body = advanced->plain;
    }
    assembly->received += chunk->size;
    return assembly->decompress ? put_compressed(advanced, assembly, body, chunk->size)
                                : put(advanced, assembly, body, chunk->size);
}

/* ---- The end ----------------------------------------------------------------------------------------------------- */

/* The message is whole: hands it to whom it is for. Without the lock. */
static void complete(struct hqq_advanced *advanced, struct hqq_assembly *assembly)
{
    const struct hqq_chunk *begin = &assembly->begin;
    if (assembly->stream.take)
        (void)hand_over(advanced, assembly, HQQ_STREAM_END, NULL, 0, 0);

    hqq_advanced_lock(advanced);
    const struct hqq_received received = {
        .data = talloc_reparent(assembly, advanced->memory, assembly->data),
        .length = assembly->size,
        .connection = begin->connection,
        .message = begin->message,
        .flags = (uint32_t)(begin->flags & (HQQ_FRAME_KIND | HQQ_FRAME_DATAGRAM)),
    };
    hqq_deliver(advanced, assembly->on, begin, &received);
    hqq_partial_forget(advanced, assembly);
    hqq_advanced_unlock(advanced);
}

/* ---- Chunks ------------------------------------------------------------------------------------------------------ */

/* Does this chunk go on where the last one ended? */
static bool does_follow(const struct hqq_assembly *assembly, const struct hqq_chunk *chunk)
{
    return chunk->total == assembly->begin.total && chunk->offset == assembly->received &&
           (chunk->flags & HQQ_FRAME_KIND) == (assembly->begin.flags & HQQ_FRAME_KIND);
}

static void count_invalid(struct hqq_advanced *advanced)
{
    hqq_advanced_lock(advanced);
    advanced->stats.invalid_frames++;
    hqq_advanced_unlock(advanced);
}

/* The peer has used up credit for a chunk, whatever becomes of the message. With the lock. */
static int charge(struct hqq_advanced *advanced, const struct hqq_assembly *assembly, const struct hqq_chunk *chunk)
{
    struct hqq_connection *on = hqq_connection_of_message(advanced, chunk->connection);
    if (!on || (assembly && hqq_partial_is_answer(assembly->begin.flags)))
        return 0;
    return hqq_credit_charge(advanced, on, chunk);
}

static void drop_unknown(struct hqq_advanced *advanced, const struct hqq_chunk *chunk)
{
    hqq_advanced_lock(advanced);
    if (!hqq_connection_of_message(advanced, chunk->connection) || (chunk->flags & HQQ_FRAME_ABORT) != 0) {
        advanced->stats.late_frames++;
    } else {
        advanced->stats.invalid_frames++;
        (void)charge(advanced, NULL, chunk);
    }
    hqq_advanced_unlock(advanced);
}

static void finish(struct hqq_advanced *advanced, struct hqq_assembly *assembly)
{
    hqq_advanced_lock(advanced);
    hqq_partial_forget(advanced, assembly);
    hqq_advanced_unlock(advanced);
}

/* What a message that begins takes of the bound of bytes: nothing if a stream's function takes it in pieces. */
static uint64_t bytes_wanted(const struct hqq_advanced *advanced, const struct hqq_chunk *chunk)
{
    bool is_call = (chunk->flags & (HQQ_FRAME_REQUEST | HQQ_FRAME_RESPONSE)) != 0;
    return !is_call && hqq_stream_find(advanced, chunk->connection).take ? 0 : chunk->total;
}

/* Whether it may begin beside those that are arriving, or never will be allowed to. */
static bool is_room_for(struct hqq_advanced *advanced, const struct hqq_chunk *chunk)
{
    const struct hqq_advanced_config *config = &advanced->config;
    bool is_whole = (chunk->flags & HQQ_FRAME_END) != 0;
    hqq_advanced_lock(advanced);
    uint64_t bytes = bytes_wanted(advanced, chunk);
    bool is_refused = chunk->total > config->max_message || bytes > config->max_partial_bytes ||
                      !hqq_connection_of_message(advanced, chunk->connection);
    hqq_advanced_unlock(advanced);
    return is_refused || ((is_whole || advanced->partial_count < config->max_partial_count) &&
                          bytes <= config->max_partial_bytes - advanced->partial_bytes);
}

/*
 * A peer that has none of this library's features cannot say that it gave a message up midway, as where its deadline
 * passed: what it left would stay for ever, and at last keep every other message out. So there a message that begins
 * displaces what has had no chunk for longest, which is told as if it had been aborted.
 */
static void make_room(struct hqq_advanced *advanced, const struct hqq_chunk *chunk)
{
    struct hqq_assembly *stalest;
    if (hqq_advanced_has(advanced, HQQ_FEATURES_OWN))
        return;
    while (!is_room_for(advanced, chunk) && (stalest = hqq_partial_find_stalest(advanced)) != NULL) {
        give_up(advanced, stalest, HQQ_ERROR_ABORTED);
        hqq_advanced_lock(advanced);
        hqq_partial_forget(advanced, stalest);
        advanced->stats.messages_displaced++;
        hqq_advanced_unlock(advanced);
    }
}

/* The chunk belongs to that message, which has been counted in the credit of its connection. */
static void take_next(struct hqq_advanced *advanced, struct hqq_assembly *assembly, const struct hqq_chunk *chunk,
                      const unsigned char *body, int error)
{
    bool is_last = (chunk->flags & HQQ_FRAME_END) != 0;
    assembly->touched = advanced->assembly_clock++;
    if (error == 0 && assembly->on && !does_follow(assembly, chunk)) {
        count_invalid(advanced);
        error = HQQ_ERROR_INVALID_SIZE;
    }
    if (error == 0 && assembly->on)
        error = absorb(advanced, assembly, chunk, body);
    if (error == 0 && assembly->on && is_last && assembly->decompress && !hqq_decompress_is_done(assembly->decompress))
        error = HQQ_ERROR_INVALID_SIZE;
    if (error != 0)
        give_up(advanced, assembly, error);
    if (!is_last)
        return;
    if (assembly->on)
        complete(advanced, assembly);
    else
        finish(advanced, assembly);
}

void hqq_assembly_take(struct hqq_advanced *advanced, const struct hqq_chunk *chunk, const unsigned char *body)
{
    struct hqq_assembly *assembly = hqq_partial_find(advanced, chunk);
    int error = 0;
    HQQ_POINT("advanced.chunk");

    if ((chunk->flags & HQQ_FRAME_ABORT) != 0) {
        if (!assembly) {
            drop_unknown(advanced, chunk);
            return;
        }
        give_up(advanced, assembly, HQQ_ERROR_ABORTED);
        finish(advanced, assembly);
        return;
    }
    if (assembly && (chunk->flags & HQQ_FRAME_BEGIN) != 0) { /* a second beginning: the first will have no end */
        count_invalid(advanced);
        give_up(advanced, assembly, HQQ_ERROR_INVALID_SIZE);
        finish(advanced, assembly);
        assembly = NULL;
    }
    if (!assembly && (chunk->flags & HQQ_FRAME_BEGIN) == 0) {
        drop_unknown(advanced, chunk);
        return;
    }
    if (!assembly)
        make_room(advanced, chunk);
    hqq_advanced_lock(advanced);
    if (!assembly)
        assembly = begin(advanced, chunk, &error);
    int refusal = charge(advanced, assembly, chunk);
    if (error == 0)
        error = refusal;
    hqq_advanced_unlock(advanced);
    if (assembly)
        take_next(advanced, assembly, chunk, body, error);
}

void hqq_assembly_take_malformed(struct hqq_advanced *advanced, uint64_t connection, uint64_t message, uint64_t flags)
{
    struct hqq_assembly *assembly =
        hqq_partial_find_exactly(advanced, connection, message, hqq_partial_is_answer(flags));
    count_invalid(advanced);
    if (!assembly)
        return;
    give_up(advanced, assembly, HQQ_ERROR_INVALID_SIZE);
    finish(advanced, assembly);
}

void hqq_assembly_end_connection(struct hqq_advanced *advanced, uint64_t connection)
{
    for (size_t i = 0; i < HQQ_BUCKETS; i++) {
        struct hqq_assembly *next;
        for (struct hqq_assembly *assembly = advanced->assemblies[i]; assembly; assembly = next) {
            next = assembly->next;
            if (assembly->begin.connection != connection)
                continue;
            give_up(advanced, assembly, HQQ_ERROR_CLOSED);
            finish(advanced, assembly);
        }
    }
}

void hqq_assembly_end_streams(struct hqq_advanced *advanced, int error)
{
    for (size_t i = 0; i < HQQ_BUCKETS; i++) {
        for (struct hqq_assembly *assembly = advanced->assemblies[i]; assembly; assembly = assembly->next) {
            if (assembly->is_stream_begun)
                give_up(advanced, assembly, error);
        }
    }
}

void hqq_assembly_drop_all(struct hqq_advanced *advanced)
{
    for (size_t i = 0; i < HQQ_BUCKETS; i++) {
        while (advanced->assemblies[i])
            hqq_partial_forget(advanced, advanced->assemblies[i]);
    }
}
