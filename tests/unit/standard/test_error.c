/* What results are called, and which errno says the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <hqq/error.h>
#include <hqq/version.h>

/* As the public header's table has them. */
static const struct {
    int kind;
    int errno_value;
} documented[] = {
    {HQQ_OK, 0},
    {HQQ_ERROR_MEMORY_ALIGN, EINVAL},
    {HQQ_ERROR_INVALID_SIZE, EINVAL},
    {HQQ_ERROR_MEMORY_SMALL, ENOBUFS},
    {HQQ_ERROR_FAILED_INIT, EPROTO},
    {HQQ_ERROR_CONN_NOT_FOUND, ENOTCONN},
    {HQQ_ERROR_INVALID_OP, EOPNOTSUPP},
    {HQQ_ERROR_BUFFER_OVERFLOW, EMSGSIZE},
    {HQQ_ERROR_TIMEOUT, ETIMEDOUT},
    {HQQ_ERROR_WOULD_BLOCK, EAGAIN},
    {HQQ_ERROR_TRUNCATED, EMSGSIZE},
    {HQQ_ERROR_CLOSED, EPIPE},
    {HQQ_ERROR_PEER_DIED, ECONNRESET},
    {HQQ_ERROR_INIT_DIED, EOWNERDEAD},
    {HQQ_ERROR_BUSY, EBUSY},
    {HQQ_ERROR_BAD_MAGIC, EPROTO},
    {HQQ_ERROR_VERSION, EPROTONOSUPPORT},
    {HQQ_ERROR_PAGE_SIZE, EPROTONOSUPPORT},
    {HQQ_ERROR_UNSEALED, EPERM},
    {HQQ_ERROR_FORKED, ECHILD},
    {HQQ_ERROR_REMOTE, EREMOTEIO},
    {HQQ_ERROR_CANCELED, ECANCELED},
    {HQQ_ERROR_AUTH, EBADMSG},
    {HQQ_ERROR_ABORTED, ECONNABORTED},
    {HQQ_ERROR_TOO_MANY_MESSAGES, ENOBUFS},
    {HQQ_ERROR_TOO_MANY_BYTES, ENOBUFS},
    {HQQ_ERROR_TOO_MANY_CONNECTIONS, EMFILE},
    {HQQ_ERROR_TOO_MANY_CALLS, EAGAIN},
};

#define DOCUMENTED (sizeof(documented) / sizeof(documented[0]))

/* No result at all: beside the kinds, and beyond every errno. */
static const int unknown[] = {8, 63, HQQ_ERROR_TOO_MANY_CALLS + 1, INT_MAX, -4096, INT_MIN};

#define UNKNOWN (sizeof(unknown) / sizeof(unknown[0]))

static void protocol_kinds_have_the_numbers_of_the_wire(void **state)
{
    (void)state;
    assert_int_equal(HQQ_ERROR_MEMORY_ALIGN, 1);
    assert_int_equal(HQQ_ERROR_INVALID_SIZE, 2);
    assert_int_equal(HQQ_ERROR_MEMORY_SMALL, 3);
    assert_int_equal(HQQ_ERROR_FAILED_INIT, 4);
    assert_int_equal(HQQ_ERROR_CONN_NOT_FOUND, 5);
    assert_int_equal(HQQ_ERROR_INVALID_OP, 6);
    assert_int_equal(HQQ_ERROR_BUFFER_OVERFLOW, 7);
}

static void every_kind_has_a_line_of_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < DOCUMENTED; i++) {
        const char *text = hqq_strerror(documented[i].kind);
        assert_string_not_equal(text, "");
        assert_string_not_equal(text, "unknown error");
        assert_null(strchr(text, '\n'));
    }
}

static void no_two_kinds_have_the_same_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < DOCUMENTED; i++) {
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(hqq_strerror(documented[i].kind), hqq_strerror(documented[j].kind));
    }
}

static void every_kind_has_the_errno_of_the_header(void **state)
{
    (void)state;
    for (size_t i = 0; i < DOCUMENTED; i++)
        assert_int_equal(hqq_error_to_errno(documented[i].kind), documented[i].errno_value);
}

static void a_negative_result_has_the_text_of_its_errno(void **state)
{
    (void)state;
#ifdef __GLIBC__
    assert_string_equal(hqq_strerror(-ENOSPC), "No space left on device");
#else
    assert_string_equal(hqq_strerror(-ENOSPC), "system error");
#endif
}

static void a_negative_result_is_its_own_errno(void **state)
{
    (void)state;
    assert_int_equal(hqq_error_to_errno(-ENOSPC), ENOSPC);
    assert_int_equal(hqq_error_to_errno(-1), 1);
    assert_int_equal(hqq_error_to_errno(-4095), 4095);
}

static void the_text_of_what_is_no_result_is_unknown_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNKNOWN; i++)
        assert_string_equal(hqq_strerror(unknown[i]), "unknown error");
}

static void the_errno_of_what_is_no_result_is_eproto(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNKNOWN; i++)
        assert_int_equal(hqq_error_to_errno(unknown[i]), EPROTO);
}

static void errno_is_left_alone(void **state)
{
    (void)state;
    errno = E2BIG;
    hqq_strerror(-4095);
    hqq_strerror(-ENOSPC);
    hqq_error_to_errno(-ENOSPC);
    assert_int_equal(errno, E2BIG);
}

static void the_version_is_that_of_the_header(void **state)
{
    (void)state;
    assert_string_equal(hqq_version(), HQQ_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocol_kinds_have_the_numbers_of_the_wire),
        cmocka_unit_test(every_kind_has_a_line_of_text),
        cmocka_unit_test(no_two_kinds_have_the_same_text),
        cmocka_unit_test(every_kind_has_the_errno_of_the_header),
        cmocka_unit_test(a_negative_result_has_the_text_of_its_errno),
        cmocka_unit_test(a_negative_result_is_its_own_errno),
        cmocka_unit_test(the_text_of_what_is_no_result_is_unknown_error),
        cmocka_unit_test(the_errno_of_what_is_no_result_is_eproto),
        cmocka_unit_test(errno_is_left_alone),
        cmocka_unit_test(the_version_is_that_of_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
