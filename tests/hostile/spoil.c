#include "hostile/spoil.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/socket.h>

#include "layout/extension.h"
#include "layout/packet.h"
#include "layout/superblock.h"
#include "ring/produce.h"
#include "socket/pair.h"
#include "socket/rendezvous.h"
#include "socket/token.h"

#define PATIENCE_NS (20 * HEAVY_S * HEAVY_SLOWNESS)

/* ---- The pair -------------------------------------------------------------------------------------------------- */

/* The attacker's own library is to survive its own region, so it is used on. */
static void receive_some(const struct spoiler *spoiler)
{
    unsigned char data[SCENE_LARGEST];
    for (int i = 0; i < 8; i++) {
        ssize_t got = hqq_recv(spoiler->fd, data, sizeof(data), MSG_DONTWAIT);
        if (got < 0)
            return;
        scene_check_foreign(spoiler->scene, "to the attacker", data, (size_t)got);
    }
}

void spoil_talk(struct spoiler *spoiler)
{
    static const unsigned char data[5000] = {7};
    struct sockaddr_un to = scene_name(spoiler->scene, spoiler->role == SPOIL_OFFERER ? "server" : "out");
    bool is_large = heavy_one_in(&spoiler->attack.random, 8);
    (void)hqq_sendto(spoiler->fd, data, is_large ? sizeof(data) : 100, MSG_DONTWAIT,
                     (const struct sockaddr *)(const void *)&to, sizeof(to));
    receive_some(spoiler);
}

/* A pair that both ends look at. */
static struct hqq_pair *find_pair(const struct spoiler *spoiler)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_find(spoiler->fd);
    for (struct hqq_pair *pair = endpoint ? endpoint->pairs : NULL; pair; pair = pair->next) {
        bool is_ours = (spoiler->role == SPOIL_OTHER) == pair->is_attached;
        if (is_ours && pair->is_met && hqq_load32_relaxed(&pair->given_up) == 0 && pair->passed != 0)
            return pair;
    }
    return NULL;
}

/* The server is not to offer a pair, too. */
static void stop_listening(int fd)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    hqq_rendezvous_close(endpoint->listener, NULL, endpoint->rule);
    endpoint->listener = -1;
}

/* The server has offered one. */
static bool is_attached(int fd)
{
    const struct hqq_pair *pair = hqq_endpoint_find(fd)->pairs;
    return pair && pair->is_attached && pair->is_met;
}

void spoil_open(struct spoiler *spoiler, const struct scene *scene, enum spoil_role role)
{
    spoiler->scene = scene;
    spoiler->role = role;
    spoiler->fd = scene_socket(scene, role == SPOIL_OFFERER ? "bad" : "trap");
    if (role == SPOIL_OFFERER)
        stop_listening(spoiler->fd);
    uint64_t until = hqq_clock_ns() + PATIENCE_NS;
    while (!(spoiler->pair = find_pair(spoiler))) {
        if (hqq_clock_ns() > until)
            heavy_fail("the attacker can't get a pair, number %llu", (unsigned long long)spoiler->opened);
        if (role == SPOIL_OFFERER || is_attached(spoiler->fd))
            spoil_talk(spoiler);
        else
            receive_some(spoiler);
        sched_yield();
    }
    hqq_add32_relaxed(&spoiler->pair->references, 1);
    spoiler->attack.base = spoiler->pair->mapping.base;
    if (spoiler->opened++ == 0) {
        struct hqq_ring *ring = &spoiler->pair->tx;
        spoiler->attack = attack_new(spoiler->attack.base, ring->count, ring->buffer_size, scene->seed, 60);
    }
}

void spoil_close(struct spoiler *spoiler)
{
    hqq_close(spoiler->fd);
    hqq_store32_release(&spoiler->pair->own->door, HQQ_DOOR_CLOSED); /* whatever was written there since */
    hqq_pair_drop(spoiler->pair);
    spoiler->pair = NULL;
}

bool spoil_is_open(const struct spoiler *spoiler)
{
    return find_pair(spoiler) == spoiler->pair &&
           hqq_door_kind(hqq_load32_relaxed(&spoiler->pair->peer->door)) != HQQ_DOOR_CLOSED;
}

/* ---- Every word, every value ----------------------------------------------------------------------------------- */

/* Of a slot: the packet's eight words and the sequence. */
#define SLOT_WORDS 9
#define EXTENSION_STEP 4 /* sockets use none of it */
#define RING_WORDS 5
#define PAIR_WORDS (4 + 2 * 7)
#define EXTENSION_WORDS (sizeof(struct hqq_extension) / 8 / EXTENSION_STEP)
#define SUPERBLOCK_WORDS (sizeof(struct hqq_superblock) / 8)

