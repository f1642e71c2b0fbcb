#include "golden/scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <string.h>

#include "support/pattern.h"

size_t bytes_fill(const struct bytes *bytes, unsigned char buffer[64])
{
    size_t length = bytes->text ? strlen(bytes->text) : bytes->length;
    if (bytes->text)
        memcpy(buffer, bytes->text, length);
    else
        pattern(buffer, length, bytes->seed);
    return length;
}

static void write_text(struct hqq_link *link, const char *text)
{
    assert_int_equal(hqq_link_write(link, text, strlen(text)), 0);
}

static void write_pattern(struct hqq_link *link, size_t length, size_t seed)
{
    unsigned char buffer[64];
    pattern(buffer, length, seed);
    assert_int_equal(hqq_link_write(link, buffer, length), 0);
}

static void read_any(struct hqq_link *link)
{
    unsigned char buffer[64];
    size_t length;
    assert_int_equal(hqq_link_read(link, buffer, sizeof(buffer), &length), 0);
}

/* ---- Steps ------------------------------------------------------------------------------------------------------- */

static void do_nothing(struct pair *pair)
{
    (void)pair;
}

static void write_two_and_nothing_between(struct pair *pair)
{
    write_text(pair->primary, "hello");
    write_text(pair->primary, "");
    write_pattern(pair->primary, 64, 1);
}

static void then_read_one_and_answer(struct pair *pair)
{
    write_two_and_nothing_between(pair);
    read_any(pair->secondary);
    write_text(pair->secondary, "pong");
}

/* Each is read before the ring could be full. */
static void write_ten_and_read_eight(struct pair *pair)
{
    for (size_t i = 0; i < 10; i++) {
        write_pattern(pair->primary, 8 + i, i);
        if (i < 8)
            read_any(pair->secondary);
    }
}

static void fill_the_ring(struct pair *pair)
{
    for (size_t i = 0; i < 4; i++)
        write_pattern(pair->primary, 5, i);
}

static void reserve(struct pair *pair)
{
    struct hqq_slot slot;
    assert_int_equal(hqq_link_reserve(pair->primary, &slot), 0);
}

static void reserve_abort_and_write(struct pair *pair)
{
    struct hqq_slot slot;
    assert_int_equal(hqq_link_reserve(pair->primary, &slot), 0);
    assert_int_equal(hqq_link_abort(pair->primary, &slot, 7), 0);
    write_text(pair->primary, "after");
}

static void write_from_the_secondary(struct pair *pair)
{
    write_text(pair->secondary, "12345678");
}

/* ---- The scenes -------------------------------------------------------------------------------------------------- */

const struct scene scenes[] = {
    {"std-fresh", 4, 64, do_nothing, {{{0}}}, 0},
    {"std-two-pending", 4, 64, write_two_and_nothing_between, {{TEXT("hello"), PATTERN(64, 1)}}, 0},
    {"std-read-one", 4, 64, then_read_one_and_answer, {{PATTERN(64, 1)}, {TEXT("pong")}}, 0},
    {"std-wrapped", 4, 64, write_ten_and_read_eight, {{PATTERN(16, 8), PATTERN(17, 9)}}, 0},
    {"std-full", 4, 64, fill_the_ring, {{PATTERN(5, 0), PATTERN(5, 1), PATTERN(5, 2), PATTERN(5, 3)}}, 0},
    {"std-reserved", 4, 64, reserve, {{{0}}}, 0},
    {"std-tombstone", 4, 64, reserve_abort_and_write, {{TEXT("after")}}, 1},
    {"std-smallest", 2, 8, write_from_the_secondary, {{{0}}, {TEXT("12345678")}}, 0},
};

const size_t scene_count = sizeof(scenes) / sizeof(scenes[0]);
