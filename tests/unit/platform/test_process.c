/*
 * Identities and generations. Real children in every state in which a process can be, and texts of /proc/PID/stat made
 * by hand for what can't be had at will. Run with an argument, the program is one of the cases at the end of this file
 * that need a process in which nothing was called before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "platform/process.h"
#include "platform/sys.h"

#define PID_SHIFT 39
#define SKIPPED 77
#define THREADS 8

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static struct hqq_sys real;

static int restore_sys(void **state)
{
    (void)state;
    hqq_sys = real;
    return 0;
}

/* ---- Children ---------------------------------------------------------------------------------------------------- */

static int exit_status_of_pid(pid_t pid)
{
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static int exit_status_of(int (*run)(void))
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(run());
    return exit_status_of_pid(pid);
}

/* A child that has said who it is, and lives until it is let go: at the latest when this process ends. */
struct child {
    pid_t pid;
    uint64_t identity;
    int hold;
};

static int report_end, hold_end; /* in the child */

static void report_and_hold(void)
{
    char byte;
    uint64_t identity = hqq_process_self();
    if (write(report_end, &identity, sizeof(identity)) != sizeof(identity))
        _exit(1);
    while (read(hold_end, &byte, 1) < 0)
        ;
    _exit(0);
}

static struct child start_child(void (*prepare)(void))
{
    struct child child = {.pid = -1};
    int report[2], hold[2];
    assert_int_equal(pipe(report), 0);
    assert_int_equal(pipe(hold), 0);
    child.pid = fork();
    if (child.pid == 0) {
        close(hold[1]);
        report_end = report[1];
        hold_end = hold[0];
        if (prepare)
            prepare();
        report_and_hold();
    }
    close(report[1]);
    close(hold[0]);
    child.hold = hold[1];
    assert_true(child.pid > 0);
    assert_int_equal(read(report[0], &child.identity, sizeof(child.identity)), sizeof(child.identity));
    close(report[0]);
    return child;
}

/* Returns when the child is a zombie that nobody has reaped. */
static void kill_child(const struct child *child)
{
    siginfo_t info;
    assert_int_equal(kill(child->pid, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT), 0);
}

static void reap_child(const struct child *child)
{
    close(child->hold);
    assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
}

/* ---- This process ------------------------------------------------------------------------------------------------ */

static void an_identity_has_the_pid_above_39_bits_of_start_time(void **state)
{
    (void)state;
    uint64_t identity = hqq_process_self();
    assert_true(identity >> PID_SHIFT == (uint64_t)getpid());
    assert_true(identity << (64 - PID_SHIFT) != 0);
    assert_true(identity >> HQQ_PROCESS_BITS == 0);
}

static void the_process_itself_is_alive(void **state)
{
    (void)state;
    assert_false(hqq_process_is_dead(hqq_process_self()));
}

static int calls_made;

static int count_open(const char *path, int flags, mode_t mode)
{
    calls_made++;
    return real.open(path, flags, mode);
}

static void the_process_itself_is_looked_up_once(void **state)
{
    (void)state;
    uint64_t identity = hqq_process_self();
    calls_made = 0;
    hqq_sys.open = count_open;
    assert_true(hqq_process_self() == identity);
    assert_int_equal(calls_made, 0);
}

static void a_child_has_an_identity_of_its_own(void **state)
{
    (void)state;
    hqq_process_self(); /* looked up before the fork, and so inherited if it could be */
    struct child child = start_child(NULL);
    assert_true(child.identity >> PID_SHIFT == (uint64_t)child.pid);
    reap_child(&child);
}

static void *get_self(void *ret_identity)
{
    *(uint64_t *)ret_identity = hqq_process_self();
    return NULL;
}

