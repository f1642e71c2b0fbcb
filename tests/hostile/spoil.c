#include "hostile/spoil.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/socket.h>

#include "channel/handshake.h"
#include "channel/tx.h"
#include "endpoint/validation.h"
#include "layout/extension.h"
#include "layout/packet.h"
#include "layout/superblock.h"

#define PATIENCE_NS (20 * HEAVY_S * HEAVY_SLOWNESS)

/* ---- The channel ----------------------------------------------------------------------------------------------- */

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

/* Something went through a ring. */
static bool is_used(const struct hqq_channel *channel)
{
    return hqq_load_relaxed(hqq_ring_w(&channel->tx)) != 0 || hqq_load_relaxed(hqq_ring_r(&channel->rx)) != 0;
}

/* A channel that both ends look at. */
static struct hqq_channel *find_channel(const struct spoiler *spoiler)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_find(spoiler->fd);
    for (struct hqq_channel *channel = endpoint ? endpoint->channels : NULL; channel; channel = channel->next) {
        bool is_ours = (spoiler->role == SPOIL_OTHER) == channel->is_attached;
        if (is_ours && hqq_handshake_is_proved(channel) && hqq_load32_relaxed(&channel->is_given_up) == 0 &&
            (spoiler->scene->wait == SCENE_FOREIGN || is_used(channel)))
            return channel;
    }
    return NULL;
}

/* The server is not to offer a channel, too. */
static void stop_listening(int fd)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    hqq_validation_end(endpoint, true);
    endpoint->is_listen_refused = true;
}

/* The server has offered one. */
static bool is_attached(int fd)
{
    const struct hqq_channel *channel = hqq_endpoint_find(fd)->channels;
    return channel && channel->is_attached && channel->is_validated;
}

static _Noreturn void fail_to_open(const struct spoiler *spoiler)
{
    const struct hqq_endpoint *endpoint = hqq_endpoint_find(spoiler->fd);
    for (const struct hqq_channel *channel = endpoint->channels; channel; channel = channel->next)
        heavy_say(
            "a channel that is %s, %s: stage %u, words %#llx %#llx, w %llu, r %llu, requested %llu, acknowledged %llu",
            channel->is_attached ? "the server's" : "ours", channel->is_validated ? "validated" : "not validated",
            hqq_load32_relaxed(&channel->peer->stage), (unsigned long long)hqq_load_relaxed(&channel->own->notify),
            (unsigned long long)hqq_load_relaxed(&channel->peer->notify),
            (unsigned long long)hqq_load_relaxed(hqq_ring_w(&channel->tx)),
            (unsigned long long)hqq_load_relaxed(hqq_ring_r(&channel->rx)),
            (unsigned long long)hqq_load_relaxed(&channel->own->drain_requested),
            (unsigned long long)hqq_load_relaxed(&channel->peer->drain_acknowledged));
    struct hqq_socket_status status = {0};
    hqq_socket_status(spoiler->fd, &status);
    heavy_say("\"%s\": sent %llu and %llu, received %llu and %llu by ring and kernel, %s",
              hqq_socket_reason_text(status.reason), (unsigned long long)status.sent_ring,
              (unsigned long long)status.sent_kernel, (unsigned long long)status.received_ring,
              (unsigned long long)status.received_kernel, endpoint->offered ? "offered" : "nothing to take over");
    heavy_fail("the attacker, who is %s, can't get a channel, number %llu",
               spoiler->role == SPOIL_OFFERER ? "the offerer" : "the other", (unsigned long long)spoiler->opened);
}

