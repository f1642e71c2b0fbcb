/* Children that share this process's memory, or are made inside libc, and what they do to descriptors. */
#include "support/pair.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/clock.h"

static void check_both_ways(const struct pair *pair)
{
    for (int i = 0; i < 10; i++) {
        end_tell(&pair->far, &pair->near, "to me");
        end_hears(&pair->near, "to me");
        end_tell(&pair->near, &pair->far, "from me");
        end_hears(&pair->far, "from me");
    }
}

static void check_exit(pid_t child)
{
    int status = -1;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_vfork_child_may_close_the_socket(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 3; i++) {
        pid_t child = vfork();
        if (child == 0) {
            close(pair.near.fd);
            _exit(0);
        }
        check_exit(child);
        check_both_ways(&pair);
    }
}

static void a_vfork_child_may_close_everything(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 3; i++) {
        pid_t child = vfork();
        if (child == 0) {
            for (int fd = 0; fd < 2048; fd++)
                close(fd);
            close_range(0, ~0U, 0);
            execl("/bin/true", "true", (char *)NULL);
            _exit(1);
        }
        check_exit(child);
        check_both_ways(&pair);
    }
}

static void a_vfork_child_may_dup2_the_socket_and_onto_it(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = end_bound(NULL, 0);
    warm_up(&other, &pair.far);
    for (int i = 0; i < 3; i++) {
        pid_t child = vfork();
        if (child == 0) {
            dup2(pair.near.fd, 0);
            dup2(pair.near.fd, 1);
            dup2(other.fd, pair.near.fd);
            dup2(2, other.fd);
            execl("/bin/true", "true", (char *)NULL);
            _exit(1);
        }
        check_exit(child);
        check_both_ways(&pair);
        end_tell(&other, &pair.far, "other");
        end_hears(&pair.far, "other");
    }
}

static void a_vfork_child_may_send(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    for (int i = 0; i < 3; i++) {
        pid_t child = vfork();
        if (child == 0)
            _exit(send(pair.near.fd, "from the child", 14, 0) != 14);
        check_exit(child);
        end_hears(&pair.far, "from the child");
        check_both_ways(&pair);
    }
}

static void posix_spawn_may_close_and_dup2_anything(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char *const arguments[] = {(char[]){"true"}, NULL};
    posix_spawn_file_actions_t actions;
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, pair.near.fd, 0), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, 2, pair.near.fd), 0);
    assert_int_equal(posix_spawn_file_actions_addclose(&actions, pair.near.fd), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&actions, pair.near.fd, "/dev/null", O_RDONLY, 0), 0);
    assert_int_equal(posix_spawn_file_actions_addclosefrom_np(&actions, 3), 0);
    for (int i = 0; i < 3; i++) {
        pid_t child;
        assert_int_equal(posix_spawn(&child, "/bin/true", &actions, NULL, arguments, environ), 0);
        check_exit(child);
        check_both_ways(&pair);
    }
    posix_spawn_file_actions_destroy(&actions);
}

static void system_and_popen_leave_sockets_alone(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char line[16] = "";
    assert_int_equal(system("exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; true"), 0);
    check_both_ways(&pair);
    FILE *file = popen("echo hello", "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    assert_string_equal(line, "hello\n");
    assert_int_equal(pclose(file), 0);
    check_both_ways(&pair);
}

/* ---- Children that receive ----------------------------------------------------------------------------------------- */

static void start_by_system(const char *command)
{
    assert_int_equal(system(command), 0);
}

static void start_by_popen(const char *command)
{
    FILE *file = popen(command, "w");
    assert_non_null(file);
    assert_int_equal(pclose(file), 0);
}

static void start_by_posix_spawn(const char *command)
{
    char *const arguments[] = {(char[]){"sh"}, (char[]){"-c"}, strdup(command), NULL};
    pid_t child;
    assert_int_equal(posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ), 0);
    check_exit(child);
    free(arguments[2]);
}