static void all_threads_have_the_same_identity(void **state)
{
    (void)state;
    pthread_t thread;
    uint64_t identity = HQQ_PROCESS_UNKNOWN;
    assert_int_equal(pthread_create(&thread, NULL, get_self, &identity), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(identity == hqq_process_self());
}

/* ---- Alive or dead ----------------------------------------------------------------------------------------------- */

static void a_child_that_runs_is_alive(void **state)
{
    (void)state;
    struct child child = start_child(NULL);
    assert_false(hqq_process_is_dead(child.identity));
    reap_child(&child);
}

static void a_zombie_with_no_threads_is_dead(void **state)
{
    (void)state;
    struct child child = start_child(NULL);
    kill_child(&child);
    assert_true(hqq_process_is_dead(child.identity));
    reap_child(&child);
}

static void a_child_that_was_reaped_is_dead(void **state)
{
    (void)state;
    struct child child = start_child(NULL);
    kill_child(&child);
    reap_child(&child);
    assert_true(hqq_process_is_dead(child.identity));
}

static void a_process_of_the_same_pid_that_started_later_means_the_first_is_dead(void **state)
{
    (void)state;
    struct child child = start_child(NULL);
    assert_true(hqq_process_is_dead(child.identity - 1));
    assert_true(hqq_process_is_dead(child.identity + 1));
    reap_child(&child);
}

static void unknown_is_alive(void **state)
{
    (void)state;
    assert_false(hqq_process_is_dead(HQQ_PROCESS_UNKNOWN));
}

static void an_ill_formed_identity_is_alive(void **state)
{
    (void)state;
    uint64_t self = hqq_process_self();
    assert_false(hqq_process_is_dead(12345)); /* no pid */
    for (int bit = HQQ_PROCESS_BITS; bit < 64; bit++)
        assert_false(hqq_process_is_dead((self + 1) | UINT64_C(1) << bit));
    assert_false(hqq_process_is_dead(UINT64_MAX));
}

static void *thread_of_an_exited_leader(void *arg)
{
    (void)arg;
    report_and_hold();
    return NULL;
}

/* Leaves another thread to report and to hold. */
static void exit_the_leader(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, thread_of_an_exited_leader, NULL) != 0)
        _exit(1);
    syscall(SYS_exit, 0);
}

static char state_of(pid_t pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return '?';
    const char *line = fgets(text, sizeof(text), file);
    fclose(file);
    const char *comm_end = line ? strrchr(line, ')') : NULL;
    return comm_end ? comm_end[2] : '?';
}

static struct child start_child_without_leader(void)
{
    struct child child = start_child(exit_the_leader);
    while (state_of(child.pid) != 'Z')
        sched_yield();
    return child;
}

static void a_leader_that_exited_while_another_thread_runs_is_alive(void **state)
{
    (void)state;
    struct child child = start_child_without_leader();
    assert_false(hqq_process_is_dead(child.identity));
    reap_child(&child);
}

static void a_leader_that_exited_is_dead_once_its_threads_are(void **state)
{
    (void)state;
    struct child child = start_child_without_leader();
    kill_child(&child);
    assert_true(hqq_process_is_dead(child.identity));
    reap_child(&child);
}

static void take_a_misleading_name(void)
{
    prctl(PR_SET_NAME, "x) Z 1 (y) Z 1");
}

static void a_name_that_looks_like_a_state_does_not_kill(void **state)
{
    (void)state;
    struct child child = start_child(take_a_misleading_name);
    assert_true(child.identity >> PID_SHIFT == (uint64_t)child.pid);
    assert_false(hqq_process_is_dead(child.identity));
    reap_child(&child);
}

static void a_zombie_of_misleading_name_is_dead(void **state)
{
    (void)state;
    struct child child = start_child(take_a_misleading_name);
    kill_child(&child);
    assert_true(hqq_process_is_dead(child.identity));
    reap_child(&child);
}

/* ---- /proc made by hand ------------------------------------------------------------------------------------------ */

static char fake_text[2048];
static size_t fake_size;
static int fake_fd;