void spoil_open(struct spoiler *spoiler, const struct scene *scene, enum spoil_role role)
{
    spoiler->scene = scene;
    spoiler->role = role;
    spoiler->fd = scene_socket(scene, role == SPOIL_OFFERER ? "bad" : "trap");
    hqq_store32_relaxed(&hqq_endpoint_find(spoiler->fd)->is_intercepted, 1); /* it never sleeps, so it may poll */
    if (role == SPOIL_OFFERER)
        stop_listening(spoiler->fd);
    uint64_t until = hqq_clock_ns() + PATIENCE_NS;
    while (!(spoiler->channel = find_channel(spoiler))) {
        if (hqq_clock_ns() > until)
            fail_to_open(spoiler);
        if (role == SPOIL_OFFERER || is_attached(spoiler->fd))
            spoil_talk(spoiler);
        else
            receive_some(spoiler);
        sched_yield();
    }
    hqq_channel_hold(spoiler->channel);
    spoiler->attack.base = spoiler->channel->mapping.base;
    if (spoiler->opened++ == 0) {
        struct hqq_ring *ring = &spoiler->channel->tx;
        spoiler->attack = attack_new(spoiler->attack.base, ring->count, ring->buffer_size, scene->seed, 60);
    }
}

void spoil_close(struct spoiler *spoiler)
{
    hqq_close(spoiler->fd);
    hqq_store_release(&spoiler->channel->own->notify, HQQ_CLOSED); /* whatever was written there since */
    hqq_channel_drop(spoiler->channel);
    spoiler->channel = NULL;
}

bool spoil_is_open(const struct spoiler *spoiler)
{
    enum hqq_notify state = hqq_channel_peer_state(spoiler->channel);
    return find_channel(spoiler) == spoiler->channel && state != HQQ_CLOSED && state != HQQ_HANDOFF;
}

/* ---- Every word, every value ----------------------------------------------------------------------------------- */

/* Of a slot: the packet's eight words and the sequence. */
#define SLOT_WORDS 9
#define EXTENSION_STEP 4 /* sockets use none of it */
#define RING_WORDS 5
#define BLOCK_WORDS 3
#define SIDE_WORDS 8
#define CHANNEL_WORDS (BLOCK_WORDS + 2 * SIDE_WORDS)
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
    } words[SIDE_WORDS] = {
        {offsetof(struct hqq_channel_side, notify), 8}, {offsetof(struct hqq_channel_side, drain_acknowledged), 8},
        {offsetof(struct hqq_channel_side, stage), 4},  {offsetof(struct hqq_channel_side, cpu), 4},
        {offsetof(struct hqq_channel_side, owner), 8},  {offsetof(struct hqq_channel_side, received_ns), 8},
        {offsetof(struct hqq_channel_side, echo), 8},   {offsetof(struct hqq_channel_side, drain_requested), 8},
    };
    *ret_bytes = words[word].bytes;
    return HQQ_CHANNEL_BLOCK_OFFSET + offsetof(struct hqq_channel_block, side) +
           side * sizeof(struct hqq_channel_side) + words[word].offset;
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
    if (index < BLOCK_WORDS)
        return (struct field){HQQ_CHANNEL_BLOCK_OFFSET + 8 * index, 0, 8};
    index -= BLOCK_WORDS;
    if (index < 2 * SIDE_WORDS) {
        struct field field = {0};
        field.offset = side_offset(index / SIDE_WORDS, index % SIDE_WORDS, &field.bytes);
        return field;
    }
    return ring_field(attack, index - 2 * SIDE_WORDS);
}