/* Slots that are of interest: relative to the positions where the ends read and write. */
static const int slots[] = {0, 1};
#define SLOTS (sizeof(slots) / sizeof(slots[0]))

struct field {
    uint64_t offset, position; /* position: of the slot or ring, 0 without */
    size_t bytes;
};

static uint64_t side_offset(uint64_t side, uint64_t word, size_t *ret_bytes)
{
    static const struct {
        size_t offset, bytes;
    } words[] = {
        {offsetof(struct hqq_pair_side, door), 4},        {offsetof(struct hqq_pair_side, stage), 4},
        {offsetof(struct hqq_pair_side, can_barrier), 4}, {offsetof(struct hqq_pair_side, is_light), 4},
        {offsetof(struct hqq_pair_side, cpu), 4},         {offsetof(struct hqq_pair_side, echo), 8},
        {offsetof(struct hqq_pair_side, owner), 8},
    };
    *ret_bytes = words[word].bytes;
    return HQQ_PAIR_BLOCK_OFFSET + offsetof(struct hqq_pair_block, side) + side * sizeof(struct hqq_pair_side) +
           words[word].offset;
}

static uint64_t word_at(const struct attack *attack, uint64_t offset)
{
    return __atomic_load_n((uint64_t *)(void *)(attack->base + offset), __ATOMIC_RELAXED);
}

/* Rings: their heads, then slots at r and at w. */
static struct field ring_field(const struct attack *attack, size_t index)
{
    static const uint64_t heads[RING_WORDS] = {HQQ_RING_MAGIC_OFFSET, HQQ_RING_SIZE_OFFSET, HQQ_RING_FLAG_OFFSET,
                                               HQQ_RING_R_OFFSET, HQQ_RING_W_OFFSET};
    const size_t words = RING_WORDS + 2 * SLOTS * SLOT_WORDS;
    uint64_t ring = attack->layout.ring[index / words];
    uint64_t r = word_at(attack, ring + HQQ_RING_R_OFFSET), w = word_at(attack, ring + HQQ_RING_W_OFFSET);
    size_t word = index % words;
    if (word < RING_WORDS)
        return (struct field){ring + heads[word], word == 3 ? w : r, 8};
    word -= RING_WORDS;
    size_t slot = word / SLOT_WORDS;
    uint64_t position = (slot < SLOTS ? r : w) + (uint64_t)slots[slot % SLOTS];
    uint64_t at = (position & (attack->layout.buffer_count - 1)) * HQQ_RING_ELEMENT_STRIDE;
    return (struct field){ring + HQQ_RING_ELEMENT_OFFSET + at + 8 * (word % SLOT_WORDS), position, 8};
}

static struct field field_of(const struct attack *attack, size_t index)
{
    if (index < SUPERBLOCK_WORDS)
        return (struct field){8 * index, 0, 8};
    index -= SUPERBLOCK_WORDS;
    if (index < EXTENSION_WORDS)
        return (struct field){HQQ_EXTENSION_OFFSET + 8 * EXTENSION_STEP * index, 0, 8};
    index -= EXTENSION_WORDS;
    if (index < 4)
        return (struct field){HQQ_PAIR_BLOCK_OFFSET + 8 * index, 0, 8};
    index -= 4;
    if (index < 2 * 7) {
        struct field field = {0};
        field.offset = side_offset(index / 7, index % 7, &field.bytes);
        return field;
    }
    return ring_field(attack, index - 2 * 7);
}

size_t spoil_fields(void)
{
    return SUPERBLOCK_WORDS + EXTENSION_WORDS + PAIR_WORDS + HQQ_RING_COUNT * (RING_WORDS + 2 * SLOTS * SLOT_WORDS);
}

/* Numbers near those that are right, those that mean something, and those at the ends. Values up to VALUES_OF_POSITION
 * are added to the position. */
static const uint64_t added[] = {0, 1, 2, 255, 256, 257, UINT64_MAX, UINT64_MAX - 255, UINT64_C(1) << 63};
static const uint64_t plain[] = {
    0,
    1,
    2,
    3,
    5,
    7,
    HQQ_OPCODE_COPY,
    HQQ_OPCODE_CONN_COPY,
    HQQ_OPCODE_TOMBSTONE,
    0x42,
    2047,
    2048,
    2049,
    128 * 2048,
    128 * 2048 + 1,
    UINT64_C(1) << 31,
    UINT64_C(1) << 32,
    (UINT64_C(1) << 63) - 1,
    UINT64_C(1) << 63,
    UINT64_MAX - 2047,
    UINT64_MAX - 1,
    UINT64_MAX,
    (UINT64_C(1) << 39) | 12345,    /* an identity that nobody has */
    UINT64_C(0x7fffffff) << 39 | 1, /* one of a process that can't be */
    UINT64_C(0xdeadbeefdeadbeef),
};