/* What belongs to another process than this one is faked. */
static int fake_open(const char *path, int flags, mode_t mode)
{
    int fd = real.open("/proc/self/stat", flags, mode);
    if (strcmp(path, "/proc/self/stat") != 0)
        fake_fd = fd;
    return fd;
}

static ssize_t fake_read(int fd, void *buffer, size_t size)
{
    if (fd != fake_fd)
        return real.read(fd, buffer, size);
    size_t count = fake_size < size ? fake_size : size;
    memcpy(buffer, fake_text, count);
    return (ssize_t)count;
}

static int fake_close(int fd)
{
    if (fd == fake_fd)
        fake_fd = -1;
    return real.close(fd);
}

static void use_fake_text(void)
{
    fake_fd = -1;
    fake_size = strlen(fake_text);
    hqq_sys.open = fake_open;
    hqq_sys.read = fake_read;
    hqq_sys.close = fake_close;
}

/* /proc/PID/stat of this process, were it in that state with so many threads and started when started says. */
static void fake(char state, const char *threads, const char *started)
{
    snprintf(fake_text, sizeof(fake_text), "%d (a b) %c 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 %s 0 %s 1 2 3\n",
             (int)getpid(), state, threads, started);
    use_fake_text();
}

static uint64_t this_pid_started(uint64_t start)
{
    return (uint64_t)getpid() << PID_SHIFT | start;
}

static void every_dead_state_without_threads_is_dead(void **state)
{
    (void)state;
    for (const char *c = "ZXx"; *c; c++) {
        fake(*c, "0", "1000");
        assert_true(hqq_process_is_dead(this_pid_started(1000)));
        fake(*c, "1", "1000");
        assert_true(hqq_process_is_dead(this_pid_started(1000)));
    }
}

static void every_dead_state_with_threads_is_alive(void **state)
{
    (void)state;
    for (const char *c = "ZXx"; *c; c++) {
        fake(*c, "2", "1000");
        assert_false(hqq_process_is_dead(this_pid_started(1000)));
    }
}

static void every_other_state_is_alive(void **state)
{
    (void)state;
    for (const char *c = "RSDTtWKPI"; *c; c++) {
        fake(*c, "1", "1000");
        assert_false(hqq_process_is_dead(this_pid_started(1000)));
    }
}

/* Started at another time, so that it would be dead if its text were believed. */
static void assert_text_is_not_believed(void)
{
    use_fake_text();
    assert_false(hqq_process_is_dead(this_pid_started(999)));
}

static void numbers_that_are_none_are_not_believed(void **state)
{
    (void)state;
    static const char *const numbers[] = {
        "-1", "x", "1x", "0x10", "+5", "18446744073709551616", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        fake('S', numbers[i], "1000");
        assert_text_is_not_believed();
        fake('S', "1", numbers[i]);
        assert_text_is_not_believed();
    }
}

static void a_text_that_was_cut_anywhere_up_to_the_start_time_is_not_believed(void **state)
{
    (void)state;
    fake('S', "1", "1000");
    assert_true(hqq_process_is_dead(this_pid_started(999)));
    size_t whole = (size_t)(strstr(fake_text, " 1000 ") - fake_text) + sizeof(" 1000") - 1;
    for (fake_size = 0; fake_size <= whole; fake_size++)
        assert_false(hqq_process_is_dead(this_pid_started(999)));
    fake_size = whole + 1;
    assert_true(hqq_process_is_dead(this_pid_started(999)));
}

static void a_text_of_another_pid_is_not_believed(void **state)
{
    (void)state;
    fake('S', "1", "1000");
    fake_text[0] = fake_text[0] == '9' ? '8' : (char)(fake_text[0] + 1);
    assert_text_is_not_believed();
}

static void a_text_of_another_shape_is_not_believed(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", ")", "(", " ", "1 (x)", "1 (x)\n", "1 (x) S\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        snprintf(fake_text, sizeof(fake_text), "%s", texts[i]);
        assert_text_is_not_believed();
    }
}

