/* Bytes that tell where they come from: byte i of pattern(n, seed) is (7*i + 13*seed + 1) mod 256. */
#ifndef TESTS_SUPPORT_PATTERN_H
#define TESTS_SUPPORT_PATTERN_H

#include <stddef.h>

static inline void pattern(void *bytes, size_t length, size_t seed)
{
    for (size_t i = 0; i < length; i++)
        ((unsigned char *)bytes)[i] = (unsigned char)(7 * i + 13 * seed + 1);
}

#endif