size_t spoil_values(void)
{
    return sizeof(added) / sizeof(added[0]) + sizeof(plain) / sizeof(plain[0]);
}

static void store(const struct attack *attack, const struct field *field, uint64_t value)
{
    unsigned char *at = attack->base + field->offset;
    if (field->bytes == 4)
        __atomic_store_n((uint32_t *)(void *)at, (uint32_t)value, __ATOMIC_RELEASE);
    else
        __atomic_store_n((uint64_t *)(void *)at, value, __ATOMIC_RELEASE);
}

void spoil_word(struct spoiler *spoiler, size_t index, size_t number)
{
    const size_t count = sizeof(added) / sizeof(added[0]);
    spoil_talk(spoiler);
    struct field field = field_of(&spoiler->attack, index);
    uint64_t value = number < count ? field.position + added[number] : plain[number - count];
    uint64_t before = word_at(&spoiler->attack, field.offset & ~UINT64_C(7));
    if (field.bytes == 4 && (field.offset & 4) != 0)
        before >>= 32;
    store(&spoiler->attack, &field, value);
    spoil_talk(spoiler);
    scene_let_serve(spoiler->scene, 3);
    spoil_talk(spoiler);
    store(&spoiler->attack, &field, before);
}

void spoil_packet(struct spoiler *spoiler, size_t word, size_t number, bool is_chunked)
{
    const size_t count = sizeof(added) / sizeof(added[0]);
    struct hqq_ring *ring = &spoiler->pair->tx;
    uint64_t position;
    for (int i = 0; hqq_ring_claim_write(ring, 1, &position) != 1; i++) {
        if (i == 1000)
            return; /* full for good */
        scene_let_serve(spoiler->scene, 1);
    }
    struct hqq_packet packet = {.opcode = HQQ_OPCODE_COPY, .operand = {position + 1, position & ring->mask, 64}};
    if (is_chunked)
        packet = (struct hqq_packet){.opcode = HQQ_OPCODE_CONN_COPY, .operand = {0, 1, 0, 0, 0, 3}};
    uint64_t value = number < count ? position + added[number] : plain[number - count];
    if (word == 0)
        packet.opcode = value;
    else
        packet.operand[word - 1] = value;
    hqq_packet_store(hqq_ring_packet(ring, position), &packet);
    hqq_ring_publish(ring, position);
    struct sockaddr_un to = scene_name(spoiler->scene, spoiler->role == SPOIL_OFFERER ? "server" : "out");
    const struct hqq_token bell = hqq_token_make(spoiler->pair->id, HQQ_TOKEN_BELL, 0);
    while (sendto(spoiler->fd, &bell, sizeof(bell), MSG_DONTWAIT, (const struct sockaddr *)(const void *)&to,
                  sizeof(to)) < 0 &&
           errno == EAGAIN)
        scene_let_serve(spoiler->scene, 1);
    for (int i = 0;
         i < 200 && spoil_is_open(spoiler) && hqq_ring_distance(hqq_load_relaxed(hqq_ring_r(ring)), position) <= 0; i++)
        scene_let_serve(spoiler->scene, 1);
    receive_some(spoiler);
}

/* ---- At random ------------------------------------------------------------------------------------------------- */

static void hit_pair_block(struct attack *attack, struct heavy_random *random)
{
    struct field field = {0};
    field.offset = side_offset(heavy_below(random, 2), heavy_below(random, 7), &field.bytes);
    store(attack, &field, heavy_one_in(random, 2) ? heavy_below(random, 16) : heavy_next(random));
}

static _Noreturn void rage(const struct spoiler *spoiler, uint64_t seed)
{
    struct attack attack = spoiler->attack;
    attack.random = heavy_random(seed, 61);
    struct heavy_random random = heavy_random(seed, 62);
    for (;;) {
        enum attack_tactic tactic = (enum attack_tactic)heavy_below(&random, ATTACK_TACTICS);
        for (uint64_t i = heavy_below(&random, 200); i > 0; i--) {
            attack_by(&attack, tactic);
            hit_pair_block(&attack, &random);
            if (heavy_one_in(&random, 8))
                sched_yield();
        }
    }
}

void spoil_storm(struct spoiler *spoiler, uint64_t seed, uint64_t duration_ns)
{
    pid_t child = heavy_fork();
    if (child == 0)
        rage(spoiler, seed);
    uint64_t until = hqq_clock_ns() + duration_ns;
    while (hqq_clock_ns() < until && spoil_is_open(spoiler)) {
        spoil_talk(spoiler);
        scene_let_serve(spoiler->scene, 1);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}