static void start_by_vfork(const char *command)
{
    pid_t child = vfork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    check_exit(child);
}

static void (*const starts[])(const char *) = {start_by_system, start_by_popen, start_by_posix_spawn, start_by_vfork};

/* The last number that every shell can redirect from. */
#define SHELLS 9

/* The child has the socket as that number, whatever this process has there. */
static void start_with(void (*start)(const char *), const char *command, int fd)
{
    int before = fd != SHELLS ? fcntl(SHELLS, F_DUPFD_CLOEXEC, 100) : -1;
    int flags = fcntl(SHELLS, F_GETFD);
    assert_int_equal(dup2(fd, SHELLS), SHELLS);
    start(command);
    if (before >= 0) {
        assert_int_equal(dup3(before, SHELLS, flags & FD_CLOEXEC ? O_CLOEXEC : 0), SHELLS);
        assert_int_equal(close(before), 0);
    } else if (fd != SHELLS) {
        assert_int_equal(close(SHELLS), 0);
    }
}

/* In the background, so that this program can send: it reads so many datagrams from SHELLS. */
static void write_reader(char *command, size_t size, int count)
{
    snprintf(command, size, "timeout 10 dd bs=16 count=%d <&%d >%s/read 2>%s/said && mv %s/read %s/done &", count,
             SHELLS, contract_folder(), contract_folder(), contract_folder(), contract_folder());
}

/* What such a child has read when it is done. */
static void assert_read(const char *expected)
{
    char path[256], text[32] = "";
    snprintf(path, sizeof(path), "%s/done", contract_folder());
    int64_t until = clock_ms() + 15000;
    while (access(path, R_OK) != 0 && clock_ms() < until)
        usleep(1000);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    assert_string_equal(text, expected);
    fclose(file);
    assert_int_equal(unlink(path), 0);
}

/* The datagrams wait before the child is there; it reads them, and one more, which is sent while it waits. */
static void what_a_child_that_is_started_receives(void **state)
{
    (void)state;
    if (contract_is_limit_of_renaming("a program that is started with a socket is not noticed"))
        return;
    if (CONTRACT_ADDRESS_SANITIZER || CONTRACT_THREAD_SANITIZER)
        skip(); /* they do not bear what runs in the child: sh(1), timeout(1) and dd(1) */
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        char command[512];
        struct pair pair = pair_new(PAIR_PLAIN);
        end_tell(&pair.far, &pair.near, "one.");
        end_tell(&pair.far, &pair.near, "two.");
        end_tell(&pair.far, &pair.near, "six.");
        write_reader(command, sizeof(command), 4);
        start_with(starts[i], command, pair.near.fd);
        end_tell(&pair.far, &pair.near, "ten.");
        assert_read("one.two.six.ten.");
        assert_empty(pair.near.fd);
    }
}

/* The children of these have a duplicate as that number, of a socket that is to be closed on exec. */

static void duplicate_by_posix_spawn(const char *command, int fd)
{
    char *const arguments[] = {(char[]){"sh"}, (char[]){"-c"}, strdup(command), NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fd, SHELLS), 0);
    assert_int_equal(posix_spawn(&child, "/bin/sh", &actions, NULL, arguments, environ), 0);
    assert_int_equal(posix_spawn_file_actions_destroy(&actions), 0);
    check_exit(child);
    free(arguments[2]);
}

