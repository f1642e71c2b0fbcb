/* Counters in memory that others can read, of this process and of its children; and what happens where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/sys.h"
#include "platform/trace.h"
#include "runtime/config.h"
#include "runtime/counters.h"
#include "support/child.h"

/* Each test runs in a child: counters are made once in a process. Exit status 0 is success, else the line. */
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

static char folder[] = "/tmp/hqq-test-counters.XXXXXX";

/* The descriptor of this process that is such a memfd; -1 if none, -2 if several. */
static int find_memfd(void)
{
    int found = -1;
    for (int fd = 0; fd < 1200; fd++) {
        char path[64], target[128];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof(target) - 1);
        if (length < 0)
            continue;
        target[length] = '\0';
        if (strstr(target, "memfd:" HQQ_COUNTERS_MEMFD))
            found = found == -1 ? fd : -2;
    }
    return found;
}

static int read_word(int fd, size_t offset, uint64_t *ret_word)
{
    return pread(fd, ret_word, sizeof(*ret_word), (off_t)offset) == (ssize_t)sizeof(*ret_word) ? 0 : -1;
}

static uint64_t word_at(int fd, size_t offset)
{
    uint64_t word = 0;
    return read_word(fd, offset, &word) == 0 ? word : UINT64_MAX;
}

/* ---- Where they are ---------------------------------------------------------------------------------------------- */

static int is_found_from_outside(void *unused)
{
    (void)unused;
    struct hqq_counters_head *head = hqq_counters_head();
    int fd = find_memfd();
    CHECK(fd >= 900 && fd == hqq_counters_fd());
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(hqq_counters_head() == head);
    CHECK(word_at(fd, offsetof(struct hqq_counters_head, magic)) == HQQ_COUNTERS_MAGIC);
    CHECK(word_at(fd, offsetof(struct hqq_counters_head, bytes)) == sizeof(*head));
    CHECK(word_at(fd, offsetof(struct hqq_counters_head, pid)) == (uint64_t)getpid());
    CHECK(word_at(fd, offsetof(struct hqq_counters_head, started_ns)) > 0);
    CHECK(strlen(head->command) > 0 && strchr(head->command, '\n') == NULL);

    struct hqq_counters *entry = hqq_counters_take();
    CHECK(entry == &head->entry[0]);
    hqq_count_own(&entry->sent_ring, 5);
    CHECK(word_at(fd, offsetof(struct hqq_counters_head, entry) + offsetof(struct hqq_counters, sent_ring)) == 5);
    CHECK(ftruncate(fd, 0) != 0 && errno == EPERM);
    return 0;
}

static void counters_are_found_from_outside(void **state)
{
    (void)state;
    assert_int_equal(child_run(is_found_from_outside, NULL), 0);
}

static int lies_in_a_report(void *unused)
{
    (void)unused;
    char path[128];
    snprintf(path, sizeof(path), "%s/%ld", folder, (long)getpid());
    close(open(path, O_CREAT | O_WRONLY, 0600)); /* as of a program before an exec */
    setenv("HQQ_REPORT", folder, 1);
    hqq_config_load(true);
    struct hqq_counters_head *head = hqq_counters_head();
    CHECK(find_memfd() == -1 && hqq_counters_fd() == -1);
    hqq_count_own(&hqq_counters_take()->sent_kernel, 3);
    CHECK(hqq_load_relaxed(&head->magic) == HQQ_COUNTERS_MAGIC);

    struct stat stat_buffer;
    CHECK(stat(path, &stat_buffer) == 0 && stat_buffer.st_size == 0);
    unlink(path);
    strcat(path, ".1");
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    CHECK(word_at(fd, offsetof(struct hqq_counters_head, pid)) == (uint64_t)getpid());
    CHECK(word_at(fd, offsetof(struct hqq_counters_head, entry) + offsetof(struct hqq_counters, sent_kernel)) == 3);
    unlink(path);
    return 0;
}

static void a_report_folder_has_a_file_of_the_pid(void **state)
{
    (void)state;
    assert_int_equal(child_run(lies_in_a_report, NULL), 0);
}

static int report_cannot_be_made(void *unused)
{
    (void)unused;
    setenv("HQQ_REPORT", "/nonexistent", 1);
    hqq_config_load(true);
    hqq_counters_head();
    CHECK(find_memfd() >= 0);
    return 0;
}

static void without_a_report_there_is_a_memfd(void **state)
{
    (void)state;
    assert_int_equal(child_run(report_cannot_be_made, NULL), 0);
}

/* ---- Where there is no memory ------------------------------------------------------------------------------------ */

