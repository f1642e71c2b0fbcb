/*
 * The frames of the advanced protocol and the packets that carry them. Pure functions: a packet that came from a region
 * has been copied, is judged here once, and what comes out can be relied on. Opcodes and flags of the original stand in
 * layout/packet.h and here; those from 0x10 up, and the flag Compressed, are this library's, and are sent only where a
 * feature of its own was agreed on.
 */
#ifndef HQQ_ADVANCED_WIRE_H
#define HQQ_ADVANCED_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include <hqq/advanced.h>

#include "layout/packet.h"

enum hqq_advanced_opcode {
    HQQ_OPCODE_SETUP = 0x10,        /* window, largest message */
    HQQ_OPCODE_KEY_EXCHANGE = 0x11, /* public key: four words */
    HQQ_OPCODE_KEY_CONFIRM = 0x12,  /* sealed: proves the keys */
    HQQ_OPCODE_CREDIT = 0x13,       /* connection id, limit */
    HQQ_OPCODE_STATS_ASK = 0x14,    /* number of the question */
    HQQ_OPCODE_STATS = 0x15,        /* number, messages sent, messages received, bytes received, errors */
};

enum hqq_frame_flag {
    HQQ_FRAME_BEGIN = 1,
    HQQ_FRAME_END = 2,
    HQQ_FRAME_ABORT = 4,
    HQQ_FRAME_REQUEST = 8,
    HQQ_FRAME_RESPONSE = 16,
    HQQ_FRAME_ERROR = 32,
    HQQ_FRAME_COMPRESSED = 64,
};

/* Never on the wire: the message was a datagram of a standard writer, or is to be sent as one. */
#define HQQ_FRAME_DATAGRAM (1 << 16)

/* What says of which kind a message is; the same in all its chunks. */
#define HQQ_FRAME_KIND (HQQ_FRAME_REQUEST | HQQ_FRAME_RESPONSE | HQQ_FRAME_ERROR | HQQ_FRAME_COMPRESSED)

#define HQQ_VERSION_MAJOR(version) ((version) >> 8)
#define HQQ_VERSION_MINOR(version) ((version)&0xff)
#define HQQ_WIRE_VERSION UINT64_C(0x100) /* what this library speaks: 1.0 */
#define HQQ_WIRE_VERSION_MAX UINT64_C(0xffff)

/* In a question, tells that its features from bit 8 up are meant as this library means them ("HQQ_LIB1"): the same bits
 * of another implementation may mean anything, or nothing. */
#define HQQ_NEGOTIATE_MARK_OPERAND 3
#define HQQ_NEGOTIATE_MARK UINT64_C(0x4851515f4c494231)

#define HQQ_FEATURES_ORIGINAL (HQQ_FEATURE_LARGE_COPY | HQQ_FEATURE_REQUEST_RESPONSE)
#define HQQ_FEATURES_OWN                                                                                               \
    (HQQ_FEATURE_COMPRESSION | HQQ_FEATURE_ENCRYPTION | HQQ_FEATURE_FLOW_CONTROL | HQQ_FEATURE_STATISTICS |            \
     HQQ_FEATURE_QOS | HQQ_FEATURE_STREAMING)
#define HQQ_CAPABILITIES (HQQ_CAPABILITY_LARGE_BUFFERS | HQQ_CAPABILITY_HIGH_THROUGHPUT | HQQ_CAPABILITY_LOW_LATENCY)

/* Numbers and sizes beyond this are refused, so that sums of a few of them cannot overflow. */
#define HQQ_WIRE_MAX (UINT64_C(1) << 48)

/* Ids that connections are given lie below this. */
#define HQQ_CONNECTION_ID_END (UINT64_C(1) << 32)

/* What a message costs its connection's credit beside its bytes, so that empty ones are not free. */
#define HQQ_MESSAGE_COST 64

/* A piece of a message. size is that of its body: without the tag of an encrypted chunk. */
struct hqq_chunk {
    uint64_t connection, message, total, offset, size, flags;
    uint64_t method; /* of a request's first chunk; the status of a response's */
};

/* How chunks are to be read on this link. */
struct hqq_chunk_rules {
    uint64_t buffer_size;
    uint64_t overhead; /* bytes in the slot beside the body */
    bool may_be_compressed;
};

/* Judges a ConnCopy packet. On success sizes fit the slot and each other: offset + size <= total <= 2^48, the first
 * chunk begins at 0, the last ends at the total, only an empty message or an abort has an empty chunk. Otherwise
 * HQQ_ERROR_INVALID_OP (flags, a method or status that is said again) or HQQ_ERROR_INVALID_SIZE. */
int hqq_chunk_parse(const struct hqq_packet *packet, const struct hqq_chunk_rules *rules, struct hqq_chunk *ret_chunk);

struct hqq_packet hqq_chunk_packet(const struct hqq_chunk *chunk, uint64_t overhead);

/* A packet of the other kinds; operands that are not given are 0. */
struct hqq_packet hqq_control_packet(uint64_t opcode, uint64_t operand0, uint64_t operand1, uint64_t operand2);

/* Operands that sealing puts something into: the size of a chunk, the tag of a control packet. */
#define HQQ_CHUNK_SIZE 4
#define HQQ_CONTROL_TAG 5

/* A packet as the eight words that sealing covers. */
static inline const uint64_t *hqq_packet_words(const struct hqq_packet *packet)
{
    return (const uint64_t *)(const void *)packet;
}

/* The error that a peer's error code is: one of the protocol's, else INVALID_OP. */
int hqq_wire_error(uint64_t code);

#endif
