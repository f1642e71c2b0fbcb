#include "hostile/victim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <hqq/error.h>

#define LONGEST_WAIT_NS (2 * HEAVY_MS)

/* ---- Checking -----------------------------------------------------------------------------------------------------
 * */

/* Results are shown as bits: 0 to 7, and from 64 up. */
#define BIT(result) ((result) < 64 ? 1u << (result) : 1u << ((result)-64 + 8))
#define WAITED (BIT(HQQ_ERROR_WOULD_BLOCK) | BIT(HQQ_ERROR_TIMEOUT) | BIT(HQQ_ERROR_CLOSED) | BIT(HQQ_ERROR_PEER_DIED))
#define WRITES (BIT(0) | WAITED)
#define READS (BIT(0) | WAITED | BIT(HQQ_ERROR_TRUNCATED) | BIT(HQQ_ERROR_INVALID_OP) | BIT(HQQ_ERROR_INVALID_SIZE))
#define HANDS_OVER (BIT(0) | BIT(HQQ_ERROR_INVALID_OP))

static void check(struct victim *victim, const char *call, uint64_t began_ns, int result, unsigned allowed)
{
    uint64_t took = hqq_clock_ns() - began_ns;
    atomic_fetch_add(&heavy_steps, 1);
    victim->calls++;
    victim->done += result == 0;
    if (took > victim->longest_ns)
        victim->longest_ns = took;
    if (took > LONGEST_WAIT_NS + VICTIM_SLACK_NS)
        heavy_fail("%s took %llu ms", call, (unsigned long long)(took / HEAVY_MS));
    if (result < 0 || result > HQQ_ERROR_FORKED || (allowed & BIT(result)) == 0)
        heavy_fail("%s: %d (%s), which is not documented", call, result, hqq_strerror(result));
}

static void check_slot(const struct victim *victim, const struct hqq_slot *slot)
{
    const unsigned char *data = slot->data;
    if (slot->length > victim->size || data < victim->base || data + victim->size > victim->base + victim->bytes)
        heavy_fail("a slot outside the region: %zu bytes", slot->length);
}

static bool was_read(int result)
{
    return result == 0 || result == HQQ_ERROR_TRUNCATED;
}

void victim_hurry(struct hqq_link *link)
{
    heavy_expect("set_read_timeout", hqq_link_set_read_timeout(link, HEAVY_MS), 0);
    heavy_expect("set_write_timeout", hqq_link_set_write_timeout(link, HEAVY_MS), 0);
}

/* ---- Calls --------------------------------------------------------------------------------------------------------
 * */

static void write_some(struct victim *victim, bool tries)
{
    unsigned char data[VICTIM_SIZE_MAX] = {1};
    size_t length = 1 + heavy_below(&victim->random, victim->size);
    uint64_t began = hqq_clock_ns();
    int result = tries ? hqq_link_try_write(victim->link, data, length) : hqq_link_write(victim->link, data, length);
    check(victim, tries ? "try_write" : "write", began, result, WRITES);
}

static void write_batch(struct victim *victim)
{
    unsigned char data[VICTIM_SIZE_MAX] = {2};
    struct hqq_message messages[VICTIM_BATCH];
    size_t count = 1 + heavy_below(&victim->random, VICTIM_BATCH), written;
    for (size_t i = 0; i < count; i++)
        messages[i] = (struct hqq_message){.data = data, .length = 1 + heavy_below(&victim->random, victim->size)};
    uint64_t began = hqq_clock_ns();
    int result = hqq_link_write_batch(victim->link, messages, count, &written);
    check(victim, "write_batch", began, result, WRITES);
    if (written > count || (result == 0 && written != count))
        heavy_fail("write_batch: %zu of %zu", written, count);
}