size_t spoil_fields(void)
{
    return SUPERBLOCK_WORDS + EXTENSION_WORDS + CHANNEL_WORDS + HQQ_RING_COUNT * (RING_WORDS + 2 * SLOTS * SLOT_WORDS);
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

/* Lets both ends come by what was written, and puts back what was there. */
static void try_out(struct spoiler *spoiler, const struct field *field, uint64_t value)
{
    uint64_t before = word_at(&spoiler->attack, field->offset & ~UINT64_C(7));
    if (field->bytes == 4 && (field->offset & 4) != 0)
        before >>= 32;
    store(&spoiler->attack, field, value);
    spoil_talk(spoiler);
    scene_let_serve(spoiler->scene, 3);
    spoil_talk(spoiler);
    store(&spoiler->attack, field, before);
}

void spoil_word(struct spoiler *spoiler, size_t index, size_t number)
{
    const size_t count = sizeof(added) / sizeof(added[0]);
    spoil_talk(spoiler);
    struct field field = field_of(&spoiler->attack, index);
    try_out(spoiler, &field, number < count ? field.position + added[number] : plain[number - count]);
}

/* Relative to w; the last two are about a lap away from each other, and the farthest that 20 bits tell apart. */
static const uint64_t places[] = {0, 1, UINT64_MAX, 1000, UINT64_C(1) << 19};
#define PLACES (sizeof(places) / sizeof(places[0]))

size_t spoil_notify_words(void)
{
    return 8 * 2 * PLACES * PLACES;
}

void spoil_notify(struct spoiler *spoiler, size_t side, size_t number)
{
    struct field field = {.bytes = 8, .offset = side_offset(side, 0, &(size_t){0})};
    spoil_talk(spoiler);
    uint64_t w = word_at(&spoiler->attack, spoiler->attack.layout.ring[1 - side] + HQQ_RING_W_OFFSET);
    uint64_t limit = w + places[number / 16 % PLACES], place = w + places[number / 16 / PLACES];
    uint64_t turn = word_at(&spoiler->attack, field.offset) >> HQQ_NOTIFY_TURN_SHIFT;
    try_out(spoiler, &field,
            (number & 15) | (limit & HQQ_NOTIFY_POSITION_MASK) << HQQ_NOTIFY_LIMIT_SHIFT |
                (place & HQQ_NOTIFY_POSITION_MASK) << HQQ_NOTIFY_PLACE_SHIFT | turn << HQQ_NOTIFY_TURN_SHIFT);
}

/* True once the next datagram may be published. */
static bool wait_for_turn(struct spoiler *spoiler)
{
    for (int i = 0; i < 1000 && spoil_is_open(spoiler); i++) {
        if (hqq_tx_is_open(spoiler->channel) && hqq_tx_has_room(spoiler->channel, 1))
            return true;
        if (i % 16 == 0) /* not too often: each asks for another acknowledgement */
            spoil_talk(spoiler);
        scene_let_serve(spoiler->scene, 1);
    }
    return false;
}

bool spoil_packet(struct spoiler *spoiler, size_t word, size_t number, bool is_chunked)
{
    const size_t count = sizeof(added) / sizeof(added[0]);
    const struct hqq_ring *ring = &spoiler->channel->tx;
    if (!wait_for_turn(spoiler))
        return false;
    uint64_t position = hqq_tx_position(spoiler->channel);
    struct hqq_packet packet = {.opcode = HQQ_OPCODE_COPY, .operand = {position + 1, position & ring->mask, 64}};
    if (is_chunked)
        packet = (struct hqq_packet){.opcode = HQQ_OPCODE_CONN_COPY, .operand = {0, 1, 0, 0, 0, 3}};
    uint64_t value = number < count ? position + added[number] : plain[number - count];
    if (word == 0)
        packet.opcode = value;
    else
        packet.operand[word - 1] = value;
    hqq_packet_store(hqq_ring_packet(ring, position), &packet);
    hqq_store_relaxed(hqq_ring_seq(ring, position), position + 1);
    if (hqq_tx_publish(spoiler->channel, position, position + 1) != HQQ_TX_SENT)
        return false;
    for (int i = 0;
         i < 200 && spoil_is_open(spoiler) && hqq_ring_distance(hqq_load_relaxed(hqq_ring_r(ring)), position) <= 0; i++)
        scene_let_serve(spoiler->scene, 1);
    receive_some(spoiler);
    return true;
}

/* ---- At random ------------------------------------------------------------------------------------------------- */

static void hit_channel_block(struct attack *attack, struct heavy_random *random)
{
    struct field field = {0};
    field.offset = side_offset(heavy_below(random, 2), heavy_below(random, SIDE_WORDS), &field.bytes);
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
            hit_channel_block(&attack, &random);
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
