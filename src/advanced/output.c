#include "advanced/output.h"

#include <sched.h>
#include <string.h>

#include <talloc.h>

#include "advanced/connection.h"
#include "advanced/control.h"
#include "advanced/crypto.h"
#include "advanced/schedule.h"
#include "advanced/stats.h"
#include "advanced/wake.h"
#include "platform/clock.h"

/* ---- Items ------------------------------------------------------------------------------------------------------- */

static void take_out(struct hqq_advanced *advanced, struct hqq_item *item)
{
    struct hqq_connection *on = item->on;
    struct hqq_item **at = &on->first_item;
    while (*at != item)
        at = &(*at)->next;
    *at = item->next;
    if (!*at)
        on->last_item = at;
    hqq_schedule_look_again(on); /* what comes next may need none */
    if (!on->first_item)
        hqq_schedule_remove(advanced, on);
}

/* Queues what tells the peer to drop what it has of a message, if it has anything. */
static void say_aborted(struct hqq_advanced *advanced, const struct hqq_item *item)
{
    const struct hqq_chunk chunk = {
        .connection = item->chunk.connection,
        .message = item->chunk.message,
        .flags = HQQ_FRAME_ABORT | (item->chunk.flags & HQQ_FRAME_KIND),
    };
    struct hqq_packet packet = hqq_chunk_packet(&chunk, 0);
    if (!item->is_begun || item->chunk.offset == item->chunk.total)
        return;
    advanced->stats.messages_aborted++;
    (void)hqq_control_queue(advanced, &packet); /* without memory for it the peer keeps its part of the message */
}

/* The item is out of its queue, and has come to its end. */
static void settle(struct hqq_advanced *advanced, struct hqq_item *item, int result)
{
    struct hqq_connection *on = item->on;
    item->state = result == 0 ? HQQ_ITEM_DONE : HQQ_ITEM_FAILED;
    item->result = result;
    if (result != 0)
        hqq_advanced_wake(advanced, &advanced->first_control); /* who flushes: it may have been the last */
    if (item->patience == HQQ_PATIENCE_POSTED) {
        if (result != 0) /* who waits for an item does this himself */
            say_aborted(advanced, item);
        advanced->posted_bytes -= item->original;
        talloc_free(item);
    } else {
        hqq_advanced_wake(advanced, item);
    }
    hqq_connection_sent_all(advanced, on);
    hqq_connection_put(on);
}

static void count_message(struct hqq_advanced *advanced, const struct hqq_item *item)
{
    uint64_t flags = item->chunk.flags;
    struct hqq_connection *on = item->on;
    advanced->stats.messages_sent++;
    advanced->stats.bytes_sent += item->original;
    on->messages_sent++;
    on->bytes_sent += item->original;
    if ((flags & HQQ_FRAME_REQUEST) != 0)
        advanced->stats.requests_sent++;
    if ((flags & HQQ_FRAME_RESPONSE) != 0)
        advanced->stats.responses_sent++;
    if ((flags & HQQ_FRAME_ERROR) != 0)
        advanced->stats.error_responses_sent++;
}

static void count_begun(struct hqq_advanced *advanced, const struct hqq_item *item, uint64_t now)
{
    uint32_t class = item->on->ready_class;
    uint64_t took = now > item->queued_ns ? now - item->queued_ns : 0;
    advanced->stats.queued[class]++;
    advanced->stats.queued_ns[class] += took;
    if (took > advanced->stats.queued_max_ns[class])
        advanced->stats.queued_max_ns[class] = took;
}

/* ---- Putting ----------------------------------------------------------------------------------------------------- */