static void write_slot(struct victim *victim)
{
    struct hqq_slot slot;
    uint64_t began = hqq_clock_ns();
    int result = hqq_link_reserve(victim->link, &slot);
    check(victim, "reserve", began, result, WRITES);
    if (result != 0)
        return;
    check_slot(victim, &slot);
    memset(slot.data, 3, slot.length);
    began = hqq_clock_ns();
    if (heavy_one_in(&victim->random, 2))
        check(victim, "commit", began, hqq_link_commit(victim->link, &slot, slot.length), HANDS_OVER);
    else
        check(victim, "abort", began, hqq_link_abort(victim->link, &slot, 5), HANDS_OVER);
}

static int fill(void *data, size_t capacity, size_t *ret_length, void *arg)
{
    (void)arg;
    memset(data, 4, capacity);
    *ret_length = capacity;
    return 0;
}

static void write_with(struct victim *victim)
{
    uint64_t began = hqq_clock_ns();
    check(victim, "write_with", began, hqq_link_write_with(victim->link, fill, NULL),
          WRITES | BIT(HQQ_ERROR_INVALID_OP));
}

static void read_some(struct victim *victim, bool tries)
{
    unsigned char data[VICTIM_SIZE_MAX];
    size_t capacity = heavy_below(&victim->random, victim->size + 1), length = 0;
    uint64_t began = hqq_clock_ns();
    int result = tries ? hqq_link_try_read(victim->link, data, capacity, &length)
                       : hqq_link_read(victim->link, data, capacity, &length);
    check(victim, tries ? "try_read" : "read", began, result, READS);
    if (was_read(result) && length > victim->size)
        heavy_fail("read: %zu bytes", length);
}

static void read_batch(struct victim *victim)
{
    unsigned char data[VICTIM_BATCH][VICTIM_SIZE_MAX];
    struct hqq_message messages[VICTIM_BATCH];
    size_t count = 1 + heavy_below(&victim->random, VICTIM_BATCH), read;
    for (size_t i = 0; i < count; i++)
        messages[i] = (struct hqq_message){.data = data[i], .capacity = heavy_below(&victim->random, victim->size + 1)};
    uint64_t began = hqq_clock_ns();
    int result = hqq_link_read_batch(victim->link, messages, count, &read);
    check(victim, "read_batch", began, result, READS);
    if (read > count || (read == 0 && was_read(result)))
        heavy_fail("read_batch: %zu of %zu, and the result is %d", read, count, result);
    for (size_t i = 0; i < read; i++) {
        if (messages[i].length > victim->size)
            heavy_fail("read_batch: %zu bytes", messages[i].length);
    }
}

static void read_slot(struct victim *victim)
{
    struct hqq_slot slot;
    uint64_t began = hqq_clock_ns();
    int result = hqq_link_borrow(victim->link, &slot);
    check(victim, "borrow", began, result, READS);
    if (result != 0)
        return;
    check_slot(victim, &slot);
    began = hqq_clock_ns();
    check(victim, "release", began, hqq_link_release(victim->link, &slot), HANDS_OVER);
}

static int look(const void *data, size_t length, void *arg)
{
    const struct victim *victim = arg;
    unsigned char copy[VICTIM_SIZE_MAX];
    if (length > victim->size)
        heavy_fail("read_with: %zu bytes", length);
    memcpy(copy, data, length);
    return 0;
}

static void read_with(struct victim *victim)
{
    uint64_t began = hqq_clock_ns();
    check(victim, "read_with", began, hqq_link_read_with(victim->link, look, victim), READS);
}

static void peek(struct victim *victim)
{
    size_t length = 0;
    uint64_t began = hqq_clock_ns();
    int result = hqq_link_peek(victim->link, &length);
    check(victim, "peek", began, result, READS);
    if (result == 0 && length > victim->size)
        heavy_fail("peek: %zu bytes", length);
}

