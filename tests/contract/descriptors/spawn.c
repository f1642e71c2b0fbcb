/* Children that share this process's memory, or are made inside libc, and what they do to descriptors. */
#include "support/pair.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

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
    EVERY(a_forked_child_may_close_everything),
};

CONTRACT_SUITE(descriptors_spawn, tests);