static int counts_unseen(void)
{
    struct hqq_counters_head *head = hqq_counters_head();
    CHECK(head && find_memfd() == -1 && hqq_counters_fd() == -1);
    for (int i = 0; i < HQQ_COUNTERS_ENTRIES + 2; i++) {
        struct hqq_counters *entry = hqq_counters_take();
        CHECK(entry);
        hqq_count_own(&entry->suspended, 1);
    }
    return 0;
}

static int file_size_is_limited(void *unused)
{
    (void)unused;
    struct rlimit limit = {4096, 4096};
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0); /* beyond it: SIGXFSZ */
    return counts_unseen();
}

/* All that a program has are its own: not one is taken, neither to keep nor from what it may still open. */
static int few_descriptors(void *limited)
{
    const rlim_t *most = limited;
    struct rlimit limit = {*most, *most};
    int before = dup(0);
    CHECK(before > 2 && close(before) == 0);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(counts_unseen() == 0);
    CHECK(dup(0) == before);
    return 0;
}

static int some_descriptors(void *limited)
{
    const rlim_t *most = limited;
    struct rlimit limit = {*most, *most};
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    close(0);
    hqq_counters_head();
    CHECK(find_memfd() >= (int)*most - 64 && find_memfd() < (int)*most);
    return 0;
}

static void a_low_limit_of_descriptors_is_no_obstacle(void **state)
{
    (void)state;
    rlim_t most[] = {8, 32, 128, 129, 900};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(child_run(few_descriptors, &most[i]), 0);
    for (size_t i = 3; i < 5; i++)
        assert_int_equal(child_run(some_descriptors, &most[i]), 0);
}

static int no_memfd(const char *name, unsigned flags)
{
    (void)name, (void)flags;
    return -EMFILE;
}

static int memfd_fails(void *unused)
{
    (void)unused;
    hqq_sys.memfd_create = no_memfd;
    return counts_unseen();
}

static int no_madvise(void *address, size_t length, int advice)
{
    (void)address, (void)length, (void)advice;
    return -ENOMEM;
}

static int allocation_fails(void *unused)
{
    (void)unused;
    hqq_counters_head(); /* the page of platform/process.h, and ours */
    struct hqq_counters_head *head = hqq_counters_head();
    hqq_sys.madvise = no_madvise;
    int count = 0;
    while (count < HQQ_COUNTERS_ENTRIES) {
        struct hqq_counters *entry = hqq_counters_take();
        if (entry < head->entry || entry >= head->entry + HQQ_COUNTERS_ENTRIES)
            break;
        count++;
    }
    CHECK(count > 0 && count < HQQ_COUNTERS_ENTRIES);
    hqq_counters_end(&head->entry[3]);
    CHECK(hqq_counters_take() == &head->entry[3]);
    return 0;
}

static int old_kernel_madvise(void *address, size_t length, int advice)
{
    (void)address, (void)length;
    return advice == 23 ? -EINVAL : 0;
}

static int kernel_is_old(void *unused)
{
    (void)unused;
    hqq_sys.madvise = old_kernel_madvise;
    struct hqq_counters_head *head = hqq_counters_head();
    struct stat stat_buffer;
    CHECK(fstat(find_memfd(), &stat_buffer) == 0);
    CHECK((uint64_t)stat_buffer.st_blocks * 512 >= sizeof(*head));
    for (int i = 0; i < HQQ_COUNTERS_ENTRIES; i++)
        CHECK(hqq_counters_take() == &head->entry[i]);
    return 0;
}

static void without_memory_the_app_notices_nothing(void **state)
{
    (void)state;
    assert_int_equal(child_run(file_size_is_limited, NULL), 0);
    assert_int_equal(child_run(memfd_fails, NULL), 0);
    assert_int_equal(child_run(allocation_fails, NULL), 0);
    assert_int_equal(child_run(kernel_is_old, NULL), 0);
}

/* ---- Entries ----------------------------------------------------------------------------------------------------- */

static int entries_are_reused_last(void *unused)
{
    (void)unused;
    struct hqq_counters_head *head = hqq_counters_head();
    struct hqq_counters *first = hqq_counters_take();
    hqq_count_own(&first->trials, 9);
    hqq_counters_end(first);
    CHECK(hqq_load32_relaxed(&first->state) == HQQ_COUNTERS_CLOSED);
    for (int i = 1; i < HQQ_COUNTERS_ENTRIES; i++)
        CHECK(hqq_counters_take() == &head->entry[i]);
    CHECK(hqq_load_relaxed(&first->trials) == 9);
    CHECK(hqq_counters_take() == first);
    CHECK(hqq_load_relaxed(&first->trials) == 0);
    CHECK(hqq_load32_relaxed(&first->state) == HQQ_COUNTERS_LIVE);

    struct hqq_counters *shared = hqq_counters_take();
    CHECK(shared && (shared < head->entry || shared >= head->entry + HQQ_COUNTERS_ENTRIES));
    CHECK(hqq_counters_take() == shared);
    hqq_counters_end(shared);
    hqq_counters_end(&head->entry[500]);
    hqq_counters_end(&head->entry[400]);
    hqq_store32_relaxed(&head->entry[700].state, HQQ_COUNTERS_FREE);
    CHECK(hqq_counters_take() == &head->entry[400]);
    CHECK(hqq_counters_take() == &head->entry[500]);
    CHECK(hqq_counters_take() == &head->entry[700]);
    CHECK(hqq_counters_take() == shared);
    return 0;
}