/* A sealed control packet has its tag in its last two operands; an empty chunk, which needs those, in its slot. */
static void put_control(struct hqq_advanced *advanced, uint64_t position, struct hqq_packet *packet)
{
    struct hqq_session *session = &advanced->session;
    unsigned char tag[HQQ_CRYPTO_TAG];
    if (session->is_sealing && packet->opcode == HQQ_OPCODE_CONN_COPY) {
        packet->operand[HQQ_CHUNK_SIZE] = sizeof(tag);
        hqq_crypto_seal(session->crypto, session->sealed++, hqq_packet_words(packet), NULL, 0,
                        hqq_link_payload(advanced->link, position));
    } else if (session->is_sealing) {
        hqq_crypto_seal(session->crypto, session->sealed++, hqq_packet_words(packet), NULL, 0, tag);
        memcpy(&packet->operand[HQQ_CONTROL_TAG], tag, sizeof(tag));
    }
    hqq_link_put_packet(advanced->link, position, packet, 0);
}

/* Without the lock. */
static void put_chunk(struct hqq_advanced *advanced, uint64_t position, const struct hqq_chunk *chunk,
                      const unsigned char *data)
{
    struct hqq_session *session = &advanced->session;
    uint64_t overhead = hqq_advanced_overhead(session->is_sealing);
    bool is_datagram = (chunk->flags & HQQ_FRAME_DATAGRAM) != 0;
    struct hqq_packet packet = is_datagram ? hqq_link_datagram_packet(advanced->link, position, chunk->size)
                                           : hqq_chunk_packet(chunk, overhead);
    unsigned char *payload = hqq_link_payload(advanced->link, position);
    HQQ_POINT("advanced.claimed");
    if (session->is_sealing) {
        uint64_t started = hqq_stats_time_now_and_then(session->sealed);
        hqq_crypto_seal(session->crypto, session->sealed++, hqq_packet_words(&packet), data, chunk->size, payload);
        hqq_stats_count_sealed(&advanced->sent, started, overhead);
    } else if (chunk->size != 0) {
        memcpy(payload, data, chunk->size);
    }
    hqq_link_put_packet(advanced->link, position, &packet, chunk->size);
    hqq_count_own(&advanced->sent.chunks, 1);
    HQQ_POINT("advanced.put");
}

/* Sends the control packets that wait. 0, or why it stopped. */
static int push_controls(struct hqq_advanced *advanced)
{
    while (advanced->first_control) {
        uint64_t position;
        int result = hqq_link_claim_slot(advanced->link, 1, &position);
        if (result != 0)
            return result;
        struct hqq_control *control = hqq_control_take(advanced);
        bool confirms = control->packet.opcode == HQQ_OPCODE_KEY_CONFIRM;
        advanced->session.is_sealing |= confirms; /* this one and all after it */
        put_control(advanced, position, &control->packet);
        talloc_free(control);
        advanced->progress++;
    }
    return 0;
}

/* Sends the next chunk of a connection into a slot that is claimed. Gives the lock up while it copies. */
static void push_chunk(struct hqq_advanced *advanced, struct hqq_connection *on, uint64_t position, uint64_t now)
{
    struct hqq_item *item = on->first_item;
    struct hqq_chunk chunk = item->chunk;
    hqq_connection_get(on);
    if (chunk.offset == 0) {
        chunk.flags |= HQQ_FRAME_BEGIN;
        count_begun(advanced, item, now);
    } else {
        chunk.method = 0;
    }
    if (chunk.offset + chunk.size == chunk.total)
        chunk.flags |= HQQ_FRAME_END;
    item->is_in_hand = item->is_begun = true;
    if (item->progress == HQQ_PROGRESS_NONE)
        item->progress = HQQ_PROGRESS_STARTED;
    hqq_schedule_sent(advanced, on, now);
    hqq_advanced_unlock(advanced);
    put_chunk(advanced, position, &chunk, item->data);
    hqq_advanced_lock(advanced);

    item->is_in_hand = false;
    if (chunk.size != 0) /* that of an empty message may be NULL */
        item->data += chunk.size;
    item->left -= chunk.size;
    item->chunk.offset += chunk.size;
    on->used_ns = now;
    advanced->progress++;
    bool is_over = item->left == 0;
    if (is_over && item->chunk.offset == chunk.total)
        count_message(advanced, item);
    if (is_over || item->is_canceled) {
        take_out(advanced, item);
        settle(advanced, item, is_over ? 0 : item->result);
    }
    hqq_schedule_ready(advanced, on);
    hqq_connection_put(on);
}

