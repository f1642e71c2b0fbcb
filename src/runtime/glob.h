/*
 * Globs, byte by byte: * is any bytes, also a slash or NUL, ? one byte, [set] one of a set, [!set] or [^set] one outside
 * it, \ takes the next byte as it is. In a set, a-z is a range and a leading ] is a member. Unlike fnmatch(3) it never
 * allocates, knows no locale, takes text with NULs, and is done after pattern times text steps at most.
 * Async-signal-safe.
 */
#ifndef HQQ_RUNTIME_GLOB_H
#define HQQ_RUNTIME_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/* The whole text. A flawed glob matches nothing in particular. */
bool hqq_glob_matches(const char *glob, const char *text, size_t length);

/* What is wrong with a glob, NULL if nothing is. */
const char *hqq_glob_flaw(const char *glob);

#endif
