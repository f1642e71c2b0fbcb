/* Reading the values of options. Each says what is wrong in one line on stderr, and then returns false. */
#ifndef HQQ_PERF_OPTIONS_PARSE_H
#define HQQ_PERF_OPTIONS_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "hqq-perf: --option: 'value' reason". Always false. */
bool perf_option_complain(const char *option, const char *value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A decimal number from min to max; with a k behind it, times 1024. */
bool perf_parse_number(const char *option, const char *value, uint64_t min, uint64_t max, uint64_t *ret_number);

/* A decimal fraction from min to max. */
bool perf_parse_fraction(const char *option, const char *value, double min, double max, double *ret_fraction);

/* The index of one name. */
bool perf_parse_name(const char *option, const char *value, const char *const *names, size_t count,
                     unsigned *ret_index);

/* Names with commas between them, as a set of bits; each at most once. */
bool perf_parse_names(const char *option, const char *value, const char *const *names, size_t count,
                      unsigned *ret_bits);

/* Numbers with commas between them, at most max_count. */
bool perf_parse_numbers(const char *option, const char *value, uint64_t min, uint64_t max, size_t max_count,
                        uint64_t *ret_numbers, size_t *ret_count);

#endif
