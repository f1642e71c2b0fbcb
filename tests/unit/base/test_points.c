/* The labelled points: those in the source and those in hqq_point_labels are the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/point.h"

#define LABELS_MAX 64
#define LABEL_SIZE 64

static char used[LABELS_MAX][LABEL_SIZE];
static size_t used_count;
static int files;

static bool is_listed(const char *label)
{
    for (const char *const *at = hqq_point_labels; *at; at++) {
        if (strcmp(*at, label) == 0)
            return true;
    }
    return false;
}

static int uses(const char *label)
{
    int count = 0;
    for (size_t i = 0; i < used_count; i++)
        count += strcmp(used[i], label) == 0;
    return count;
}

/* Notes every HQQ_POINT("...") of a line. */
static bool scan_line(const char *line)
{
    static const char before[] = "HQQ_POINT(\"";
    for (const char *at = strstr(line, before); at; at = strstr(at, before)) {
        at += sizeof(before) - 1;
        size_t length = strcspn(at, "\"");
        if (used_count == LABELS_MAX || length >= LABEL_SIZE)
            return false;
        memcpy(used[used_count++], at, length);
    }
    return true;
}

static int scan_file(const char *path, const struct stat *stat, int type, struct FTW *place)
{
    const char *dot = strrchr(path, '.');
    (void)stat;
    (void)place;
    if (type != FTW_F || !dot || (strcmp(dot, ".c") != 0 && strcmp(dot, ".h") != 0))
        return 0;
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    char *line = NULL;
    size_t size = 0;
    int result = 0;
    while (result == 0 && getline(&line, &size, file) >= 0)
        result = scan_line(line) ? 0 : -1;
    free(line);
    fclose(file);
    files++;
    return result;
}

static int scan_sources(void **state)
{
    (void)state;
    return nftw(HQQ_SOURCE_DIR "/src", scan_file, 16, FTW_PHYS);
}

static void the_sources_were_found(void **state)
{
    (void)state;
    assert_in_range(files, 10, 10000);
    assert_in_range(used_count, 10, LABELS_MAX);
}

static void every_label_in_the_source_is_listed(void **state)
{
    (void)state;
    for (size_t i = 0; i < used_count; i++) {
        if (!is_listed(used[i]))
            fail_msg("%s is not in hqq_point_labels", used[i]);
    }
}

static void every_listed_label_is_in_the_source(void **state)
{
    (void)state;
    for (const char *const *at = hqq_point_labels; *at; at++) {
        if (uses(*at) == 0)
            fail_msg("%s is nowhere in the source", *at);
    }
}

static void no_label_is_listed_twice(void **state)
{
    (void)state;
    for (const char *const *at = hqq_point_labels; *at; at++) {
        for (const char *const *other = hqq_point_labels; other < at; other++)
            assert_string_not_equal(*at, *other);
    }
}

static char reached[LABEL_SIZE];

static void note(const char *label)
{
    snprintf(reached, sizeof(reached), "%s", label);
}

static void a_point_calls_the_hook_with_its_label(void **state)
{
    (void)state;
    hqq_point_hook = note;
    HQQ_POINT("a.label");
    hqq_point_hook = NULL;
    assert_string_equal(reached, "a.label");
    HQQ_POINT("another.label");
    assert_string_equal(reached, "a.label");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sources_were_found),
        cmocka_unit_test(every_label_in_the_source_is_listed),
        cmocka_unit_test(every_listed_label_is_in_the_source),
        cmocka_unit_test(no_label_is_listed_twice),
        cmocka_unit_test(a_point_calls_the_hook_with_its_label),
    };
    return cmocka_run_group_tests(tests, scan_sources, NULL);
}
