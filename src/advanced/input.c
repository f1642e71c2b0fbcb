#include "advanced/input.h"

#include <string.h>

#include "advanced/assembly.h"
#include "advanced/call.h"
#include "advanced/connect.h"
#include "advanced/connection.h"
#include "advanced/credit.h"
#include "advanced/crypto.h"
#include "advanced/event.h"
#include "advanced/output.h"
#include "advanced/session.h"
#include "advanced/stats.h"
#include "advanced/wake.h"

void hqq_advanced_note_end(struct hqq_advanced *advanced, int result)
{
    if (advanced->ended != 0)
        return;
    advanced->ended = result;
    hqq_session_end(advanced, result);
    hqq_output_end(advanced, result);
    hqq_call_end_all(advanced, result);
    hqq_connect_end_all(advanced);
    hqq_event_update(advanced);
    hqq_advanced_wake_all(advanced);
}

/* ---- Control packets --------------------------------------------------------------------------------------------- */

/* The tag of a sealed control packet lies in its last two operands. */
static int open_control(struct hqq_advanced *advanced, struct hqq_packet *packet)
{
    unsigned char tag[HQQ_CRYPTO_TAG];
    memcpy(tag, &packet->operand[HQQ_CONTROL_TAG], sizeof(tag));
    memset(&packet->operand[HQQ_CONTROL_TAG], 0, sizeof(tag));
    int result = hqq_crypto_open(advanced->session.crypto, advanced->session.opened, hqq_packet_words(packet), tag,
                                 sizeof(tag), advanced->plain);
    if (result == 0)
        advanced->session.opened++;
    return result;
}

static void refuse(struct hqq_advanced *advanced)
{
    advanced->stats.invalid_frames++;
}

static void handle_credit(struct hqq_advanced *advanced, uint64_t id, uint64_t limit)
{
    struct hqq_connection *on = id == 0 ? advanced->ground : hqq_connection_find(advanced, id);
    if (!hqq_advanced_has(advanced, HQQ_FEATURE_FLOW_CONTROL)) {
        refuse(advanced);
        return;
    }
    advanced->stats.credits_received++;
    if (on && hqq_credit_raise(on, limit))
        hqq_output_resume(advanced, on);
}

/* With the lock. */
static void handle_control(struct hqq_advanced *advanced, const struct hqq_packet *packet)
{
    const uint64_t *operand = packet->operand;
    bool is_done = advanced->session.is_done;

    if (hqq_session_handle(advanced, packet))
        return;
    if (!is_done) {
        refuse(advanced);
        return;
    }
    switch (packet->opcode) {
    case HQQ_OPCODE_ERROR:
        hqq_connect_handle_error(advanced, operand[0], hqq_wire_error(operand[1]));
        break;
    case HQQ_OPCODE_CONN_CREATE:
        hqq_connect_handle_create(advanced, operand[0], operand[1]);
        break;
    case HQQ_OPCODE_CONN_ACCEPT:
        hqq_connect_handle_accept(advanced, operand[0]);
        break;
    case HQQ_OPCODE_CONN_CLOSE:
        hqq_connect_handle_close(advanced, operand[0], operand[1]);
        break;
    case HQQ_OPCODE_CREDIT:
        handle_credit(advanced, operand[0], operand[1]);
        break;
    case HQQ_OPCODE_STATS_ASK:
    case HQQ_OPCODE_STATS:
        hqq_stats_handle(advanced, packet);
        break;
    default:
        refuse(advanced);
        break;
    }
}

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

/* The body of a chunk, opened, in memory that the peer cannot change if that matters. Without the lock. */
static int open_chunk(struct hqq_advanced *advanced, const struct hqq_taken *taken, const struct hqq_chunk *chunk,
                      const unsigned char **ret_body)
{
    struct hqq_session *session = &advanced->session;
    *ret_body = taken->payload;
    if (!session->is_opening)
        return 0;
    uint64_t sealed = chunk->size + HQQ_CRYPTO_TAG;
    uint64_t started = hqq_stats_time_now_and_then(session->opened);
    memcpy(advanced->scratch, taken->payload, sealed);
    int result = hqq_crypto_open(session->crypto, session->opened, hqq_packet_words(&taken->packet), advanced->scratch,
                                 sealed, advanced->plain);
    if (result != 0)
        return result;
    session->opened++;
    hqq_stats_count_sealed(&advanced->taken, started, 0);
    *ret_body = advanced->plain;
    return 0;
}