static void look_around(struct victim *victim)
{
    struct hqq_link_stats stats;
    enum hqq_peer peer;
    uint64_t began = hqq_clock_ns();
    check(victim, "check_peer", began, hqq_link_check_peer(victim->link, &peer), BIT(0));
    if (peer > HQQ_PEER_DIED || hqq_link_peer(victim->link) > HQQ_PEER_DIED)
        heavy_fail("a peer of state %d", (int)peer);
    hqq_link_get_stats(victim->link, &stats);
    if (stats.write_depth > victim->count || stats.read_depth > victim->count || stats.write_high_water > victim->count)
        heavy_fail("statistics: depths of %llu and %llu, %llu at most", (unsigned long long)stats.write_depth,
                   (unsigned long long)stats.read_depth, (unsigned long long)stats.write_high_water);
}

static void set_deadlines(struct victim *victim)
{
    uint64_t timeout = heavy_below(&victim->random, LONGEST_WAIT_NS);
    uint64_t began = hqq_clock_ns();
    check(victim, "set_read_timeout", began, hqq_link_set_read_timeout(victim->link, timeout), BIT(0));
    check(victim, "set_write_timeout", began, hqq_link_set_write_timeout(victim->link, timeout), BIT(0));
    uint64_t deadline = heavy_one_in(&victim->random, 2) ? HQQ_FOREVER : began + timeout;
    check(victim, "set_deadline", began, hqq_link_set_deadline(victim->link, deadline), BIT(0));
}

void victim_call(struct victim *victim)
{
    static void (*const calls[])(struct victim * victim) = {
        write_batch, write_slot, write_with, read_batch, read_slot, read_with, peek, look_around, set_deadlines};
    uint64_t choice = heavy_below(&victim->random, 4 + sizeof(calls) / sizeof(calls[0]));
    if (choice < 2)
        write_some(victim, choice == 0);
    else if (choice < 4)
        read_some(victim, choice == 2);
    else
        calls[choice - 4](victim);
}

/* ---- Opening and closing ------------------------------------------------------------------------------------------
 * */

static bool may_refuse(int result)
{
    static const int refusals[] = {HQQ_ERROR_MEMORY_SMALL, HQQ_ERROR_INVALID_SIZE, HQQ_ERROR_BAD_MAGIC,
                                   HQQ_ERROR_VERSION,      HQQ_ERROR_PAGE_SIZE,    HQQ_ERROR_FAILED_INIT,
                                   HQQ_ERROR_INIT_DIED,    HQQ_ERROR_BUSY};
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (result == refusals[i])
            return true;
    }
    return false;
}

struct hqq_link *victim_attach(struct victim *victim)
{
    const struct hqq_link_config config = {
        .buffer_count = heavy_one_in(&victim->random, 2) ? victim->count : 0,
        .buffer_size = heavy_one_in(&victim->random, 2) ? victim->size : 0,
        .attach_timeout_ns = LONGEST_WAIT_NS,
        .spin_ns = heavy_one_in(&victim->random, 2) ? HQQ_SPIN_NEVER : 0,
        .peer_check_ns = HEAVY_MS,
        .role = (uint32_t)heavy_below(&victim->random, 3),
    };
    struct hqq_link *link = NULL;
    uint64_t began = hqq_clock_ns();
    int result = hqq_link_attach(victim->base, victim->bytes, &config, &link);
    check(victim, "attach", began, may_refuse(result) ? 0 : result, BIT(0));
    if (result != 0) {
        victim->done--;
        return NULL;
    }
    /* What it believes of the region lies in the memory that it was given. */
    if (hqq_link_buffer_count(link) * hqq_link_buffer_size(link) > victim->bytes)
        heavy_fail("attach: a region larger than its memory");
    victim->count = hqq_link_buffer_count(link);
    victim->size = hqq_link_buffer_size(link);
    victim_hurry(link);
    return link;
}

void victim_close(struct victim *victim)
{
    uint64_t began = hqq_clock_ns();
    check(victim, "shutdown", began, hqq_link_shutdown(victim->link), BIT(0));
    began = hqq_clock_ns();
    hqq_link_close(victim->link);
    victim->link = NULL;
    check(victim, "close", began, 0, BIT(0));
}
