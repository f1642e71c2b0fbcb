#include "base/text.h"

#include <string.h>

#define MAX_DIGITS 64

void hqq_text_begin(struct hqq_text *text, char *buffer, size_t size)
{
    *text = (struct hqq_text){.end = buffer, .room = size - 1};
    *buffer = '\0';
}

void hqq_text_add_bytes(struct hqq_text *text, const char *bytes, size_t count)
{
    if (count > text->room) {
        text->is_cut = true;
        count = text->room;
    }
    text->end = mempcpy(text->end, bytes, count);
    text->room -= count;
    *text->end = '\0';
}

void hqq_text_add(struct hqq_text *text, const char *more)
{
    hqq_text_add_bytes(text, more, strlen(more));
}

void hqq_text_add_number(struct hqq_text *text, uint64_t number, unsigned base, unsigned width)
{
    char digits[MAX_DIGITS];
    size_t first = MAX_DIGITS;
    do {
        digits[--first] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number != 0 || MAX_DIGITS - first < width);
    hqq_text_add_bytes(text, digits + first, MAX_DIGITS - first);
}
