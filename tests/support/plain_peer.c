#include "support/plain_peer.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define SUPERBLOCK_MAGIC UINT64_C(0x4851515f53544c31)
#define RING_MAGIC UINT64_C(0xc9d8c1d43f096701)
#define TOMBSTONE UINT64_C(0xfe)
#define COPY UINT64_C(0xff)
#define CONN_COPY UINT64_C(0x04)

/* Byte offsets in the superblock, in a ring, in an element. */
enum { MAGIC = 0, STATE = 8, MAJOR = 16, MINOR = 24, PAGE_SIZE = 32, COUNT = 40, SIZE = 48, BYTES = 56 };
enum { RING_SIZE = 8, RING_FLAG = 16, RING_R = 24, RING_W = 128, ELEMENTS = 256, STRIDE = 72, SEQ = 64 };

/* ---- Words --------------------------------------------------------------------------------------------------------
 * */

static uint64_t *word(unsigned char *at, uint64_t offset)
{
    return (uint64_t *)(void *)(at + offset);
}

static uint64_t load(unsigned char *at, uint64_t offset)
{
    return __atomic_load_n(word(at, offset), __ATOMIC_ACQUIRE);
}

static void store(unsigned char *at, uint64_t offset, uint64_t value)
{
    __atomic_store_n(word(at, offset), value, __ATOMIC_RELEASE);
}

