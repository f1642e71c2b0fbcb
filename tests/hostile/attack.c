#include "hostile/attack.h"

#include <string.h>

#include "layout/extension.h"
#include "layout/packet.h"
#include "layout/superblock.h"

#define STEPS 64

struct attack attack_new(void *base, uint64_t count, uint64_t size, uint64_t seed, uint64_t stream)
{
    struct attack attack = {.base = base, .random = heavy_random(seed, stream)};
    heavy_expect("layout", hqq_layout_compute(count, size, hqq_page_size(), &attack.layout), 0);
    return attack;
}

/* ---- Words --------------------------------------------------------------------------------------------------------
 * */

static uint64_t load(const struct attack *attack, uint64_t offset)
{
    return __atomic_load_n((uint64_t *)(void *)(attack->base + offset), __ATOMIC_RELAXED);
}

static void store(struct attack *attack, uint64_t offset, uint64_t value)
{
    __atomic_store_n((uint64_t *)(void *)(attack->base + offset), value, __ATOMIC_RELEASE);
}

static uint64_t any_ring(struct attack *attack)
{
    return attack->layout.ring[heavy_below(&attack->random, HQQ_RING_COUNT)];
}

static uint64_t element(const struct attack *attack, uint64_t ring, uint64_t position)
{
    return ring + HQQ_RING_ELEMENT_OFFSET + (position & (attack->layout.buffer_count - 1)) * HQQ_RING_ELEMENT_STRIDE;
}

/* ---- Values -------------------------------------------------------------------------------------------------------
 * */

static uint64_t any_value(struct attack *attack, uint64_t position)
{
    uint64_t count = attack->layout.buffer_count, size = attack->layout.buffer_size;
    const uint64_t values[] = {
        0,
        1,
        2,
        3,
        7,
        UINT64_MAX,
        UINT64_MAX - 1,
        UINT64_C(1) << 63,
        (UINT64_C(1) << 63) - 1,
        UINT64_C(1) << 32,
        position,
        position + 1,
        position - 1,
        position + 2,
        position + count,
        position + count + 1,
        position - count,
        position + (UINT64_C(1) << 63),
        size,
        size + 1,
        size - 1,
        2 * size,
        count,
        count + 1,
        count * 2,
        HQQ_OPCODE_COPY,
        HQQ_OPCODE_TOMBSTONE,
        HQQ_OPCODE_CONN_COPY,
        HQQ_OPCODE_COPY | 0x100,
        HQQ_SUPERBLOCK_MAGIC,
        HQQ_EXTENSION_MAGIC,
        HQQ_EXTENSION_SETTING,
        HQQ_RING_MAGIC,
        attack->layout.page_size,
        attack->layout.bytes,
        attack->layout.bytes + 1,
    };
    uint64_t choice = heavy_below(&attack->random, sizeof(values) / sizeof(values[0]) + 3);
    if (choice < sizeof(values) / sizeof(values[0]))
        return values[choice];
    /* Else a random number, of a random length. */
    return heavy_next(&attack->random) >> heavy_below(&attack->random, 64);
}

/* An owner: any state, with an identity that never was, or may be somebody's. */
static uint64_t any_owner(struct attack *attack)
{
    uint64_t state = heavy_below(&attack->random, 8) << 61;
    switch (heavy_below(&attack->random, 3)) {
    case 0:
        return state;
    case 1:
        return state | (1 + heavy_below(&attack->random, 1 << 15)) << 39 | heavy_below(&attack->random, 1 << 20);
    default:
        return state | heavy_next(&attack->random) >> 3;
    }
}

/* ---- Targets ------------------------------------------------------------------------------------------------------
 * */

static void hit_ring(struct attack *attack)
{
    uint64_t ring = any_ring(attack);
    uint64_t r = load(attack, ring + HQQ_RING_R_OFFSET), w = load(attack, ring + HQQ_RING_W_OFFSET);
    uint64_t position = (heavy_one_in(&attack->random, 2) ? r : w) + heavy_below(&attack->random, 3) - 1;
    switch (heavy_below(&attack->random, 8)) {
    case 0:
        store(attack, ring + HQQ_RING_R_OFFSET, any_value(attack, w));
        break;
    case 1:
        store(attack, ring + HQQ_RING_W_OFFSET, any_value(attack, r));
        break;
    case 2: /* magic, size, flag */
        store(attack, ring + 8 * heavy_below(&attack->random, 3), any_value(attack, position));
        break;
    default:
        store(attack, element(attack, ring, position) + HQQ_RING_ELEMENT_SEQ, any_value(attack, position));
        break;
    }
}

static void hit_packet(struct attack *attack)
{
    uint64_t ring = any_ring(attack);
    uint64_t slot = heavy_below(&attack->random, attack->layout.buffer_count);
    uint64_t word =
        heavy_one_in(&attack->random, 2) ? 3 * heavy_below(&attack->random, 2) : heavy_below(&attack->random, 8);
    store(attack, element(attack, ring, slot) + 8 * word, any_value(attack, slot));
}

static void hit_buffer(struct attack *attack)
{
    uint64_t pool = attack->layout.buffers[heavy_below(&attack->random, HQQ_RING_COUNT)];
    uint64_t size = attack->layout.buffer_size;
    memset(attack->base + pool + heavy_below(&attack->random, attack->layout.buffer_count) * size,
           (int)heavy_below(&attack->random, 256), size);
}

