/* Prints a link as it lies in memory. See heavy.h. */
#include "support/heavy.h"

#include <inttypes.h>
#include <stdio.h>

#include "standard/state.h"

#define SLOTS_SHOWN 8

static void dump_statistics(const struct hqq_link *link)
{
    struct hqq_link_stats stats;
    hqq_link_get_stats(link, &stats);
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"messages_written", stats.messages_written},
        {"messages_read", stats.messages_read},
        {"tombstones_written", stats.tombstones_written},
        {"tombstones_skipped", stats.tombstones_skipped},
        {"read_waits", stats.read_waits},
        {"write_waits", stats.write_waits},
        {"read_sleeps", stats.read_sleeps},
        {"write_sleeps", stats.write_sleeps},
        {"wakeups_sent", stats.wakeups_sent},
        {"read_timeouts", stats.read_timeouts},
        {"write_timeouts", stats.write_timeouts},
        {"truncated", stats.truncated},
        {"invalid_packets", stats.invalid_packets},
        {"errors", stats.errors},
        {"peer_deaths", stats.peer_deaths},
        {"slots_recovered", stats.slots_recovered},
        {"write_depth", stats.write_depth},
        {"read_depth", stats.read_depth},
    };
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (counts[i].value != 0)
            fprintf(stderr, "    %s=%" PRIu64 "\n", counts[i].name, counts[i].value);
    }
}

static void dump_ring(const char *name, const struct hqq_ring *ring)
{
    uint64_t r = hqq_load_relaxed(hqq_ring_r(ring));
    uint64_t w = hqq_load_relaxed(hqq_ring_w(ring));
    fprintf(stderr, "    %s: C=%" PRIu64 " r=%" PRIu64 " w=%" PRIu64 "\n", name, ring->count, r, w);
    for (uint64_t i = 0; i < ring->count && i < SLOTS_SHOWN; i++) {
        uint64_t position = r + i;
        uint64_t seq = hqq_load_relaxed(hqq_ring_seq(ring, position));
        const char *state = seq == position                     ? "free"
                            : seq == position + 1               ? "published"
                            : seq == position + ring->count     ? "released"
                            : seq == position - ring->count + 1 ? "taken a lap ago"
                                                                : "odd";
        if (seq == position && hqq_ring_distance(position, w) < 0)
            state = "claimed by a writer";
        fprintf(stderr, "        slot %" PRIu64 ": seq=%" PRIu64 " (%s)\n", position & ring->mask, seq, state);
    }
}

static void dump_bell(const char *name, const struct hqq_bell *bell)
{
    fprintf(stderr, "    bell %s: sequence=%" PRIu32 " sleepers=%" PRIu32 "\n", name,
            hqq_load32_relaxed(&bell->sequence), hqq_load32_relaxed(&bell->sleepers));
}

void heavy_dump_link(const char *name, const struct hqq_link *link)
{
    if (!link) {
        fprintf(stderr, "  %s: not open\n", name);
        return;
    }
    uint64_t own = hqq_load_relaxed(&link->own_end->owner);
    uint64_t peer = hqq_load_relaxed(&link->peer_end->owner);
    fprintf(stderr,
            "  %s: role=%d shut=%" PRIu32 " inside=%" PRIu32 " own end=%d (%#" PRIx64 ") peer end=%d (%#" PRIx64 ")\n",
            name, (int)link->role, hqq_load32_relaxed(&link->shut), hqq_load32_relaxed(&link->inside),
            (int)hqq_end_state(own), own, (int)hqq_end_state(peer), peer);
    dump_statistics(link);
    dump_ring("sending", &link->tx);
    dump_ring("receiving", &link->rx);
    dump_bell("sending data", link->tx_data);
    dump_bell("sending space", link->tx_space);
    dump_bell("receiving data", link->rx_data);
    dump_bell("receiving space", link->rx_space);
}