/*
 * Claims a slot for the next chunk of an item, whose class needs so much room. A message that finds room for all of it
 * goes as a whole, though its class may fill a part of the ring only: in a small ring it would never fit else. That is
 * so where the ring is empty; and for one that does not wait, which either goes at once, or not at all.
 */
static int claim_for(struct hqq_advanced *advanced, struct hqq_item *item, uint64_t room, uint64_t *ret_position)
{
    uint64_t slots = advanced->link->tx.count, chunks = hqq_schedule_chunks(advanced, item);
    int result = HQQ_ERROR_WOULD_BLOCK;
    bool is_at_once = item->patience == HQQ_PATIENCE_AT_ONCE;
    if (item->progress == HQQ_PROGRESS_FILLING)
        room = 1;
    if (item->progress == HQQ_PROGRESS_NONE && chunks <= slots) {
        uint64_t whole = !is_at_once ? slots : chunks > room ? chunks : room;
        result = hqq_link_claim_slot(advanced->link, whole, ret_position);
        if (result == 0)
            item->progress = HQQ_PROGRESS_FILLING;
        if (is_at_once)
            room = whole;
    }
    if (result == HQQ_ERROR_WOULD_BLOCK)
        result = hqq_link_claim_slot(advanced->link, room, ret_position);
    if (result == HQQ_ERROR_WOULD_BLOCK)
        advanced->room_wanted = room;
    return result;
}

static int push_messages(struct hqq_advanced *advanced)
{
    struct hqq_connection *on;
    uint64_t room, position;
    uint64_t now = hqq_clock_ns();
    while ((on = hqq_schedule_next(advanced, now, &room)) != NULL) {
        int result = claim_for(advanced, on->first_item, room, &position);
        if (result != 0)
            return result;
        push_chunk(advanced, on, position, now);
        if (advanced->first_control)
            return 0; /* these go first */
        if (advanced->has_rates)
            now = hqq_clock_ns();
    }
    if (advanced->rate_until_ns != HQQ_FOREVER)
        advanced->stats.rate_waits++;
    return HQQ_ERROR_WOULD_BLOCK;
}

static bool has_messages(const struct hqq_advanced *advanced)
{
    for (size_t i = 0; i < HQQ_PRIORITIES; i++) {
        if (advanced->ready[i].first)
            return true;
    }
    return false;
}

void hqq_output_push(struct hqq_advanced *advanced)
{
    int result = 0;
    if (advanced->is_sending || advanced->output_ended != 0)
        return;
    advanced->is_sending = true;
    advanced->room_wanted = 0;
    advanced->rate_until_ns = HQQ_FOREVER;
    while (result == 0 && (advanced->first_control || has_messages(advanced))) {
        result = push_controls(advanced);
        if (result == HQQ_ERROR_WOULD_BLOCK)
            advanced->room_wanted = 1;
        if (result == 0 && has_messages(advanced))
            result = push_messages(advanced);
    }
    advanced->is_sending = false;
    if (advanced->waiters && !advanced->first_control)
        hqq_advanced_wake(advanced, &advanced->first_control); /* who flushes */
    if (result != 0 && result != HQQ_ERROR_WOULD_BLOCK)
        hqq_output_end(advanced, result);
}

/* ---- Queueing ---------------------------------------------------------------------------------------------------- */

/* Answers go before messages, which may be waiting for credit until whoever called has its answer. */
static struct hqq_item **place_for(struct hqq_connection *on, const struct hqq_item *item)
{
    struct hqq_item **at = &on->first_item;
    if ((item->chunk.flags & HQQ_FRAME_RESPONSE) == 0)
        return on->last_item;
    while (*at && ((*at)->chunk.flags & HQQ_FRAME_RESPONSE) != 0)
        at = &(*at)->next;
    return at;
}