static void an_entry_is_reused_when_all_were_used(void **state)
{
    (void)state;
    assert_int_equal(child_run(entries_are_reused_last, NULL), 0);
}

#define THREADS 4
#define EACH (HQQ_COUNTERS_ENTRIES / THREADS)

static void *take_many(void *arg)
{
    struct hqq_counters **taken = arg;
    for (int i = 0; i < EACH; i++)
        taken[i] = hqq_counters_take();
    return NULL;
}

static int compare_pointers(const void *one, const void *other)
{
    uintptr_t a = (uintptr_t) * (struct hqq_counters *const *)one;
    uintptr_t b = (uintptr_t) * (struct hqq_counters *const *)other;
    return a < b ? -1 : a > b;
}

static int threads_take(void *unused)
{
    (void)unused;
    static struct hqq_counters *taken[THREADS * EACH];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, take_many, &taken[i * EACH]) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    qsort(taken, THREADS * EACH, sizeof(taken[0]), compare_pointers);
    for (int i = 1; i < THREADS * EACH; i++)
        CHECK(taken[i] != taken[i - 1]);
    CHECK(find_memfd() >= 0);
    return 0;
}

static void threads_that_begin_at_once_take_different_entries(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(child_run(threads_take, NULL), 0);
}

/* ---- Children ---------------------------------------------------------------------------------------------------- */

static int counts_for_itself(void *arg)
{
    struct hqq_counters *entry = arg;
    struct hqq_counters_head *head = hqq_counters_head();
    int fd = find_memfd();
    CHECK(fd >= 900 && fd == hqq_counters_fd());
    CHECK(word_at(fd, offsetof(struct hqq_counters_head, pid)) == (uint64_t)getpid());
    CHECK(hqq_load_relaxed(&head->pid) == (uint64_t)getpid());
    CHECK(hqq_load32_relaxed(&entry->state) == HQQ_COUNTERS_LIVE);
    CHECK(hqq_load32_relaxed(&entry->fd) == 7 && memcmp(entry->bound, "/x", 2) == 0);
    CHECK(hqq_load_relaxed(&entry->sent_ring) == 0);
    hqq_count_own(&entry->sent_ring, 100);
    CHECK(hqq_log_level() == HQQ_LOG_ERROR);
    hqq_log_set_level(HQQ_LOG_DEBUG);
    struct hqq_counters *other = hqq_counters_take();
    CHECK(other != entry && hqq_load32_relaxed(&other->state) == HQQ_COUNTERS_LIVE);
    return 0;
}

static int child_of_a_child(void *arg)
{
    CHECK(counts_for_itself(arg) == 0);
    hqq_log_set_level(HQQ_LOG_ERROR);
    return child_run(counts_for_itself, arg);
}

static int forks(void *unused)
{
    (void)unused;
    struct hqq_counters *closed = hqq_counters_take(), *entry = hqq_counters_take();
    hqq_counters_end(closed);
    hqq_store32_relaxed(&entry->fd, 7);
    memcpy(entry->bound, "/x", 2);
    hqq_store32_relaxed(&entry->bound_length, 2);
    hqq_count_own(&entry->sent_ring, 5);
    hqq_log_set_level(HQQ_LOG_ERROR);
    CHECK(child_run(child_of_a_child, entry) == 0);
    CHECK(hqq_load_relaxed(&entry->sent_ring) == 5);
    CHECK(hqq_log_level() == HQQ_LOG_ERROR);
    CHECK(word_at(find_memfd(), offsetof(struct hqq_counters_head, pid)) == (uint64_t)getpid());
    return 0;
}

static void a_child_counts_in_memory_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(child_run(forks, NULL), 0);
}

static int takes_anew(void *arg)
{
    const int *left = arg;
    int rest = *left - 1;
    struct hqq_counters *entry = hqq_counters_take();
    hqq_store_relaxed(&entry->cookie, 99);
    int live = 0;
    for (int i = 0; i < HQQ_COUNTERS_ENTRIES; i++)
        live += hqq_load32_relaxed(&hqq_counters_head()->entry[i].state) == HQQ_COUNTERS_LIVE;
    CHECK(live <= 2);
    return rest > 0 ? child_run(takes_anew, &rest) : 0;
}

