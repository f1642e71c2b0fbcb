#include "channel/window.h"

#include "platform/sys.h"
#include "runtime/ticks.h"

/* Linux's own, where it can't be read. */
#define USUAL_LENGTH 10

/* A receiver that takes one datagram while its sender sends so many keeps up: the sender pauses before the receiver does. */
#define KEEPS_UP 16

/* Up to here it grows though less would do: so a look at r, whose line the receiver is writing, comes once in so many
 * datagrams at most. Beyond, only where it is used. */
#define FREELY 64

#define US_PER_MS 1000

/* Of this process's network namespace, which is the receiver's as a rule. */
static uint64_t read_length(void)
{
    char text[24];
    uint64_t length = 0;
    ssize_t count = hqq_sys_read_file("/proc/sys/net/unix/max_dgram_qlen", text, sizeof(text));
    for (ssize_t i = 0; i < count && text[i] >= '0' && text[i] <= '9' && length < UINT32_MAX; i++)
        length = length * 10 + (uint64_t)(text[i] - '0');
    return count > 0 ? length : USUAL_LENGTH;
}

/* What the kernel would leave unread. */
static uint64_t least_of(const struct hqq_ring *ring)
{
    static hqq_atomic_u64 known;
    uint64_t least = hqq_load_relaxed(&known);
    if (least == 0) {
        least = read_length() + 1;
        hqq_store_relaxed(&known, least);
    }
    return least < ring->count ? least : ring->count;
}

void hqq_window_open(struct hqq_ring *ring)
{
    uint64_t r = hqq_load_relaxed(hqq_ring_r(ring));
    ring->window = ring->least_window = least_of(ring);
    ring->grown_r = ring->settled_r = r;
    ring->settled_ticks = hqq_ticks();
}

bool hqq_window_look(struct hqq_ring *ring, uint64_t position)
{
    uint64_t r = hqq_load_relaxed(hqq_ring_r(ring));
    int64_t taken = hqq_ring_distance(r, ring->grown_r);
    bool keeps_up = taken > 0 && taken >= (int64_t)(ring->window / KEEPS_UP);
    bool is_wanted = ring->window < FREELY || !hqq_window_is_half_free(ring, position, r);
    hqq_store_relaxed(&ring->seen_r, r);
    if (keeps_up && is_wanted && ring->window < ring->count) {
        ring->window = 2 * ring->window < ring->count ? 2 * ring->window : ring->count;
        ring->grown_r = r;
    }
    return hqq_ring_distance(position, r) < (int64_t)ring->window;
}

void hqq_window_settle(struct hqq_ring *ring, uint64_t ticks)
{
    uint64_t r = hqq_load_relaxed(hqq_ring_r(ring));
    uint64_t us = (ticks - ring->settled_ticks) / hqq_ticks_per_us();
    int64_t distance = hqq_ring_distance(r, ring->settled_r);
    uint64_t taken = distance > 0 ? (uint64_t)distance : 0; /* a hostile one may be anything, to its own harm */
    if (us > US_PER_MS)
        taken = taken > UINT64_MAX / US_PER_MS ? ring->count : taken * US_PER_MS / us;
    if (taken < ring->window)
        ring->window = taken > ring->least_window ? taken : ring->least_window;
    hqq_store_relaxed(&ring->seen_r, r);
    ring->grown_r = ring->settled_r = r;
    ring->settled_ticks = ticks;
}