/* A chunk of the advanced protocol. Without the lock. */
static int handle_chunk(struct hqq_advanced *advanced, const struct hqq_taken *taken)
{
    const struct hqq_chunk_rules rules = {
        .buffer_size = advanced->link->rx.buffer_size,
        .overhead = hqq_advanced_overhead(advanced->session.is_opening),
        .may_be_compressed = hqq_advanced_has(advanced, HQQ_FEATURE_COMPRESSION),
    };
    struct hqq_chunk chunk;
    const unsigned char *body = NULL;
    int result = hqq_chunk_parse(&taken->packet, &rules, &chunk);
    if (result == 0) {
        result = open_chunk(advanced, taken, &chunk, &body);
        if (result != 0)
            return result;
        hqq_count_own(&advanced->taken.chunks, 1);
        hqq_assembly_take(advanced, &chunk, body);
        return 0;
    }
    if (advanced->session.is_opening)
        return HQQ_ERROR_AUTH; /* the peer would not have sealed it */
    hqq_assembly_take_malformed(advanced, taken->packet.operand[0], taken->packet.operand[1], taken->packet.operand[5]);
    return 0;
}

/* A datagram of a standard writer is a message of its own. */
static void handle_datagram(struct hqq_advanced *advanced, const struct hqq_taken *taken)
{
    uint64_t size = taken->packet.operand[HQQ_COPY_SIZE];
    const struct hqq_chunk chunk = {
        .total = size, .size = size, .flags = HQQ_FRAME_BEGIN | HQQ_FRAME_END | HQQ_FRAME_DATAGRAM};
    if (size == 0 || size > advanced->link->rx.buffer_size || advanced->session.is_opening) {
        hqq_advanced_lock(advanced);
        refuse(advanced);
        hqq_advanced_unlock(advanced);
        return;
    }
    hqq_assembly_take(advanced, &chunk, taken->payload);
}

/* ---- Taking ------------------------------------------------------------------------------------------------------ */

/* Without the lock. */
static int handle(struct hqq_advanced *advanced, struct hqq_taken *taken)
{
    int result = 0;
    switch (taken->packet.opcode) {
    case HQQ_OPCODE_CONN_COPY:
        if (advanced->session.is_done)
            return handle_chunk(advanced, taken);
        break;
    case HQQ_OPCODE_COPY:
        if (advanced->session.is_done) {
            handle_datagram(advanced, taken);
            return 0;
        }
        break;
    default:
        if (advanced->session.is_opening)
            result = open_control(advanced, &taken->packet);
        break;
    }
    if (result != 0)
        return result;
    hqq_advanced_lock(advanced);
    handle_control(advanced, &taken->packet);
    hqq_advanced_unlock(advanced);
    if (taken->packet.opcode == HQQ_OPCODE_CONN_CLOSE && taken->packet.operand[0] != 0)
        hqq_assembly_end_connection(advanced, taken->packet.operand[0]);
    return 0;
}

int hqq_input_take(struct hqq_advanced *advanced, uint64_t until_ns)
{
    struct hqq_taken taken;
    advanced->is_taking = true;
    hqq_advanced_unlock(advanced);
    int result = hqq_link_take_packet(advanced->link, until_ns, &taken);
    bool is_taken = result == 0;
    if (is_taken) {
        HQQ_POINT("advanced.taken");
        result = handle(advanced, &taken);
        hqq_link_give_back(advanced->link, &taken);
    }
    bool is_end = result != 0 && result != HQQ_ERROR_WOULD_BLOCK && result != HQQ_ERROR_TIMEOUT;
    if (is_end)
        hqq_assembly_end_streams(advanced, result);
    hqq_advanced_lock(advanced);
    advanced->is_taking = false;
    if (is_taken)
        advanced->progress++;
    if (is_end) {
        if (is_taken)
            hqq_output_push(advanced); /* a peer with another key finds out by what it gets from us */
        hqq_advanced_note_end(advanced, result);
        if (is_taken) /* it did not open: whoever did this must not go on, nor the peer go on waiting */
            (void)hqq_link_shutdown(advanced->link);
    }
    return result;
}
