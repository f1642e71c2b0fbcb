/* Which socket has an abstract name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel/identity.h"

static socklen_t make_name(struct sockaddr_un *name, const char *tail, size_t tail_length)
{
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length = snprintf(name->sun_path + 1, sizeof(name->sun_path) - 1, "hqq identity %d ", (int)getpid());
    memcpy(name->sun_path + 1 + length, tail, tail_length);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length + tail_length);
}

static int bound(const struct sockaddr_un *name, socklen_t length, int type)
{
    int fd = socket(AF_UNIX, type, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)name, length), 0);
    return fd;
}

static uint64_t inode_of(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    return status.st_ino;
}

static void check(const char *tail, size_t tail_length)
{
    struct sockaddr_un name, other;
    socklen_t length = make_name(&name, tail, tail_length), other_length = make_name(&other, "another", 7);
    int fd = bound(&name, length, SOCK_DGRAM), other_fd = bound(&other, other_length, SOCK_DGRAM);
    assert_true(hqq_identity_has_abstract_name(inode_of(fd), &name, length));
    assert_true(hqq_identity_has_abstract_name(inode_of(other_fd), &other, other_length));
    assert_false(hqq_identity_has_abstract_name(inode_of(other_fd), &name, length));
    assert_false(hqq_identity_has_abstract_name(inode_of(fd), &other, other_length));
    uint64_t gone = inode_of(fd);
    close(fd);
    assert_false(hqq_identity_has_abstract_name(gone, &name, length));
    fd = bound(&name, length, SOCK_DGRAM);
    assert_false(hqq_identity_has_abstract_name(gone, &name, length));
    close(fd);
    close(other_fd);
}

static void a_name_is_its_sockets(void **state)
{
    (void)state;
    check("plain", 5);
    check("", 0);
    check(" with  spaces ", 14);
    check("a NUL\0within", 12);
    check("a NUL behind\0", 13);
    check("\x80\xff", 2);
}

/* The name of a stream is another one. */
static void sockets_of_other_types_are_not_taken_for_it(void **state)
{
    (void)state;
    struct sockaddr_un name;
    socklen_t length = make_name(&name, "type", 4);
    int stream = bound(&name, length, SOCK_STREAM), datagram = bound(&name, length, SOCK_DGRAM);
    assert_true(hqq_identity_has_abstract_name(inode_of(datagram), &name, length));
    assert_false(hqq_identity_has_abstract_name(inode_of(stream), &name, length));
    close(stream);
    close(datagram);
}

static void what_cannot_be_told_is_let_be(void **state)
{
    (void)state;
    struct sockaddr_un name;
    socklen_t length = make_name(&name, "a\nline", 6);
    assert_true(hqq_identity_has_abstract_name(1, &name, length));
    length = make_name(&name, "unknown", 7);
    assert_true(hqq_identity_has_abstract_name(0, &name, length));
}

static void one_is_found_among_many(void **state)
{
    enum { MANY = 500 };
    (void)state;
    static int fds[MANY];
    struct sockaddr_un name;
    char tail[16];
    for (int i = 0; i < MANY; i++) {
        int length = snprintf(tail, sizeof(tail), "%d", i);
        fds[i] = bound(&name, make_name(&name, tail, (size_t)length), SOCK_DGRAM);
    }
    for (int i = 0; i < MANY; i += 99) {
        int length = snprintf(tail, sizeof(tail), "%d", i);
        socklen_t name_length = make_name(&name, tail, (size_t)length);
        assert_true(hqq_identity_has_abstract_name(inode_of(fds[i]), &name, name_length));
        assert_false(hqq_identity_has_abstract_name(inode_of(fds[(i + 1) % MANY]), &name, name_length));
    }
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_its_sockets),
        cmocka_unit_test(sockets_of_other_types_are_not_taken_for_it),
        cmocka_unit_test(what_cannot_be_told_is_let_be),
        cmocka_unit_test(one_is_found_among_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