static void execute(const char *command)
{
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

static void duplicate_by_vfork(const char *command, int fd)
{
    pid_t child = vfork();
    if (child == 0) {
        if (fd == SHELLS)
            fcntl(fd, F_SETFD, 0);
        else
            dup2(fd, SHELLS);
        execute(command);
    }
    check_exit(child);
}

static void duplicate_by_fork(const char *command, int fd)
{
    pid_t child = fork();
    if (child == 0) {
        if (fd == SHELLS)
            fcntl(fd, F_SETFD, 0);
        else
            dup2(fd, SHELLS);
        execute(command);
    }
    check_exit(child);
}

static void (*const duplicates[])(const char *, int) = {duplicate_by_posix_spawn, duplicate_by_vfork,
                                                        duplicate_by_fork};

#define DUPLICATES (sizeof(duplicates) / sizeof(duplicates[0]))

static void what_a_child_with_a_duplicate_receives(void **state)
{
    (void)state;
    if (contract_is_limit_of_renaming("a program that is started with a socket is not noticed"))
        return;
    if (CONTRACT_ADDRESS_SANITIZER || CONTRACT_THREAD_SANITIZER)
        skip();
    for (size_t i = 0; i < DUPLICATES; i++) {
        char command[512];
        struct pair pair = pair_new(PAIR_PLAIN);
        assert_result(fcntl(pair.near.fd, F_SETFD, FD_CLOEXEC), 0);
        write_reader(command, sizeof(command), 2);
        duplicates[i](command, pair.near.fd);
        end_tell(&pair.far, &pair.near, "one.");
        end_tell(&pair.far, &pair.near, "two.");
        assert_read("one.two.");
        assert_empty(pair.near.fd);
    }
}

/* ---- Children that send -------------------------------------------------------------------------------------------- */

static void check_order(const struct pair *pair, void (*start)(const char *, int))
{
    char command[64];
    snprintf(command, sizeof(command), "printf child >&%d", SHELLS);
    for (int i = 0; i < 3; i++) {
        end_tell(&pair->near, &pair->far, "before");
        start(command, pair->near.fd);
        end_tell(&pair->near, &pair->far, "after");
        end_tell(&pair->near, &pair->far, "still after");
        end_hears(&pair->far, "before");
        end_hears(&pair->far, "child");
        end_hears(&pair->far, "after");
        end_hears(&pair->far, "still after");
    }
}

static void system_with(const char *command, int fd)
{
    start_with(start_by_system, command, fd);
}

static void what_children_send_comes_in_order(void **state)
{
    (void)state;
    if (contract_is_limit_of_renaming("a program that is started with a socket is not noticed"))
        return;
    if (CONTRACT_ADDRESS_SANITIZER || CONTRACT_THREAD_SANITIZER)
        skip();
    for (size_t i = 0; i <= DUPLICATES; i++) {
        struct pair pair = pair_new(NEAR_CONNECTS);
        assert_result(fcntl(pair.near.fd, F_SETFD, FD_CLOEXEC), 0);
        if (!pair.far.at)
            assert_result(fcntl(pair.far.fd, F_SETFD, FD_CLOEXEC), 0);
        check_order(&pair, i < DUPLICATES ? duplicates[i] : system_with);
    }
}

static void what_a_child_does_not_get_stays(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        struct pair pair = pair_new(PAIR_PLAIN);
        assert_result(fcntl(pair.near.fd, F_SETFD, FD_CLOEXEC), 0);
        end_tell(&pair.far, &pair.near, "one");
        end_tell(&pair.far, &pair.near, "two");
        starts[i](":");
        end_hears(&pair.near, "one");
        end_hears(&pair.near, "two");
        check_both_ways(&pair);
    }
}

static void a_forked_child_may_close_everything(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            close_range(0, ~0U, 0);
            _exit(0);
        }
        check_exit(child);
        check_both_ways(&pair);
    }
}

static const struct CMUnitTest tests[] = {
    EVERY(a_vfork_child_may_close_the_socket),
    EVERY(a_vfork_child_may_close_everything),
    EVERY(a_vfork_child_may_dup2_the_socket_and_onto_it),
    EVERY(a_vfork_child_may_send),
    EVERY(posix_spawn_may_close_and_dup2_anything),
    EVERY(system_and_popen_leave_sockets_alone),
    EVERY(what_a_child_that_is_started_receives),
    EVERY(what_a_child_with_a_duplicate_receives),
    EVERY(what_children_send_comes_in_order),
    EVERY(what_a_child_does_not_get_stays),
    EVERY(a_forked_child_may_close_everything),
};

CONTRACT_SUITE(descriptors_spawn, tests);
