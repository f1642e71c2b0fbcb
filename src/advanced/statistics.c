/* Statistics as the program asks for them: its own, and the peer's. */
#include "advanced/control.h"
#include "advanced/enter.h"
#include "advanced/wait.h"

int hqq_advanced_get_stats(struct hqq_advanced *advanced, struct hqq_advanced_stats *ret_stats)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    struct hqq_advanced_stats stats = advanced->stats;
    stats.chunks_sent = hqq_load_relaxed(&advanced->sent.chunks);
    stats.chunks_received = hqq_load_relaxed(&advanced->taken.chunks);
    stats.encrypted_chunks = hqq_load_relaxed(&advanced->sent.encrypted) + hqq_load_relaxed(&advanced->taken.encrypted);
    stats.encryption_bytes = hqq_load_relaxed(&advanced->sent.encryption_bytes);
    stats.encryption_ns =
        hqq_load_relaxed(&advanced->sent.encryption_ns) + hqq_load_relaxed(&advanced->taken.encryption_ns);
    stats.connections = advanced->connections;
    stats.partial_messages = advanced->partial_count;
    stats.partial_bytes = advanced->partial_bytes;
    stats.waiting_messages = advanced->waiting_count + advanced->requests;
    stats.waiting_bytes = advanced->waiting_bytes + advanced->request_bytes;
    stats.calls = advanced->call_count;
    *ret_stats = stats;
    return hqq_advanced_end(advanced, 0);
}

/* ---- The peer's -------------------------------------------------------------------------------------------------- */

struct question {
    const struct hqq_advanced *advanced;
    uint64_t number;
};

static bool is_answered(void *arg)
{
    const struct question *question = arg;
    return question->advanced->stats_answered >= question->number;
}

int hqq_advanced_get_peer_stats(struct hqq_advanced *advanced, uint64_t deadline_ns,
                                struct hqq_advanced_peer_stats *ret_stats)
{
    int result = hqq_advanced_begin_agreed(advanced, HQQ_FEATURE_STATISTICS);
    if (result != 0)
        return result;
    struct question question = {advanced, ++advanced->stats_asked};
    const struct hqq_await wait = {
        .object = &advanced->peer_stats,
        .is_ready = is_answered,
        .arg = &question,
        .kind = HQQ_AWAIT_PEER,
        .deadline_ns = deadline_ns,
    };
    struct hqq_packet packet = hqq_control_packet(HQQ_OPCODE_STATS_ASK, question.number, 0, 0);
    result = hqq_control_queue_once(advanced, &packet, &advanced->queued_ask);
    if (result == 0)
        result = hqq_advanced_wait(advanced, &wait);
    if (result == 0)
        *ret_stats = advanced->peer_stats;
    return hqq_advanced_end(advanced, result);
}