static int fail_open(const char *path, int flags, mode_t mode)
{
    (void)path, (void)flags, (void)mode;
    return -EMFILE;
}

static void who_cannot_be_read_is_alive(void **state)
{
    (void)state;
    struct child child = start_child(NULL);
    kill_child(&child);
    hqq_sys.open = fail_open;
    assert_false(hqq_process_is_dead(child.identity));
    reap_child(&child);
}

static void who_cannot_be_read_and_has_no_pid_is_dead(void **state)
{
    (void)state;
    struct child child = start_child(NULL);
    kill_child(&child);
    reap_child(&child);
    hqq_sys.open = fail_open;
    assert_true(hqq_process_is_dead(child.identity));
}

/* A child, because its parent has looked itself up. */
static int self_without_proc(void)
{
    hqq_sys.open = fail_open;
    if (hqq_process_self() != HQQ_PROCESS_UNKNOWN)
        return 1;
    hqq_sys.open = real.open;
    return hqq_process_self() >> PID_SHIFT == (uint64_t)getpid() ? 0 : 2;
}

static void who_cannot_read_proc_is_unknown_until_he_can(void **state)
{
    (void)state;
    assert_int_equal(exit_status_of(self_without_proc), 0);
}

static ssize_t fail_read(int fd, void *buffer, size_t size)
{
    (void)fd, (void)buffer, (void)size;
    return -EIO;
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static void a_failing_read_leaves_no_descriptor_open(void **state)
{
    (void)state;
    int before = open_descriptors();
    hqq_sys.read = fail_read;
    assert_false(hqq_process_is_dead(this_pid_started(999)));
    assert_int_equal(open_descriptors(), before);
}

/* ---- Namespaces -------------------------------------------------------------------------------------------------- */

static uint64_t namespace_of_parent;

/* Runs a child of this process in a new namespace of that kind; SKIPPED if there can be none. */
static int run_in_namespace(int kind, int (*run)(void))
{
    if (unshare(kind) != 0 && unshare(CLONE_NEWUSER | kind) != 0)
        return SKIPPED;
    return exit_status_of(run);
}

/* /proc still shows the outer namespace, in which pid 1 is somebody else. */
static int strangers_in_proc(void)
{
    if (hqq_process_self() != HQQ_PROCESS_UNKNOWN)
        return 1;
    if (hqq_process_is_dead(this_pid_started(1)))
        return 2;
    return hqq_process_namespace() != namespace_of_parent ? 0 : 3;
}

static int in_new_pid_namespace(void)
{
    return run_in_namespace(CLONE_NEWPID, strangers_in_proc);
}

static int other_namespace(void)
{
    return hqq_process_namespace() != namespace_of_parent ? 0 : 1;
}

static int in_new_time_namespace(void)
{
    return run_in_namespace(CLONE_NEWTIME, other_namespace);
}

static void assert_zero_or_skip(int status)
{
    if (status == SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

static void under_the_proc_of_another_namespace_nobody_is_known_or_dead(void **state)
{
    (void)state;
    namespace_of_parent = hqq_process_namespace();
    assert_zero_or_skip(exit_status_of(in_new_pid_namespace));
}

static void another_time_namespace_is_another_namespace(void **state)
{
    (void)state;
    namespace_of_parent = hqq_process_namespace();
    assert_zero_or_skip(exit_status_of(in_new_time_namespace));
}

static void a_child_has_the_namespace_of_its_parent(void **state)
{
    (void)state;
    namespace_of_parent = hqq_process_namespace();
    assert_true(namespace_of_parent != 0);
    assert_int_equal(exit_status_of(other_namespace), 1);
}

static int no_time_namespaces(const char *path, struct stat *ret_stat)
{
    return strstr(path, "time") ? -ENOENT : real.stat(path, ret_stat);
}

static void without_time_namespaces_the_pid_namespace_is_the_namespace(void **state)
{
    (void)state;
    struct stat stat;
    assert_int_equal(real.stat("/proc/self/ns/pid", &stat), 0);
    hqq_sys.stat = no_time_namespaces;
    assert_true(hqq_process_namespace() == stat.st_ino);
}

static int fail_stat(const char *path, struct stat *ret_stat)
{
    (void)path, (void)ret_stat;
    return -EACCES;
}

static void a_namespace_that_cannot_be_told_is_zero(void **state)
{
    (void)state;
    hqq_sys.stat = fail_stat;
    assert_true(hqq_process_namespace() == 0);
}

/* ---- Generations ------------------------------------------------------------------------------------------------- */

static uint64_t generation_of_parent;

static void a_generation_stays_the_same(void **state)
{
    (void)state;
    uint64_t generation = hqq_process_generation();
    assert_true(generation != 0);
    assert_true(hqq_process_generation() == generation);
    assert_true(hqq_process_is_generation(generation));
}

static void zero_and_other_numbers_are_not_the_generation(void **state)
{
    (void)state;
    uint64_t generation = hqq_process_generation();
    assert_false(hqq_process_is_generation(0));
    assert_false(hqq_process_is_generation(generation + 1));
}

static int is_another_generation(void)
{
    if (hqq_process_is_generation(generation_of_parent) || hqq_process_is_generation(0))
        return 1;
    uint64_t generation = hqq_process_generation();
    if (generation == 0 || generation == generation_of_parent || !hqq_process_is_generation(generation))
        return 2;
    return hqq_process_is_generation(generation_of_parent) ? 3 : 0;
}

static void a_forked_child_is_another_generation(void **state)
{
    (void)state;
    generation_of_parent = hqq_process_generation();
    assert_int_equal(exit_status_of(is_another_generation), 0);
    assert_true(hqq_process_is_generation(generation_of_parent));
}

static int child_of_another_generation(void)
{
    uint64_t grandparent = generation_of_parent;
    generation_of_parent = hqq_process_generation();
    int status = exit_status_of(is_another_generation);
    generation_of_parent = grandparent;
    return status == 0 ? exit_status_of(is_another_generation) : status;
}

static void a_grandchild_is_another_generation_than_both(void **state)
{
    (void)state;
    generation_of_parent = hqq_process_generation();
    assert_int_equal(exit_status_of(child_of_another_generation), 0);
}

static void a_child_that_ran_no_fork_handler_is_another_generation(void **state)
{
    (void)state;
    generation_of_parent = hqq_process_generation();
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        _exit(is_another_generation());
    assert_int_equal(exit_status_of_pid(pid), 0);
}

/* A child in this process's memory, as vfork() makes one, but on a stack of its own. */
static int exit_status_of_vfork(int (*run)(void *))
{
    static char stack[1 << 18] __attribute__((aligned(16)));
    return exit_status_of_pid(clone(run, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL));
}

static int is_same_generation(void *arg)
{
    (void)arg;
    return hqq_process_is_generation(generation_of_parent) && hqq_process_generation() == generation_of_parent ? 0 : 1;
}

static void a_vfork_child_is_the_same_generation(void **state)
{
    (void)state;
    generation_of_parent = hqq_process_generation();
    assert_int_equal(exit_status_of_vfork(is_same_generation), 0);
}

static int knows_itself(void *arg)
{
    (void)arg;
    return hqq_process_self() >> PID_SHIFT == (uint64_t)getpid() ? 0 : 1;
}

static void a_vfork_child_has_an_identity_of_its_own(void **state)
{
    (void)state;
    uint64_t identity = hqq_process_self();
    assert_int_equal(exit_status_of_vfork(knows_itself), 0);
    assert_true(hqq_process_self() == identity);
}

struct race {
    pthread_barrier_t start;
    uint64_t generations[THREADS];
    hqq_atomic_u32 next;
};

static void *ask_at_once(void *arg)
{
    struct race *race = arg;
    uint32_t index = hqq_add32_relaxed(&race->next, 1);
    pthread_barrier_wait(&race->start);
    race->generations[index] = hqq_process_generation();
    return NULL;
}

/* 0 if threads that all ask at once get the same number. */
static int race_for_generation(void)
{
    static struct race race;
    pthread_t threads[THREADS];
    pthread_barrier_init(&race.start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, ask_at_once, &race) != 0)
            return 1;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        if (race.generations[i] == 0 || race.generations[i] != race.generations[0])
            return 2;
    }
    return 0;
}

static void threads_that_ask_first_after_a_fork_get_the_same_generation(void **state)
{
    (void)state;
    hqq_process_generation();
    for (int i = 0; i < 20; i++)
        assert_int_equal(exit_status_of(race_for_generation), 0);
}

/* ---- Cases that need a process in which nothing was called before ------------------------------------------------ */

static hqq_atomic_u32 maps, unmaps;

static int count_mmap(void **ret_address, size_t length, int protection, int flags, int fd)
{
    hqq_add32_relaxed(&maps, 1);
    return real.mmap(ret_address, length, protection, flags, fd);
}

static int count_munmap(void *address, size_t length)
{
    hqq_add32_relaxed(&unmaps, 1);
    return real.munmap(address, length);
}

static uint32_t pages_kept(void)
{
    return hqq_load32_relaxed(&maps) - hqq_load32_relaxed(&unmaps);
}

static int case_threads_ask_first(void)
{
    hqq_sys.mmap = count_mmap;
    hqq_sys.munmap = count_munmap;
    int status = race_for_generation();
    return status == 0 && pages_kept() != 1 ? 3 : status;
}

static int refuse_madvise(void *address, size_t length, int advice)
{
    (void)address, (void)length, (void)advice;
    return -EINVAL;
}

static int case_no_wipe_on_fork(void)
{
    hqq_sys.mmap = count_mmap;
    hqq_sys.munmap = count_munmap;
    hqq_sys.madvise = refuse_madvise;
    if (hqq_process_generation() != 0 || hqq_process_is_generation(0))
        return 1;
    if (pages_kept() != 0)
        return 2;
    if (hqq_process_self() >> PID_SHIFT != (uint64_t)getpid())
        return 3;
    hqq_sys.madvise = real.madvise;
    return hqq_process_generation() != 0 ? 0 : 4;
}

static uint64_t generation_of_handler;

/* As a signal handler may, between two steps of the call that it interrupts. */
static int madvise_interrupted(void *address, size_t length, int advice)
{
    hqq_sys.madvise = real.madvise;
    generation_of_handler = hqq_process_generation();
    return real.madvise(address, length, advice);
}

static int case_handler_asks_meanwhile(void)
{
    hqq_sys.mmap = count_mmap;
    hqq_sys.munmap = count_munmap;
    hqq_sys.madvise = madvise_interrupted;
    uint64_t generation = hqq_process_generation();
    if (generation == 0 || generation != generation_of_handler)
        return 1;
    return pages_kept() == 1 ? 0 : 2;
}

static int case_vfork_child_asks_first(void)
{
    if (exit_status_of_vfork(knows_itself) != 0)
        return 1;
    return hqq_process_self() >> PID_SHIFT == (uint64_t)getpid() ? 0 : 2;
}

static pid_t forked_pid = -1;
static int generation_pipe[2];

/* Comes back in both processes: what it interrupted goes on in the child too. */
static void fork_once(void)
{
    if (forked_pid == -1 && pipe(generation_pipe) == 0)
        forked_pid = fork();
}

/* 0 if this process and the child of fork_once(), on the way if not before, get two generations. */
static int compare_with_forked_child(void)
{
    uint64_t of_child = 0;
    uint64_t generation = hqq_process_generation();
    if (forked_pid == 0) {
        bool sent = write(generation_pipe[1], &generation, sizeof(generation)) == sizeof(generation);
        _exit(sent && hqq_process_is_generation(generation) ? 0 : 1);
    }
    if (exit_status_of_pid(forked_pid) != 0)
        return 1;
    if (read(generation_pipe[0], &of_child, sizeof(of_child)) != sizeof(of_child))
        return 2;
    return generation != 0 && of_child != 0 && of_child != generation ? 0 : 3;
}

static int fork_after_mmap(void **ret_address, size_t length, int protection, int flags, int fd)
{
    int result = real.mmap(ret_address, length, protection, flags, fd);
    fork_once();
    return result;
}

static int fork_after_madvise(void *address, size_t length, int advice)
{
    int result = real.madvise(address, length, advice);
    fork_once();
    return result;
}

static bool is_fork_due;

/* In place of libc's: a process may be forked once it knows its pid, and before it has done anything with it. */
pid_t getpid(void)
{
    pid_t pid = (pid_t)syscall(SYS_getpid);
    if (is_fork_due) {
        is_fork_due = false;
        fork_once();
    }
    return pid;
}

static int case_fork_when_numbered(void)
{
    is_fork_due = true;
    return compare_with_forked_child();
}

static int case_fork_before_the_first_call(void)
{
    fork_once();
    return compare_with_forked_child();
}

static int case_fork_when_mapped(void)
{
    hqq_sys.mmap = fork_after_mmap;
    return compare_with_forked_child();
}

static int case_fork_when_marked(void)
{
    hqq_sys.madvise = fork_after_madvise;
    return compare_with_forked_child();
}

static const struct {
    const char *name;
    int (*run)(void);
} cases[] = {
    {"threads ask first", case_threads_ask_first},
    {"no wipe on fork", case_no_wipe_on_fork},
    {"handler asks meanwhile", case_handler_asks_meanwhile},
    {"vfork child asks first", case_vfork_child_asks_first},
    {"fork before the first call", case_fork_before_the_first_call},
    {"fork when mapped", case_fork_when_mapped},
    {"fork when marked", case_fork_when_marked},
    {"fork when numbered", case_fork_when_numbered},
};

static int run_case(const char *name)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(cases[i].name, name) == 0)
            return cases[i].run();
    }
    return 255;
}

