#include "advanced/wire.h"

#define CHUNK_CONNECTION 0
#define CHUNK_MESSAGE 1
#define CHUNK_TOTAL 2
#define CHUNK_OFFSET 3
#define CHUNK_SIZE HQQ_CHUNK_SIZE
#define CHUNK_FLAGS 5
#define CHUNK_METHOD 6

_Static_assert((int)HQQ_MESSAGE_REQUEST == HQQ_FRAME_REQUEST && (int)HQQ_MESSAGE_RESPONSE == HQQ_FRAME_RESPONSE &&
                   (int)HQQ_MESSAGE_ERROR == HQQ_FRAME_ERROR && (int)HQQ_MESSAGE_COMPRESSED == HQQ_FRAME_COMPRESSED &&
                   HQQ_MESSAGE_DATAGRAM == HQQ_FRAME_DATAGRAM,
               "what the program is told of a message's frames");

static bool are_flags_valid(uint64_t flags, bool may_be_compressed)
{
    const uint64_t known = HQQ_FRAME_BEGIN | HQQ_FRAME_END | HQQ_FRAME_ABORT | HQQ_FRAME_KIND;
    if ((flags & ~known) != 0 || ((flags & HQQ_FRAME_COMPRESSED) != 0 && !may_be_compressed))
        return false;
    if ((flags & HQQ_FRAME_REQUEST) != 0 && (flags & HQQ_FRAME_RESPONSE) != 0)
        return false;
    return (flags & HQQ_FRAME_ERROR) == 0 || (flags & HQQ_FRAME_RESPONSE) != 0; /* only an answer can be an error */
}

static bool are_sizes_valid(const struct hqq_chunk *chunk)
{
    if (chunk->total > HQQ_WIRE_MAX || chunk->offset > chunk->total || chunk->size > chunk->total - chunk->offset)
        return false;
    if (((chunk->flags & HQQ_FRAME_BEGIN) != 0) != (chunk->offset == 0))
        return false;
    if (((chunk->flags & HQQ_FRAME_END) != 0) != (chunk->offset + chunk->size == chunk->total))
        return false;
    return chunk->size != 0 || chunk->total == 0;
}

int hqq_chunk_parse(const struct hqq_packet *packet, const struct hqq_chunk_rules *rules, struct hqq_chunk *ret_chunk)
{
    const uint64_t *operand = packet->operand;
    struct hqq_chunk chunk = {
        .connection = operand[CHUNK_CONNECTION],
        .message = operand[CHUNK_MESSAGE],
        .total = operand[CHUNK_TOTAL],
        .offset = operand[CHUNK_OFFSET],
        .size = operand[CHUNK_SIZE],
        .flags = operand[CHUNK_FLAGS],
        .method = operand[CHUNK_METHOD],
    };
    if (!are_flags_valid(chunk.flags, rules->may_be_compressed))
        return HQQ_ERROR_INVALID_OP;
    if (chunk.size > rules->buffer_size || chunk.size < rules->overhead)
        return HQQ_ERROR_INVALID_SIZE;
    chunk.size -= rules->overhead;
    /* What an abort says of sizes is of no use, whatever it is. */
    if ((chunk.flags & HQQ_FRAME_ABORT) == 0 && !are_sizes_valid(&chunk))
        return HQQ_ERROR_INVALID_SIZE;
    if ((chunk.flags & (HQQ_FRAME_BEGIN | HQQ_FRAME_ABORT)) == 0 && chunk.method != 0)
        return HQQ_ERROR_INVALID_OP; /* the first chunk has said it */
    *ret_chunk = chunk;
    return 0;
}

struct hqq_packet hqq_chunk_packet(const struct hqq_chunk *chunk, uint64_t overhead)
{
    return (struct hqq_packet){
        .opcode = HQQ_OPCODE_CONN_COPY,
        .operand =
            {
                [CHUNK_CONNECTION] = chunk->connection,
                [CHUNK_MESSAGE] = chunk->message,
                [CHUNK_TOTAL] = chunk->total,
                [CHUNK_OFFSET] = chunk->offset,
                [CHUNK_SIZE] = chunk->size + overhead,
                [CHUNK_FLAGS] = chunk->flags,
                [CHUNK_METHOD] = chunk->method,
            },
    };
}

struct hqq_packet hqq_control_packet(uint64_t opcode, uint64_t operand0, uint64_t operand1, uint64_t operand2)
{
    return (struct hqq_packet){.opcode = opcode, .operand = {operand0, operand1, operand2}};
}

int hqq_wire_error(uint64_t code)
{
    return code >= HQQ_ERROR_MEMORY_ALIGN && code <= HQQ_ERROR_BUFFER_OVERFLOW ? (int)code : HQQ_ERROR_INVALID_OP;
}
