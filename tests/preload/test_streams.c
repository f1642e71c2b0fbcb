/*
 * A socket that is made a stream is closed with the stream, and its number is free for others. Runs with and without the
 * preload, which has HQQ_PATHS for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int bound_socket(struct sockaddr_un *name, socklen_t *length)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    int written = snprintf(name->sun_path + 1, sizeof(name->sun_path) - 1, "hqq-streams-%d", (int)getpid());
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)written);
    assert_int_equal(bind(fd, (struct sockaddr *)name, *length), 0);
    return fd;
}

static void the_number_of_a_closed_stream_is_anothers(void **state)
{
    (void)state;
    struct sockaddr_un name;
    socklen_t length;
    char text[16] = {0};
    int fd = bound_socket(&name, &length);
    int other = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(sendto(other, "x", 1, 0, (struct sockaddr *)&name, length), 1);
    assert_int_equal(recv(fd, text, sizeof(text), 0), 1);
    assert_int_equal(fclose(fdopen(fd, "r+")), 0);

    FILE *pipe = popen("echo hello", "r"); /* NOLINT(cert-env33-c): what is tested */
    assert_non_null(pipe);
    assert_int_equal(fileno(pipe), fd);
    assert_int_equal(read(fd, text, sizeof(text)), 6);
    assert_string_equal(text, "hello\n");
    errno = 0;
    assert_int_equal(sendto(other, "x", 1, 0, (struct sockaddr *)&name, length), -1);
    assert_int_equal(errno, ECONNREFUSED);
    assert_int_equal(pclose(pipe), 0);
    close(other);
    fd = bound_socket(&name, &length);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_number_of_a_closed_stream_is_anothers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