static void entries_that_each_child_takes_anew_do_not_pile_up(void **state)
{
    (void)state;
    int generations = 20;
    assert_int_equal(child_run(takes_anew, &generations), 0);
}

static int counts_unseen_in_the_child(void *arg)
{
    struct hqq_counters *entry = arg;
    hqq_sys.memfd_create = no_memfd;
    hqq_counters_head();
    CHECK(find_memfd() == -1);
    hqq_count_own(&entry->sent_ring, 100);
    CHECK(hqq_counters_take() != NULL);
    return 0;
}

static int child_finds_no_memory(void *unused)
{
    (void)unused;
    struct hqq_counters *entry = hqq_counters_take();
    hqq_count_own(&entry->sent_ring, 5);
    CHECK(child_run(counts_unseen_in_the_child, entry) == 0);
    CHECK(hqq_load_relaxed(&entry->sent_ring) == 5);
    return 0;
}

static void a_child_without_memory_leaves_its_parent_s_alone(void **state)
{
    (void)state;
    assert_int_equal(child_run(child_finds_no_memory, NULL), 0);
}

static int spares_the_app_s_file(void *unused)
{
    (void)unused;
    int fd = hqq_counters_fd();
    CHECK(dup2(0, fd) == fd); /* behind our back */
    hqq_counters_head();
    CHECK(fcntl(fd, F_GETFD) >= 0);
    CHECK(find_memfd() >= 0 && find_memfd() != fd);
    return 0;
}

static int forks_for_reuse(void *unused)
{
    (void)unused;
    hqq_counters_head();
    return child_run(spares_the_app_s_file, NULL);
}

static void a_child_closes_no_file_that_took_the_number(void **state)
{
    (void)state;
    assert_int_equal(child_run(forks_for_reuse, NULL), 0);
}

/* ---- The log level ----------------------------------------------------------------------------------------------- */

static int level_is_changed_from_outside(void *unused)
{
    (void)unused;
    static const uint32_t debug = HQQ_LOG_DEBUG;
    hqq_log_set_level(HQQ_LOG_WARN);
    CHECK(hqq_load32_relaxed(&hqq_counters_head()->log_level) == HQQ_LOG_WARN);
    CHECK(!hqq_log_is_on(HQQ_LOG_DEBUG));
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", hqq_counters_fd());
    int fd = open(path, O_WRONLY);
    CHECK(pwrite(fd, &debug, sizeof(debug), offsetof(struct hqq_counters_head, log_level)) == sizeof(debug));
    CHECK(hqq_log_is_on(HQQ_LOG_DEBUG) && hqq_log_level() == HQQ_LOG_DEBUG);
    return 0;
}

static void the_log_level_can_be_changed_from_outside(void **state)
{
    (void)state;
    assert_int_equal(child_run(level_is_changed_from_outside, NULL), 0);
}

static int stderr_is_gone(void *unused)
{
    (void)unused;
    int pipe_ends[2];
    CHECK(pipe(pipe_ends) == 0 && dup2(pipe_ends[1], 2) == 2);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    errno = 77;
    hqq_complain("nobody listens"); /* SIGPIPE would end this process */
    return errno == 77 ? 0 : 1;
}

static void a_closed_pipe_for_stderr_does_not_end_the_app(void **state)
{
    (void)state;
    assert_int_equal(child_run(stderr_is_gone, NULL), 0);
}

static int set_up(void **state)
{
    (void)state;
    setenv("HQQ_CONFIG", "/dev/null", 1);
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_are_found_from_outside),
        cmocka_unit_test(a_report_folder_has_a_file_of_the_pid),
        cmocka_unit_test(without_a_report_there_is_a_memfd),
        cmocka_unit_test(a_low_limit_of_descriptors_is_no_obstacle),
        cmocka_unit_test(without_memory_the_app_notices_nothing),
        cmocka_unit_test(an_entry_is_reused_when_all_were_used),
        cmocka_unit_test(threads_that_begin_at_once_take_different_entries),
        cmocka_unit_test(a_child_counts_in_memory_of_its_own),
        cmocka_unit_test(entries_that_each_child_takes_anew_do_not_pile_up),
        cmocka_unit_test(a_child_without_memory_leaves_its_parent_s_alone),
        cmocka_unit_test(a_child_closes_no_file_that_took_the_number),
        cmocka_unit_test(the_log_level_can_be_changed_from_outside),
        cmocka_unit_test(a_closed_pipe_for_stderr_does_not_end_the_app),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
