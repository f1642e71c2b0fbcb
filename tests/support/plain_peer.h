/*
 * One end of a link as a program would write it that knows PROTOCOL.md and nothing of this library: the bytes of the
 * original format, no extension block, no bell, nobody woken. Stands for the original implementation. Uses no code and
 * no header of src. Any number of threads; never waits.
 */
#ifndef TESTS_SUPPORT_PLAIN_PEER_H
#define TESTS_SUPPORT_PLAIN_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plain_peer {
    unsigned char *base;
    uint64_t count, size; /* slots, and bytes of a buffer */
    unsigned char *out_ring, *out_buffers, *in_ring, *in_buffers;
    uint64_t copies; /* copy ids given out */
};

/* Bytes of a region of that shape. */
uint64_t plain_peer_bytes(uint64_t count, uint64_t size);

/* Opens the region at base, zero or in use: initializes it if nobody has, and is the primary then; else is the
 * secondary. False if it did not become ready within a second, or is not of that shape. */
bool plain_peer_open(struct plain_peer *peer, void *base, uint64_t count, uint64_t size, bool *ret_primary);

/* False if the ring is full. length: 1 to the buffer size. */
bool plain_peer_send(struct plain_peer *peer, const void *data, size_t length);

/* Claims a slot and gives it up. False if the ring is full. */
bool plain_peer_send_tombstone(struct plain_peer *peer);

/* A packet of any kind. False if the ring is full. */
bool plain_peer_send_packet(struct plain_peer *peer, const uint64_t packet[8]);

/* A ConnCopy, with as many bytes of data as its operand 4 says. False if the ring is full. */
bool plain_peer_send_chunk(struct plain_peer *peer, const uint64_t packet[8], const void *data);

/* The next packet of any kind, tombstones skipped, and the whole buffer of its slot. False if there is none. */
bool plain_peer_take(struct plain_peer *peer, uint64_t ret_packet[8], void *data);

/* The next datagram, tombstones skipped: its length, 0 if there is none, -1 if what came is no datagram (it is
 * dropped). data: a buffer size of bytes. */
int64_t plain_peer_receive(struct plain_peer *peer, void *data);

#endif