static bool swap(unsigned char *at, uint64_t offset, uint64_t from, uint64_t to)
{
    return __atomic_compare_exchange_n(word(at, offset), &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* ---- Region -------------------------------------------------------------------------------------------------------
 * */

static uint64_t align(uint64_t value)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return (value + page - 1) / page * page;
}

static uint64_t ring_bytes(uint64_t count)
{
    return 512 + 72 * count;
}

uint64_t plain_peer_bytes(uint64_t count, uint64_t size)
{
    return align(64) + 2 * (align(ring_bytes(count)) + align(count * size));
}

static void initialize_ring(unsigned char *ring, unsigned char *buffers, uint64_t count, uint64_t size)
{
    memset(ring, 0, ring_bytes(count));
    memset(buffers, 0, count * size);
    for (uint64_t i = 0; i < count; i++)
        store(ring, ELEMENTS + i * STRIDE + SEQ, i);
    store(ring, MAGIC, RING_MAGIC);
    store(ring, RING_SIZE, count);
    store(ring, RING_FLAG, 2);
}

static bool wait_until_ready(unsigned char *base)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < 20000; i++) {
        if (load(base, STATE) == 2 && load(base, MAGIC) == SUPERBLOCK_MAGIC)
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

bool plain_peer_open(struct plain_peer *peer, void *base, uint64_t count, uint64_t size, bool *ret_primary)
{
    unsigned char *page = base;
    unsigned char *rings[2], *buffers[2];
    rings[0] = page + align(64);
    buffers[0] = rings[0] + align(ring_bytes(count));
    rings[1] = buffers[0] + align(count * size);
    buffers[1] = rings[1] + align(ring_bytes(count));

    bool primary = swap(page, STATE, 0, 1);
    if (primary) {
        for (int i = 0; i < 2; i++)
            initialize_ring(rings[i], buffers[i], count, size);
        store(page, MAJOR, 1);
        store(page, MINOR, 0);
        store(page, PAGE_SIZE, align(1));
        store(page, COUNT, count);
        store(page, SIZE, size);
        store(page, BYTES, plain_peer_bytes(count, size));
        store(page, MAGIC, SUPERBLOCK_MAGIC);
        store(page, STATE, 2);
    } else if (!wait_until_ready(page) || load(page, COUNT) != count || load(page, SIZE) != size ||
               load(page, BYTES) != plain_peer_bytes(count, size) || load(page, PAGE_SIZE) != align(1)) {
        return false;
    }
    int out = primary ? 0 : 1;
    *peer = (struct plain_peer){page, count, size, rings[out], buffers[out], rings[1 - out], buffers[1 - out], 0};
    *ret_primary = primary;
    return true;
}

/* ---- Sending ------------------------------------------------------------------------------------------------------
 * */

static uint64_t element(const struct plain_peer *peer, uint64_t position)
{
    return ELEMENTS + (position & (peer->count - 1)) * STRIDE;
}

static bool claim_to_send(struct plain_peer *peer, uint64_t *ret_position)
{
    for (;;) {
        uint64_t position = load(peer->out_ring, RING_W);
        uint64_t seq = load(peer->out_ring, element(peer, position) + SEQ);
        if (seq == position) {
            if (swap(peer->out_ring, RING_W, position, position + 1)) {
                *ret_position = position;
                return true;
            }
        } else if ((int64_t)(seq - position) < 0) {
            return false;
        }
    }
}

static void publish(struct plain_peer *peer, uint64_t position, const uint64_t packet[8])
{
    for (uint64_t i = 0; i < 8; i++)
        store(peer->out_ring, element(peer, position) + 8 * i, packet[i]);
    store(peer->out_ring, element(peer, position) + SEQ, position + 1);
}

bool plain_peer_send_packet(struct plain_peer *peer, const uint64_t packet[8])
{
    uint64_t position;
    if (!claim_to_send(peer, &position))
        return false;
    publish(peer, position, packet);
    return true;
}

bool plain_peer_send_chunk(struct plain_peer *peer, const uint64_t packet[8], const void *data)
{
    uint64_t position;
    if (!claim_to_send(peer, &position))
        return false;
    if (packet[5] != 0)
        memcpy(peer->out_buffers + (position & (peer->count - 1)) * peer->size, data, packet[5]);
    publish(peer, position, packet);
    return true;
}

static uint64_t next_copy(struct plain_peer *peer)
{
    return __atomic_add_fetch(&peer->copies, 1, __ATOMIC_RELAXED);
}

bool plain_peer_send(struct plain_peer *peer, const void *data, size_t length)
{
    uint64_t position;
    if (!claim_to_send(peer, &position))
        return false;
    uint64_t slot = position & (peer->count - 1);
    memcpy(peer->out_buffers + slot * peer->size, data, length);
    publish(peer, position, (const uint64_t[8]){COPY, next_copy(peer), slot, length});
    return true;
}

bool plain_peer_send_tombstone(struct plain_peer *peer)
{
    uint64_t position;
    if (!claim_to_send(peer, &position))
        return false;
    publish(peer, position, (const uint64_t[8]){TOMBSTONE, next_copy(peer), position & (peer->count - 1), 7});
    return true;
}

/* ---- Receiving ----------------------------------------------------------------------------------------------------
 * */

static bool claim_to_receive(struct plain_peer *peer, uint64_t *ret_position)
{
    for (;;) {
        uint64_t position = load(peer->in_ring, RING_R);
        uint64_t seq = load(peer->in_ring, element(peer, position) + SEQ);
        if (seq == position + 1) {
            if (swap(peer->in_ring, RING_R, position, position + 1)) {
                *ret_position = position;
                return true;
            }
        } else if ((int64_t)(seq - position - 1) < 0) {
            return false;
        }
    }
}

bool plain_peer_take(struct plain_peer *peer, uint64_t ret_packet[8], void *data)
{
    uint64_t position;
    while (claim_to_receive(peer, &position)) {
        for (uint64_t i = 0; i < 8; i++)
            ret_packet[i] = load(peer->in_ring, element(peer, position) + 8 * i);
        memcpy(data, peer->in_buffers + (position & (peer->count - 1)) * peer->size, peer->size);
        store(peer->in_ring, element(peer, position) + SEQ, position + peer->count);
        if (ret_packet[0] != TOMBSTONE)
            return true;
    }
    return false;
}

int64_t plain_peer_receive(struct plain_peer *peer, void *data)
{
    uint64_t position;
    while (claim_to_receive(peer, &position)) {
        uint64_t opcode = load(peer->in_ring, element(peer, position));
        uint64_t length = load(peer->in_ring, element(peer, position) + 8 * 3);
        int64_t result = -1;
        if ((opcode == COPY || opcode == CONN_COPY) && length <= peer->size) {
            memcpy(data, peer->in_buffers + (position & (peer->count - 1)) * peer->size, length);
            result = (int64_t)length;
        }
        store(peer->in_ring, element(peer, position) + SEQ, position + peer->count);
        if (opcode != TOMBSTONE)
            return result;
    }
    return 0;
}
