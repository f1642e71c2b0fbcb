/* bind(): what it refuses, and the inode it leaves. */
#include "support/end.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int new_socket(void)
{
    return own(socket(AF_UNIX, SOCK_DGRAM, 0));
}

static int try_bind(int fd, const struct address *address)
{
    return bind(fd, address_of(address), address->length);
}

static void make_file(const char *name)
{
    int fd = open(scratch_path(name), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static void a_missing_directory_is_enoent(void **state)
{
    (void)state;
    struct address address = address_path("missing/socket");
    assert_error(try_bind(new_socket(), &address), ENOENT);
}

static void a_component_that_is_no_directory_is_enotdir(void **state)
{
    (void)state;
    make_file("file");
    struct address address = address_path("file/socket");
    assert_error(try_bind(new_socket(), &address), ENOTDIR);
}

static void an_existing_file_is_eaddrinuse(void **state)
{
    (void)state;
    make_file("file");
    struct address address = address_path("file");
    assert_error(try_bind(new_socket(), &address), EADDRINUSE);
}

static void a_dangling_link_is_eaddrinuse(void **state)
{
    (void)state;
    assert_int_equal(symlink("nowhere", scratch_path("link")), 0);
    struct address address = address_path("link");
    assert_error(try_bind(new_socket(), &address), EADDRINUSE);
}

static void a_path_that_another_socket_has_is_eaddrinuse(void **state)
{
    (void)state;
    struct address address = address_path("socket");
    assert_result(try_bind(new_socket(), &address), 0);
    assert_error(try_bind(new_socket(), &address), EADDRINUSE);
}

static void a_path_stays_taken_after_its_owner_closed_until_it_is_unlinked(void **state)
{
    (void)state;
    struct address address = address_path("socket");
    int first = new_socket(), second = new_socket();
    assert_result(try_bind(first, &address), 0);
    let_go(first);
    assert_error(try_bind(second, &address), EADDRINUSE);
    assert_int_equal(unlink(address_text(&address)), 0);
    assert_result(try_bind(second, &address), 0);
}

static void an_abstract_name_that_another_socket_has_is_eaddrinuse_until_it_closes(void **state)
{
    (void)state;
    struct address address = address_abstract("socket");
    int first = new_socket(), second = new_socket();
    assert_result(try_bind(first, &address), 0);
    assert_error(try_bind(second, &address), EADDRINUSE);
    let_go(first);
    assert_result(try_bind(second, &address), 0);
}

static void a_second_bind_is_einval_and_the_first_name_stays(void **state)
{
    (void)state;
    struct address one = address_path("one"), two = address_path("two"), three = address_abstract("three");
    int fd = new_socket();
    assert_result(try_bind(fd, &one), 0);
    assert_error(try_bind(fd, &two), EINVAL);
    assert_error(try_bind(fd, &three), EINVAL);
    struct address got = address_own(fd);
    assert_address(&got, &one);
    assert_int_equal(access(address_text(&two), F_OK), -1);
}

static void after_a_failed_bind_another_may_succeed(void **state)
{
    (void)state;
    struct address bad = address_path("missing/socket"), good = address_path("socket");
    int fd = new_socket();
    assert_error(try_bind(fd, &bad), ENOENT);
    assert_result(try_bind(fd, &good), 0);
}

static void another_family_is_einval(void **state)
{
    (void)state;
    struct address address = address_path("socket");
    address.name.ss_family = AF_INET;
    assert_error(try_bind(new_socket(), &address), EINVAL);
    address.name.ss_family = AF_UNSPEC;
    assert_error(try_bind(new_socket(), &address), EINVAL);
}

static void a_length_without_a_family_or_beyond_the_structure_is_einval(void **state)
{
    (void)state;
    struct address address = address_path("socket");
    int fd = new_socket();
    assert_error(bind(fd, address_of(&address), 0), EINVAL);
    assert_error(bind(fd, address_of(&address), 1), EINVAL);
    assert_error(bind(fd, address_of(&address), sizeof(struct sockaddr_un) + 1), EINVAL);
}

static void no_socket_is_ebadf_or_enotsock(void **state)
{
    (void)state;
    struct address address = address_path("socket");
    int pipes[2];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    own(pipes[0]);
    own(pipes[1]);
    assert_error(try_bind(-1, &address), EBADF);
    assert_error(try_bind(pipes[0], &address), ENOTSOCK);
}

static void a_bad_address_is_efault(void **state)
{
    (void)state;
    assert_error(bind(new_socket(), (const struct sockaddr *)(uintptr_t)1, sizeof(struct sockaddr_un)), EFAULT);
}

static void the_path_is_an_inode_of_type_socket_with_the_mode_of_the_umask(void **state)
{
    (void)state;
    struct address address = address_path("socket");
    struct stat status;
    mode_t old = umask(027);
    int result = try_bind(new_socket(), &address);
    umask(old);
    assert_int_equal(result, 0);
    assert_int_equal(stat(address_text(&address), &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0750);
    assert_int_equal(status.st_uid, geteuid());
}

static void the_inode_can_be_given_another_mode(void **state)
{
    (void)state;
    struct address address = address_path("socket");
    struct stat status;
    int fd = new_socket();
    assert_result(try_bind(fd, &address), 0);
    assert_int_equal(chmod(address_text(&address), 0600), 0);
    assert_int_equal(stat(address_text(&address), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    struct end sender = end_new(NULL, 0);
    assert_result(end_say(&sender, &address, "still there"), 11);
    assert_receives(fd, "still there");
}

static void the_inode_cannot_be_opened(void **state)
{
    (void)state;
    struct address address = address_path("socket");
    assert_result(try_bind(new_socket(), &address), 0);
    assert_error(open(address_text(&address), O_RDWR | O_CLOEXEC), ENXIO);
}

static void nothing_but_the_socket_is_left_in_the_directory(void **state)
{
    (void)state;
    struct address address = address_path("socket");
    int fd = new_socket();
    assert_result(try_bind(fd, &address), 0);
    let_go(fd);
    assert_int_equal(unlink(address_text(&address)), 0);
    assert_int_equal(rmdir(contract_folder()), 0);
    assert_int_equal(mkdir(contract_folder(), 0700), 0);
}

static const struct CMUnitTest tests[] = {
    ALONE(a_missing_directory_is_enoent),
    ALONE(a_component_that_is_no_directory_is_enotdir),
    ALONE(an_existing_file_is_eaddrinuse),
    ALONE(a_dangling_link_is_eaddrinuse),
    ALONE(a_path_that_another_socket_has_is_eaddrinuse),
    ALONE(a_path_stays_taken_after_its_owner_closed_until_it_is_unlinked),
    ALONE(an_abstract_name_that_another_socket_has_is_eaddrinuse_until_it_closes),
    ALONE(a_second_bind_is_einval_and_the_first_name_stays),
    ALONE(after_a_failed_bind_another_may_succeed),
    ALONE(another_family_is_einval),
    ALONE(a_length_without_a_family_or_beyond_the_structure_is_einval),
    ALONE(no_socket_is_ebadf_or_enotsock),
    ALONE(a_bad_address_is_efault),
    ALONE(the_path_is_an_inode_of_type_socket_with_the_mode_of_the_umask),
    ALONE(the_inode_can_be_given_another_mode),
    ALONE(the_inode_cannot_be_opened),
    ALONE(nothing_but_the_socket_is_left_in_the_directory),
};

CONTRACT_SUITE(addresses_bind, tests);