int hqq_output_queue(struct hqq_advanced *advanced, struct hqq_item *item)
{
    if (advanced->output_ended != 0)
        return advanced->output_ended;
    struct hqq_connection *on = hqq_connection_get(item->on);
    struct hqq_item **at = place_for(on, item);
    item->state = HQQ_ITEM_QUEUED;
    item->progress = HQQ_PROGRESS_NONE;
    item->is_canceled = false; /* the piece before it may have been, and have been sent all the same */
    item->queued_ns = hqq_clock_ns();
    item->next = *at;
    *at = item;
    if (!item->next)
        on->last_item = &item->next;
    if (on->first_item == item)
        hqq_schedule_look_again(on);
    hqq_schedule_ready(advanced, on);
    hqq_output_push(advanced);
    return 0;
}

void hqq_output_cancel(struct hqq_advanced *advanced, struct hqq_item *item, int result)
{
    item->result = result;
    item->is_canceled = true;
    while (item->is_in_hand) {
        hqq_advanced_unlock(advanced);
        (void)sched_yield();
        hqq_advanced_lock(advanced);
    }
    if (item->state != HQQ_ITEM_QUEUED)
        return;
    take_out(advanced, item);
    hqq_schedule_ready(advanced, item->on);
    settle(advanced, item, result);
}

void hqq_output_abort_message(struct hqq_advanced *advanced, const struct hqq_item *item)
{
    say_aborted(advanced, item);
    hqq_output_push(advanced);
}

void hqq_output_resume(struct hqq_advanced *advanced, struct hqq_connection *on)
{
    hqq_schedule_look_again(on);
    hqq_schedule_ready(advanced, on);
    hqq_output_push(advanced);
}

/* ---- The end ----------------------------------------------------------------------------------------------------- */

static void fail_items(struct hqq_advanced *advanced, struct hqq_connection *on, bool also_posted, int result)
{
    struct hqq_item *next;
    hqq_connection_get(on);
    for (struct hqq_item *item = on->first_item; item; item = next) {
        next = item->next;
        if (item->patience == HQQ_PATIENCE_POSTED && !also_posted)
            continue;
        if (item->is_in_hand) {
            item->is_canceled = true;
            item->result = result;
            continue;
        }
        take_out(advanced, item);
        settle(advanced, item, result);
    }
    hqq_connection_put(on);
}

void hqq_output_fail_connection(struct hqq_advanced *advanced, struct hqq_connection *on, int result)
{
    fail_items(advanced, on, true, result);
}

void hqq_output_fail_waiting(struct hqq_advanced *advanced, struct hqq_connection *on, int result)
{
    fail_items(advanced, on, false, result);
    hqq_schedule_ready(advanced, on);
}

void hqq_output_end(struct hqq_advanced *advanced, int result)
{
    if (advanced->output_ended != 0)
        return;
    advanced->output_ended = result;
    advanced->room_wanted = 0;
    advanced->rate_until_ns = HQQ_FOREVER;
    hqq_output_fail_connection(advanced, advanced->ground, result);
    struct hqq_connection *next;
    for (struct hqq_connection *on = advanced->all; on; on = next) {
        next = on->next_all;
        hqq_output_fail_connection(advanced, on, result);
    }
    struct hqq_control *control;
    while ((control = hqq_control_take(advanced)) != NULL)
        talloc_free(control);
    hqq_advanced_wake_all(advanced);
}

bool hqq_output_is_empty(const struct hqq_advanced *advanced)
{
    if (advanced->first_control || advanced->ground->first_item)
        return false;
    for (const struct hqq_connection *on = advanced->all; on; on = on->next_all) {
        if (on->first_item)
            return false;
    }
    return true;
}