static int exit_status_of_case(const char *name)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "test_process", name, (char *)NULL);
        _exit(254);
    }
    return exit_status_of_pid(pid);
}

static void threads_that_ask_first_get_one_generation_and_one_page(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(exit_status_of_case("threads ask first"), 0);
}

static void without_wipe_on_fork_there_is_no_generation_and_no_page(void **state)
{
    (void)state;
    assert_int_equal(exit_status_of_case("no wipe on fork"), 0);
}

static void a_handler_that_asks_meanwhile_gets_the_same_generation_and_page(void **state)
{
    (void)state;
    assert_int_equal(exit_status_of_case("handler asks meanwhile"), 0);
}

static void a_vfork_child_that_asks_first_leaves_its_parent_an_identity_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(exit_status_of_case("vfork child asks first"), 0);
}

static void parent_and_child_that_both_ask_after_the_fork_are_two_generations(void **state)
{
    (void)state;
    assert_int_equal(exit_status_of_case("fork before the first call"), 0);
}

static void a_fork_before_the_page_is_marked_makes_two_generations(void **state)
{
    (void)state;
    assert_int_equal(exit_status_of_case("fork when mapped"), 0);
}

static void a_fork_before_the_page_is_published_makes_two_generations(void **state)
{
    (void)state;
    assert_int_equal(exit_status_of_case("fork when marked"), 0);
}

