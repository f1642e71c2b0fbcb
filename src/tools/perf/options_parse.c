/* Values of options: numbers, names and lists of them. */
#include "tools/perf/options_parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/perf/transport.h"

/* The longest item of a list that is looked at; what is longer can't be valid. */
#define ITEM_SIZE 40

bool perf_option_complain(const char *option, const char *value, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s: --%s: '%s' ", program_invocation_short_name, option, value);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return false;
}

bool perf_parse_number(const char *option, const char *value, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    char *end = NULL;
    unsigned long long number;

    errno = 0;
    number = strtoull(value, &end, 10);
    if ((*end == 'k' || *end == 'K') && number <= UINT64_MAX / 1024) {
        number *= 1024;
        end++;
    }
    /* strtoull() takes signs and blanks. */
    if (strspn(value, "0123456789") == 0 || *end != '\0' || errno != 0 || number < min || number > max)
        return perf_option_complain(option, value, "is not a number from %llu to %llu", (unsigned long long)min,
                                    (unsigned long long)max);
    *ret_number = number;
    return true;
}

bool perf_parse_fraction(const char *option, const char *value, double min, double max, double *ret_fraction)
{
    char *end = NULL;
    double fraction = strtod(value, &end);

    /* Written so that NaN is refused. */
    if (end == value || *end != '\0' || !(fraction >= min && fraction <= max))
        return perf_option_complain(option, value, "is not a number from %g to %g", min, max);
    *ret_fraction = fraction;
    return true;
}

static bool find_name(const char *item, size_t length, const char *const *names, size_t count, unsigned *ret_index)
{
    for (unsigned i = 0; i < count; i++) {
        if (strlen(names[i]) == length && strncmp(names[i], item, length) == 0) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static bool complain_name(const char *option, const char *value, const char *const *names, size_t count)
{
    char known[160] = "";

    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(known);

        snprintf(known + used, sizeof(known) - used, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    return perf_option_complain(option, value, "is not one of: %s", known);
}

bool perf_parse_name(const char *option, const char *value, const char *const *names, size_t count, unsigned *ret_index)
{
    return find_name(value, strlen(value), names, count, ret_index) ? true : complain_name(option, value, names, count);
}

/* Copies the next item of a list, and moves on behind the comma. False at the end of the list. */
static bool next_item(const char **list, char item[ITEM_SIZE])
{
    size_t length;

    if (*list == NULL)
        return false;
    length = strcspn(*list, ",");
    snprintf(item, ITEM_SIZE, "%.*s", (int)(length < ITEM_SIZE ? length : ITEM_SIZE), *list);
    *list = (*list)[length] == ',' ? *list + length + 1 : NULL;
    return true;
}

bool perf_parse_names(const char *option, const char *value, const char *const *names, size_t count, unsigned *ret_bits)
{
    const char *list = value;
    char item[ITEM_SIZE];
    unsigned bits = 0;

    while (next_item(&list, item)) {
        unsigned index = 0;

        if (!perf_parse_name(option, item, names, count, &index))
            return false;
        bits |= PERF_BIT(index);
    }
    *ret_bits = bits;
    return true;
}

bool perf_parse_numbers(const char *option, const char *value, uint64_t min, uint64_t max, size_t max_count,
                        uint64_t *ret_numbers, size_t *ret_count)
{
    const char *list = value;
    char item[ITEM_SIZE];
    size_t count = 0;

    while (next_item(&list, item)) {
        if (count == max_count)
            return perf_option_complain(option, value, "is a list of more than %zu numbers", max_count);
        if (!perf_parse_number(option, item, min, max, &ret_numbers[count]))
            return false;
        count++;
    }
    *ret_count = count;
    return true;
}
