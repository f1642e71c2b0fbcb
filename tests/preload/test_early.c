/* With an allocator (early.c) that made hooked calls before the hooks were ready: they worked, and nothing of them
 * reached the socket layer. Runs with the recorder and early.c preloaded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void find(const char *name, void *ret_found)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    if (found == NULL)
        fail_msg("%s is not there: what should be preloaded is not", name);
    memcpy(ret_found, &found, sizeof(found));
}

static void early_calls_worked_and_went_past_the_socket_layer(void **state)
{
    (void)state;
    const char *(*record_take)(void);
    const int *count;
    find("hqq_record_take", &record_take);
    find("early_first_malloc", &count);
    assert_int_equal(*count, 1);
    find("early_constructor", &count);
    assert_int_equal(*count, 1);
    assert_memory_equal(record_take(), "init", 4);
    int fd = open("/dev/null", O_RDONLY);
    assert_string_equal(record_take(), "created");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(early_calls_worked_and_went_past_the_socket_layer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