static void hit_extension(struct attack *attack)
{
    uint64_t end = heavy_below(&attack->random, 2);
    uint64_t words = sizeof(struct hqq_extension) / sizeof(uint64_t);
    if (heavy_one_in(&attack->random, 3))
        store(attack, HQQ_EXTENSION_OFFSET + offsetof(struct hqq_extension, end) + end * sizeof(struct hqq_end),
              any_owner(attack));
    else
        store(attack, HQQ_EXTENSION_OFFSET + 8 * heavy_below(&attack->random, words), any_value(attack, 0));
}

/* Now and then all that it says of the layout fits together, but is not what the memory holds. */
static void hit_superblock(struct attack *attack)
{
    struct hqq_layout other;
    uint64_t count = UINT64_C(1) << (1 + heavy_below(&attack->random, 20));
    uint64_t size = 8 * (1 + heavy_below(&attack->random, 1000));
    if (heavy_one_in(&attack->random, 4) && hqq_layout_compute(count, size, attack->layout.page_size, &other) == 0) {
        store(attack, offsetof(struct hqq_superblock, buffer_count), count);
        store(attack, offsetof(struct hqq_superblock, buffer_size), size);
        store(attack, offsetof(struct hqq_superblock, layout_bytes), other.bytes);
        return;
    }
    store(attack, 8 * heavy_below(&attack->random, 8), any_value(attack, 0));
}

static void hit_anything(struct attack *attack)
{
    store(attack, 8 * heavy_below(&attack->random, attack->layout.bytes / 8), any_value(attack, 0));
}

void attack_once(struct attack *attack)
{
    static void (*const hits[])(struct attack * attack) = {
        hit_ring, hit_ring, hit_ring, hit_packet, hit_packet, hit_buffer, hit_extension, hit_superblock, hit_anything,
    };
    hits[heavy_below(&attack->random, sizeof(hits) / sizeof(hits[0]))](attack);
}

/* ---- Tactics ------------------------------------------------------------------------------------------------------
 * */

/* Publishes where a producer would; whether the slot is free is nobody's business. */
static void flood(struct attack *attack, uint64_t opcode)
{
    uint64_t size = attack->layout.buffer_size;
    for (int i = 0; i < HQQ_RING_COUNT; i++) {
        uint64_t ring = attack->layout.ring[i];
        uint64_t w = load(attack, ring + HQQ_RING_W_OFFSET);
        for (uint64_t p = w; p != w + attack->layout.buffer_count; p++) {
            uint64_t at = element(attack, ring, p);
            if (load(attack, at + HQQ_RING_ELEMENT_SEQ) != p)
                break;
            store(attack, at, opcode);
            store(attack, at + 8 * (1 + HQQ_COPY_SIZE),
                  heavy_one_in(&attack->random, 4) ? any_value(attack, size) : heavy_below(&attack->random, size + 3));
            store(attack, ring + HQQ_RING_W_OFFSET, p + 1);
            store(attack, at + HQQ_RING_ELEMENT_SEQ, p + 1);
        }
    }
}

/* Takes what the victim wrote, so that it goes on writing. */
static void drain(struct attack *attack)
{
    for (int i = 0; i < HQQ_RING_COUNT; i++) {
        uint64_t ring = attack->layout.ring[i];
        uint64_t r = load(attack, ring + HQQ_RING_R_OFFSET);
        uint64_t at = element(attack, ring, r) + HQQ_RING_ELEMENT_SEQ;
        if (load(attack, at) == r + 1) {
            store(attack, ring + HQQ_RING_R_OFFSET, r + 1);
            store(attack, at, r + attack->layout.buffer_count);
        }
    }
}

static void rewind_all(struct attack *attack)
{
    for (int i = 0; i < HQQ_RING_COUNT; i++) {
        uint64_t ring = attack->layout.ring[i];
        for (uint64_t p = 0; p < attack->layout.buffer_count; p++) {
            store(attack, element(attack, ring, p), HQQ_OPCODE_TOMBSTONE);
            store(attack, element(attack, ring, p) + HQQ_RING_ELEMENT_SEQ, p + 1);
        }
        store(attack, ring + HQQ_RING_R_OFFSET, 0);
    }
}

static void push_ahead(struct attack *attack)
{
    for (int i = 0; i < HQQ_RING_COUNT; i++) {
        uint64_t ring = attack->layout.ring[i];
        uint64_t r = load(attack, ring + HQQ_RING_R_OFFSET);
        for (uint64_t p = r; p != r + attack->layout.buffer_count; p++)
            store(attack, element(attack, ring, p) + HQQ_RING_ELEMENT_SEQ, p + attack->layout.buffer_count + 1);
    }
}

void attack_by(struct attack *attack, enum attack_tactic tactic)
{
    for (int step = 0; step < STEPS; step++) {
        switch (tactic) {
        case ATTACK_RINGS:
            hit_ring(attack);
            break;
        case ATTACK_PACKETS:
            hit_packet(attack);
            hit_buffer(attack);
            break;
        case ATTACK_EXTENSION:
            hit_extension(attack);
            break;
        case ATTACK_SUPERBLOCK:
            hit_superblock(attack);
            break;
        case ATTACK_TOMBSTONES:
            flood(attack, HQQ_OPCODE_TOMBSTONE);
            break;
        case ATTACK_INVALID:
            flood(attack, 0x42);
            break;
        case ATTACK_ALMOST:
            flood(attack, heavy_one_in(&attack->random, 4) ? HQQ_OPCODE_CONN_COPY : HQQ_OPCODE_COPY);
            drain(attack);
            break;
        case ATTACK_REWIND:
            rewind_all(attack);
            break;
        case ATTACK_AHEAD:
            push_ahead(attack);
            break;
        case ATTACK_ANYWHERE:
        default:
            attack_once(attack);
            break;
        }
    }
}
