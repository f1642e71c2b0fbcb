/*
 * Short texts put together without snprintf(), which takes more than a kilobyte of a stack that may be small, and which a
 * signal handler must not call. Async-signal-safe; no allocation.
 */
#ifndef HQQ_BASE_TEXT_H
#define HQQ_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is written so far always ends with a 0 byte. */
struct hqq_text {
    char *end;   /* where its 0 byte stands */
    size_t room; /* for further bytes, without the 0 byte */
    bool is_cut; /* something did not fit */
};

/* size: of the buffer, at least 1. */
void hqq_text_begin(struct hqq_text *text, char *buffer, size_t size);

/* Each adds all of it, or as many bytes as fit. */
void hqq_text_add(struct hqq_text *text, const char *more);
void hqq_text_add_bytes(struct hqq_text *text, const char *bytes, size_t count);

/* base: 2 to 16, with small letters. width: the least number of digits, up to 16, filled with zeros. */
void hqq_text_add_number(struct hqq_text *text, uint64_t number, unsigned base, unsigned width);

#endif
