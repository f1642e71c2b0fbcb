/*
 * The scenes of the standard protocol: a name, a shape, the steps that both ends take, and what is then waiting to be
 * read. They are those that the original implementation was photographed in.
 */
#ifndef TESTS_GOLDEN_SCENE_H
#define TESTS_GOLDEN_SCENE_H

#include <stddef.h>
#include <stdint.h>

#include "support/region.h"

/* Some bytes: a text, or, where that is NULL, pattern(length, seed). */
struct bytes {
    const char *text;
    size_t length, seed;
};

#define TEXT(text)                                                                                                     \
    {                                                                                                                  \
        (text), 0, 0                                                                                                   \
    }
#define PATTERN(length, seed)                                                                                          \
    {                                                                                                                  \
        NULL, (length), (seed)                                                                                         \
    }

#define SCENE_PENDING_MAX 4

struct scene {
    const char *name;
    uint64_t buffer_count, buffer_size;
    void (*perform)(struct pair *pair);
    struct bytes pending[2][SCENE_PENDING_MAX]; /* for the reader of each ring; ends with no bytes at all */
    unsigned tombstones;                        /* that the reader of ring 0 skips */
};

extern const struct scene scenes[];
extern const size_t scene_count;

/* Writes the bytes, at most 64, to buffer. Returns how many. */
size_t bytes_fill(const struct bytes *bytes, unsigned char buffer[64]);

#endif
