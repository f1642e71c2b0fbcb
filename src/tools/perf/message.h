/*
 * What is in a message: its number, in the first and in the last eight bytes, so that one that is lost, repeated,
 * reordered, cut or mixed up of two shows. The highest bit of the number marks the last message of a run.
 * A message that is not copied holds the number in each word of its first 64 bytes, and nothing beyond.
 */
#ifndef HQQ_PERF_MESSAGE_H
#define HQQ_PERF_MESSAGE_H

#include <string.h>

#include "tools/perf/end.h"

#define PERF_LAST (UINT64_C(1) << 63)
#define PERF_TOUCHED_WORDS 8

static inline void perf_stamp(unsigned char *data, size_t size, uint64_t head)
{
    memcpy(data, &head, sizeof(head));
    memcpy(data + size - sizeof(head), &head, sizeof(head));
}

static inline uint64_t perf_head(const unsigned char *data)
{
    uint64_t head;

    memcpy(&head, data, sizeof(head));
    return head;
}

/* The message of that number, ready to send. */
static inline const unsigned char *perf_outgoing(struct perf_end *end, uint64_t head)
{
    perf_stamp(end->out, end->shape->size, head);
    return end->out;
}

/* Both marks of a message that was received; a wrong length or two different marks are a mismatch. */
static inline int perf_incoming(struct perf_end *end, const unsigned char *data, size_t length, uint64_t *ret_head)
{
    uint64_t head = perf_head(data);
    uint64_t tail = perf_head(data + end->shape->size - sizeof(tail));

    if (length != end->shape->size || head != tail) {
        end->is_damaged = true;
        return PERF_ERROR_MISMATCH;
    }
    *ret_head = head;
    return 0;
}

/* Whether that is the message that is due; then the next one is. */
static inline int perf_accept(struct perf_end *end, uint64_t head)
{
    if ((head & ~PERF_LAST) != end->next) {
        end->found = head & ~PERF_LAST;
        return PERF_ERROR_MISMATCH;
    }
    end->next++;
    return 0;
}

static inline void perf_touch(void *data, uint64_t head)
{
    uint64_t words[PERF_TOUCHED_WORDS];

    for (int i = 0; i < PERF_TOUCHED_WORDS; i++)
        words[i] = head;
    memcpy(data, words, sizeof(words));
}

static inline int perf_look(struct perf_end *end, const void *data, size_t length, uint64_t *ret_head)
{
    uint64_t words[PERF_TOUCHED_WORDS];
    uint64_t difference = 0;

    memcpy(words, data, sizeof(words));
    for (int i = 1; i < PERF_TOUCHED_WORDS; i++)
        difference |= words[i] ^ words[0];
    if (length != end->shape->size || difference != 0) {
        end->is_damaged = true;
        return PERF_ERROR_MISMATCH;
    }
    *ret_head = words[0];
    return 0;
}

#endif
