/* Must fail: a test that crashes. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void crashes(void **state)
{
    (void)state;
    raise(SIGSEGV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(crashes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
