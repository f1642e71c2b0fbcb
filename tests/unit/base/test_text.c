/* Short texts: numbers as printf() writes them, and what does not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static void numbers_look_as_printf_writes_them(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 1, 9, 10, 15, 16, 255, 4096, UINT32_MAX, UINT64_MAX};
    char buffer[128], wanted[128];
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        uint64_t number = numbers[i];
        struct hqq_text text;
        hqq_text_begin(&text, buffer, sizeof(buffer));
        hqq_text_add_number(&text, number, 10, 1);
        hqq_text_add(&text, "-");
        hqq_text_add_number(&text, number, 16, 1);
        hqq_text_add(&text, ".");
        hqq_text_add_number(&text, number, 16, 16);
        snprintf(wanted, sizeof(wanted), "%" PRIu64 "-%" PRIx64 ".%016" PRIx64, number, number, number);
        assert_string_equal(buffer, wanted);
        assert_ptr_equal(text.end, buffer + strlen(wanted));
        assert_false(text.is_cut);
    }
}

static void what_does_not_fit_is_cut_and_told(void **state)
{
    (void)state;
    char buffer[9] = "........";
    struct hqq_text text;
    hqq_text_begin(&text, buffer, 8);
    hqq_text_add_bytes(&text, "abcdef", 3);
    hqq_text_add(&text, "defg");
    assert_string_equal(buffer, "abcdefg");
    assert_false(text.is_cut);
    hqq_text_add_number(&text, 7, 10, 1);
    assert_string_equal(buffer, "abcdefg");
    assert_true(text.is_cut);
    assert_int_equal(buffer[8], '\0');

    hqq_text_begin(&text, buffer, 1);
    assert_string_equal(buffer, "");
    hqq_text_add_number(&text, UINT64_MAX, 2, 1);
    assert_string_equal(buffer, "");
    assert_true(text.is_cut);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_look_as_printf_writes_them),
        cmocka_unit_test(what_does_not_fit_is_cut_and_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