static void a_fork_before_the_number_is_published_makes_two_generations(void **state)
{
    (void)state;
    assert_int_equal(exit_status_of_case("fork when numbered"), 0);
}

int main(int argc, char **argv)
{
    real = hqq_sys;
    if (argc > 1)
        return run_case(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_identity_has_the_pid_above_39_bits_of_start_time),
        cmocka_unit_test(the_process_itself_is_alive),
        cmocka_unit_test_teardown(the_process_itself_is_looked_up_once, restore_sys),
        cmocka_unit_test(a_child_has_an_identity_of_its_own),
        cmocka_unit_test(all_threads_have_the_same_identity),
        cmocka_unit_test(a_child_that_runs_is_alive),
        cmocka_unit_test(a_zombie_with_no_threads_is_dead),
        cmocka_unit_test(a_child_that_was_reaped_is_dead),
        cmocka_unit_test(a_process_of_the_same_pid_that_started_later_means_the_first_is_dead),
        cmocka_unit_test(unknown_is_alive),
        cmocka_unit_test(an_ill_formed_identity_is_alive),
        cmocka_unit_test(a_leader_that_exited_while_another_thread_runs_is_alive),
        cmocka_unit_test(a_leader_that_exited_is_dead_once_its_threads_are),
        cmocka_unit_test(a_name_that_looks_like_a_state_does_not_kill),
        cmocka_unit_test(a_zombie_of_misleading_name_is_dead),
        cmocka_unit_test_teardown(every_dead_state_without_threads_is_dead, restore_sys),
        cmocka_unit_test_teardown(every_dead_state_with_threads_is_alive, restore_sys),
        cmocka_unit_test_teardown(every_other_state_is_alive, restore_sys),
        cmocka_unit_test_teardown(numbers_that_are_none_are_not_believed, restore_sys),
        cmocka_unit_test_teardown(a_text_that_was_cut_anywhere_up_to_the_start_time_is_not_believed, restore_sys),
        cmocka_unit_test_teardown(a_text_of_another_pid_is_not_believed, restore_sys),
        cmocka_unit_test_teardown(a_text_of_another_shape_is_not_believed, restore_sys),
        cmocka_unit_test_teardown(who_cannot_be_read_is_alive, restore_sys),
        cmocka_unit_test_teardown(who_cannot_be_read_and_has_no_pid_is_dead, restore_sys),
        cmocka_unit_test(who_cannot_read_proc_is_unknown_until_he_can),
        cmocka_unit_test_teardown(a_failing_read_leaves_no_descriptor_open, restore_sys),
        cmocka_unit_test(under_the_proc_of_another_namespace_nobody_is_known_or_dead),
        cmocka_unit_test(another_time_namespace_is_another_namespace),
        cmocka_unit_test(a_child_has_the_namespace_of_its_parent),
        cmocka_unit_test_teardown(without_time_namespaces_the_pid_namespace_is_the_namespace, restore_sys),
        cmocka_unit_test_teardown(a_namespace_that_cannot_be_told_is_zero, restore_sys),
        cmocka_unit_test(a_generation_stays_the_same),
        cmocka_unit_test(zero_and_other_numbers_are_not_the_generation),
        cmocka_unit_test(a_forked_child_is_another_generation),
        cmocka_unit_test(a_grandchild_is_another_generation_than_both),
        cmocka_unit_test(a_child_that_ran_no_fork_handler_is_another_generation),
        cmocka_unit_test(a_vfork_child_is_the_same_generation),
        cmocka_unit_test(a_vfork_child_has_an_identity_of_its_own),
        cmocka_unit_test(threads_that_ask_first_after_a_fork_get_the_same_generation),
        cmocka_unit_test(threads_that_ask_first_get_one_generation_and_one_page),
        cmocka_unit_test(without_wipe_on_fork_there_is_no_generation_and_no_page),
        cmocka_unit_test(a_handler_that_asks_meanwhile_gets_the_same_generation_and_page),
        cmocka_unit_test(a_vfork_child_that_asks_first_leaves_its_parent_an_identity_of_its_own),
        cmocka_unit_test(parent_and_child_that_both_ask_after_the_fork_are_two_generations),
        cmocka_unit_test(a_fork_before_the_page_is_marked_makes_two_generations),
        cmocka_unit_test(a_fork_before_the_page_is_published_makes_two_generations),
        cmocka_unit_test(a_fork_before_the_number_is_published_makes_two_generations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
