/* dlsym(): a program that asks libc for its functions gets those that keep its datagrams in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void *libc;

static bool is_preloaded(void)
{
    return getenv("HQQ_PATHS") != NULL;
}

static void functions_of_libc_are_found_as_the_program_finds_them(void **state)
{
    (void)state;
    static const char *const names[] = {"recv", "recvmsg", "poll", "read", "close", "epoll_wait"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        assert_ptr_equal(dlsym(libc, names[i]), dlsym(RTLD_DEFAULT, names[i]));
}

static void other_functions_are_let_be(void **state)
{
    (void)state;
    Dl_info info;
    void *found = dlsym(libc, "getpid");
    assert_non_null(found);
    assert_int_not_equal(dladdr(found, &info), 0);
    assert_non_null(strstr(info.dli_fname, "libc"));
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    assert_null(dlsym(libc, "hqq_no_such_function"));
    assert_non_null(dlerror());
    assert_null(dlsym(RTLD_DEFAULT, "hqq_no_such_function"));
    assert_non_null(dlerror());
}

/* Found in libc, and not in the program's own scope. */
static void success_leaves_no_error(void **state)
{
    (void)state;
    void *module = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);
    if (!module)
        skip();
    (void)dlerror();
    assert_non_null(dlsym(module, "cbrt"));
    assert_null(dlerror());
    dlclose(module);
}

static void the_next_function_is_the_callers_next(void **state)
{
    (void)state;
    Dl_info info;
    void *next = dlsym(RTLD_NEXT, "recv"); /* from the program: what comes first of all libraries */
    assert_ptr_equal(next, dlsym(RTLD_DEFAULT, "recv"));
    assert_int_not_equal(dladdr(next, &info), 0);
    if (is_preloaded())
        assert_non_null(strstr(info.dli_fname, "hqq"));
}

/* By both kinds of receives in turn, from a ring where there is one. */
static void receives_of_libc_are_in_order_with_others(void **state)
{
    enum { COUNT = 3000 };
    (void)state;
    ssize_t (*of_libc)(int, void *, size_t, int);
    void *found = dlsym(libc, "recv");
    memcpy(&of_libc, &found, sizeof(found));
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int length = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "hqq-symbol-%d", (int)getpid());
    socklen_t name_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    int receiver = socket(AF_UNIX, SOCK_DGRAM, 0);
    const struct timeval limit = {.tv_sec = 20};
    assert_int_equal(setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    assert_int_equal(bind(receiver, (struct sockaddr *)&name, name_length), 0);
    pid_t sender = fork();
    if (sender == 0) {
        int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
        if (connect(fd, (struct sockaddr *)&name, name_length) != 0)
            _exit(1);
        for (int i = 0; i < COUNT; i++) {
            if (send(fd, &i, sizeof(i), 0) != sizeof(i))
                _exit(2);
        }
        _exit(0);
    }
    for (int i = 0, number; i < COUNT; i++) {
        ssize_t result = (i / 5 % 2 == 0 ? recv : of_libc)(receiver, &number, sizeof(number), 0);
        assert_int_equal(result, sizeof(number));
        assert_int_equal(number, i);
    }
    int status;
    assert_int_equal(waitpid(sender, &status, 0), sender);
    assert_int_equal(status, 0);
    close(receiver);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_of_libc_are_found_as_the_program_finds_them),
        cmocka_unit_test(other_functions_are_let_be),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(success_leaves_no_error),
        cmocka_unit_test(the_next_function_is_the_callers_next),
        cmocka_unit_test(receives_of_libc_are_in_order_with_others),
    };
    libc = dlopen("libc.so.6", RTLD_NOW);
    if (!libc)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
