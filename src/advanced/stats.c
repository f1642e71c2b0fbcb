#include "advanced/stats.h"

#include "advanced/control.h"
#include "advanced/wake.h"

static void tell(struct hqq_advanced *advanced, uint64_t number)
{
    const struct hqq_advanced_stats *stats = &advanced->stats;
    struct hqq_packet packet =
        hqq_control_packet(HQQ_OPCODE_STATS, number, stats->messages_sent, stats->messages_received);
    packet.operand[3] = stats->bytes_received;
    packet.operand[4] = stats->errors;
    /* Without memory for it the peer runs into its deadline. The last answer is one to all questions before. */
    (void)hqq_control_queue_once(advanced, &packet, &advanced->queued_stats);
}

static void hear(struct hqq_advanced *advanced, const uint64_t *operand)
{
    advanced->stats_answered = operand[0];
    advanced->peer_stats = (struct hqq_advanced_peer_stats){
        .messages_sent = operand[1],
        .messages_received = operand[2],
        .bytes_received = operand[3],
        .errors = operand[4],
    };
    hqq_advanced_wake(advanced, &advanced->peer_stats);
}

void hqq_stats_handle(struct hqq_advanced *advanced, const struct hqq_packet *packet)
{
    uint64_t number = packet->operand[0];
    bool asks = packet->opcode == HQQ_OPCODE_STATS_ASK;
    bool is_due = asks || (number <= advanced->stats_asked && number > advanced->stats_answered);
    if (!hqq_advanced_has(advanced, HQQ_FEATURE_STATISTICS) || !is_due)
        advanced->stats.invalid_frames++;
    else if (asks)
        tell(advanced, number);
    else
        hear(advanced, packet->operand);
}
