/*
 * Packets: the eight words that travel in a slot. A packet that was read from a region is untrusted: copy it once with
 * hqq_packet_load(), check the copy, use the copy.
 */
#ifndef HQQ_LAYOUT_PACKET_H
#define HQQ_LAYOUT_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

enum hqq_opcode {
    HQQ_OPCODE_ERROR = 0x00,
    HQQ_OPCODE_CONN_CREATE = 0x01,
    HQQ_OPCODE_CONN_ACCEPT = 0x02,
    HQQ_OPCODE_CONN_CLOSE = 0x03,
    HQQ_OPCODE_CONN_COPY = 0x04,
    HQQ_OPCODE_PROTO_NEGOTIATE = 0x05,
    HQQ_OPCODE_PROTO_ACK = 0x06,
    HQQ_OPCODE_TOMBSTONE = 0xfe,
    HQQ_OPCODE_COPY = 0xff,
};

#define HQQ_PACKET_OPERANDS 7

struct hqq_packet {
    uint64_t opcode; /* in the low byte; the rest zero */
    uint64_t operand[HQQ_PACKET_OPERANDS];
};

_Static_assert(sizeof(struct hqq_packet) == 64, "a packet is one cache line of words");

/* Operands of StandardLinkCopy and of the tombstone. ConnCopy carries its total size in the same place as a copy its
 * size, which is why a standard reader can take one for the other. */
#define HQQ_COPY_ID 0
#define HQQ_COPY_SLOT 1
#define HQQ_COPY_SIZE 2
#define HQQ_CONN_COPY_TOTAL 2
#define HQQ_TOMBSTONE_REASON 2

/* Reason of a tombstone that stands for a writer that died: "DIED" in ASCII. */
#define HQQ_TOMBSTONE_DIED UINT64_C(0x44494544)

/* Writes a whole packet into a slot that this thread has claimed. */
static inline void hqq_packet_store(hqq_atomic_u64 *element, const struct hqq_packet *packet)
{
    hqq_store_relaxed(&element[0], packet->opcode);
    for (size_t i = 0; i < HQQ_PACKET_OPERANDS; i++)
        hqq_store_relaxed(&element[1 + i], packet->operand[i]);
}

/* Copies a whole packet, each word read once. */
static inline struct hqq_packet hqq_packet_load(const hqq_atomic_u64 *element)
{
    struct hqq_packet packet;
    packet.opcode = hqq_load_relaxed(&element[0]);
    for (size_t i = 0; i < HQQ_PACKET_OPERANDS; i++)
        packet.operand[i] = hqq_load_relaxed(&element[1 + i]);
    return packet;
}

#endif
