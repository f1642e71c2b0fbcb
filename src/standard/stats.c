/* Statistics: adds up what the threads counted. */
#include "standard/state.h"

bool hqq_link_holds_slots(const struct hqq_link *link)
{
    uint64_t held = 0;
    for (int i = 0; i <= HQQ_OWN_SHARDS; i++)
        held += hqq_load_relaxed(&link->shard[i].slots_taken) - hqq_load_relaxed(&link->shard[i].slots_returned);
    return held != 0;
}

void hqq_link_get_stats(const struct hqq_link *link, struct hqq_link_stats *ret_stats)
{
    const struct hqq_counts *counts = &link->counts;
    struct hqq_link_stats stats = {
        .tombstones_written = hqq_load_relaxed(&counts->tombstones_written),
        .tombstones_skipped = hqq_load_relaxed(&counts->tombstones_skipped),
        .read_waits = hqq_load_relaxed(&link->read_spin.waits),
        .write_waits = hqq_load_relaxed(&link->write_spin.waits),
        .read_sleeps = hqq_load_relaxed(&link->read_spin.sleeps),
        .write_sleeps = hqq_load_relaxed(&link->write_spin.sleeps),
        .wakeups_sent = hqq_load_relaxed(&counts->wakeups_sent),
        .read_timeouts = hqq_load_relaxed(&counts->read_timeouts),
        .write_timeouts = hqq_load_relaxed(&counts->write_timeouts),
        .truncated = hqq_load_relaxed(&counts->truncated),
        .invalid_packets = hqq_load_relaxed(&counts->invalid_packets),
        .errors = hqq_load_relaxed(&counts->errors),
        .peer_deaths = hqq_load_relaxed(&counts->peer_deaths),
        .slots_recovered = hqq_load_relaxed(&counts->slots_recovered),
    };
    for (int i = 0; i <= HQQ_OWN_SHARDS; i++) {
        stats.messages_written += hqq_load_relaxed(&link->shard[i].messages_written);
        stats.bytes_written += hqq_load_relaxed(&link->shard[i].bytes_written);
        stats.messages_read += hqq_load_relaxed(&link->shard[i].messages_read);
        stats.bytes_read += hqq_load_relaxed(&link->shard[i].bytes_read);
    }
    if (hqq_process_is_generation(link->generation)) {
        stats.write_high_water = hqq_load_relaxed(&link->tx.high_water);
        stats.write_depth = hqq_ring_depth(&link->tx);
        stats.read_depth = hqq_ring_depth(&link->rx);
    }
    *ret_stats = stats;
}
