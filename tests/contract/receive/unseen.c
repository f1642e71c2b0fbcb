/* Reads of which only the kernel, or libc inside, knows: they get what a receive would. */
#include "support/pair.h"

#include <aio.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAPACITY 64

static bool is_for_preload_only(void)
{
    return contract_is_limit_of_renaming("a read that is none of the renamed calls is not noticed");
}

/* ---- Into a pipe -------------------------------------------------------------------------------------------------- */

struct ends {
    int out, in;
};

static struct ends new_pipe(int flags)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC | flags), 0);
    return (struct ends){own(fds[0]), own(fds[1])};
}

static ssize_t by_splice(int fd, int pipe, size_t length)
{
    return splice(fd, NULL, pipe, NULL, length, 0);
}

static ssize_t by_bare_splice(int fd, int pipe, size_t length)
{
    return syscall(SYS_splice, fd, NULL, pipe, NULL, length, 0);
}

static ssize_t by_sendfile(int fd, int pipe, size_t length)
{
    return sendfile(pipe, fd, NULL, length);
}

static ssize_t by_bare_sendfile(int fd, int pipe, size_t length)
{
    return syscall(SYS_sendfile, pipe, fd, NULL, length);
}

static ssize_t (*const moves[])(int, int, size_t) = {by_splice, by_bare_splice, by_sendfile, by_bare_sendfile};

#define MOVES (sizeof(moves) / sizeof(moves[0]))

static void assert_piped(int out, const char *text)
{
    char data[CAPACITY];
    ssize_t length = read(out, data, sizeof(data));
    assert_int_equal(length, strlen(text));
    assert_memory_equal(data, text, strlen(text));
}

static void a_move_into_a_pipe_takes_one_datagram(void **state)
{
    (void)state;
    if (is_for_preload_only())
        return;
    struct ends pipe = new_pipe(0);
    struct pair pair = pair_new(PAIR_PLAIN);
    for (size_t i = 0; i < MOVES; i++) {
        end_tell(&pair.far, &pair.near, "one");
        end_tell(&pair.far, &pair.near, "twelve");
        end_tell(&pair.far, &pair.near, "");
        end_tell(&pair.far, &pair.near, "three");
        assert_revents(pair.near.fd, POLLIN, POLLIN);
        assert_result(moves[i](pair.near.fd, pipe.in, CAPACITY), 3);
        assert_piped(pipe.out, "one");
        assert_result(moves[i](pair.near.fd, pipe.in, 2), 2); /* the rest of it is lost */
        assert_piped(pipe.out, "tw");
        assert_result(moves[i](pair.near.fd, pipe.in, CAPACITY), 0);
        end_hears(&pair.near, "three");
        assert_empty(pair.near.fd);
    }
}

static void a_move_is_cut_where_the_pipe_is_full(void **state)
{
    (void)state;
    if (is_for_preload_only())
        return;
    char page[8192], data[3 * 4096];
    struct ends pipe = new_pipe(0);
    struct pair pair = pair_new(PAIR_PLAIN);
    memset(page, 'p', sizeof(page));
    memset(data, 'd', sizeof(data));
    long size = fcntl(pipe.in, F_SETPIPE_SZ, 4 * 4096);
    assert_result(write(pipe.in, page, sizeof(page)), sizeof(page));
    for (size_t i = 0; i < MOVES; i++) {
        assert_result(end_send(&pair.far, &pair.near.address, data, sizeof(data), 0), sizeof(data));
        end_tell(&pair.far, &pair.near, "next");
        long room = size - (long)sizeof(page);
        assert_result(moves[i](pair.near.fd, pipe.in, 1 << 20), room);
        assert_result(read(pipe.out, data, sizeof(page)), sizeof(page));
        assert_result(read(pipe.out, page, sizeof(page)), room);
        assert_int_equal(page[0], 'd');
        assert_result(write(pipe.in, page, sizeof(page)), sizeof(page));
        memset(data, 'd', sizeof(data));
        end_hears(&pair.near, "next");
    }
}

static void a_move_that_fails_leaves_the_datagram(void **state)
{
    (void)state;
    if (is_for_preload_only())
        return;
    struct pair pair = pair_new(PAIR_PLAIN); /* first: the other process is to have no end of a pipe */
    struct ends pipe = new_pipe(O_NONBLOCK), broken = new_pipe(0), empty = new_pipe(0);
    char byte = 'x';
    while (write(pipe.in, &byte, 1) == 1)
        ;
    let_go(broken.out);
    signal(SIGPIPE, SIG_IGN);
    off_t offset = 0;
    for (size_t i = 0; i < MOVES; i++) {
        end_tell(&pair.far, &pair.near, "stays");
        assert_error(moves[i](pair.near.fd, pipe.in, CAPACITY), EAGAIN);
        assert_error(moves[i](pair.near.fd, broken.in, CAPACITY), EPIPE);
        assert_error(moves[i](pair.near.fd, pipe.out, CAPACITY), EBADF);
        assert_error(moves[i](pair.near.fd, -1, CAPACITY), EBADF);
        assert_error(moves[i](pair.near.fd, pair.far.at ? pair.near.fd : pair.far.fd, CAPACITY), EINVAL);
        assert_result(moves[i](pair.near.fd, empty.in, 0), 0);
        assert_error(splice(pair.near.fd, NULL, pipe.in, NULL, CAPACITY, 0x80), EINVAL);
        assert_error(splice(pair.near.fd, NULL, pipe.in, &offset, CAPACITY, 0), ESPIPE);
        assert_error(splice(pair.near.fd, NULL, pipe.in, NULL, CAPACITY, SPLICE_F_NONBLOCK), EAGAIN);
    }
    signal(SIGPIPE, SIG_DFL);
    for (size_t i = 0; i < MOVES; i++)
        end_hears(&pair.near, "stays");
    assert_result(fcntl(pair.near.fd, F_SETFL, O_NONBLOCK), 0);
    for (size_t i = 0; i < MOVES; i++)
        assert_error(moves[i](pair.near.fd, empty.in, CAPACITY), EAGAIN);
}

/* As in a process that locks its memory, and has used its allowance up. */
static void a_move_needs_no_memory(void **state)
{
    (void)state;
    if (is_for_preload_only())
        return;
    if (CONTRACT_ADDRESS_SANITIZER || CONTRACT_THREAD_SANITIZER)
        skip(); /* they need some */
    struct ends pipe = new_pipe(0);
    for (size_t i = 0; i < MOVES; i++) {
        struct pair pair = pair_new(PAIR_PLAIN);
        struct rlimit before, none;
        end_tell(&pair.far, &pair.near, "one");
        end_tell(&pair.far, &pair.near, "two");
        assert_result(getrlimit(RLIMIT_AS, &before), 0);
        none = before;
        none.rlim_cur = 0;
        assert_result(setrlimit(RLIMIT_AS, &none), 0);
        ssize_t moved = moves[i](pair.near.fd, pipe.in, CAPACITY);
        assert_result(setrlimit(RLIMIT_AS, &before), 0);
        assert_int_equal(moved, 3);
        assert_piped(pipe.out, "one");
        end_hears(&pair.near, "two");
        assert_empty(pair.near.fd);
    }
}

static long job_splice(struct job *job)
{
    ssize_t result = splice(job->fd, NULL, job->number, NULL, CAPACITY, 0);
    return result < 0 ? -errno : result;
}

static void a_move_waits_for_a_datagram(void **state)
{
    (void)state;
    if (is_for_preload_only())
        return;
    struct ends pipe = new_pipe(0);
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 3; i++) {
        struct job *job = job_new(NULL);
        job->fd = pair.near.fd;
        job->number = pipe.in;
        struct task *task = task_asleep(NULL, job_splice, job);
        end_tell(&pair.far, &pair.near, "late");
        assert_int_equal(task_finish(task), 4);
        assert_piped(pipe.out, "late");
        warm_up(&pair.near, &pair.far); /* it has remained what it was */
    }
}

/* ---- Inside libc -------------------------------------------------------------------------------------------------- */

/* Each reads three datagrams of three bytes. */

static void read_by_aio(int fd, char *text)
{
    for (int i = 0; i < 3; i++) {
        struct aiocb operation = {.aio_fildes = fd, .aio_buf = text + (ptrdiff_t)3 * i, .aio_nbytes = 3};
        const struct aiocb *const awaited[1] = {&operation};
        const struct timespec patience = {.tv_sec = 5};
        assert_int_equal(aio_read(&operation), 0);
        assert_int_equal(aio_suspend(awaited, 1, &patience), 0);
        assert_int_equal(aio_return(&operation), 3);
    }
}

static void read_by_lio_listio(int fd, char *text)
{
    for (int i = 0; i < 3; i++) {
        struct aiocb operation = {
            .aio_fildes = fd, .aio_buf = text + (ptrdiff_t)3 * i, .aio_nbytes = 3, .aio_lio_opcode = LIO_READ};
        struct aiocb *const list[1] = {&operation};
        assert_int_equal(lio_listio(LIO_WAIT, list, 1, NULL), 0);
        assert_int_equal(aio_return(&operation), 3);
    }
}

static void read_by_stdio(int fd, char *text)
{
    FILE *stream = fdopen(dup(fd), "r");
    assert_non_null(stream);
    assert_int_equal(setvbuf(stream, NULL, _IONBF, 0), 0);
    for (int i = 0; i < 9; i += 3)
        assert_int_equal(fread(text + i, 1, 3, stream), 3);
    fclose(stream);
}

/* As with inetd. */
static void read_as_standard_input(int fd, char *text)
{
    int before = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 100);
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    FILE *child = popen("dd bs=3 count=3 2>/dev/null", "r");
    assert_non_null(child);
    assert_int_equal(fread(text, 1, 9, child), 9);
    assert_int_equal(pclose(child), 0);
    if (before >= 0) {
        assert_int_equal(dup2(before, STDIN_FILENO), STDIN_FILENO);
        close(before);
    } else {
        close(STDIN_FILENO);
    }
}

static void (*const reads[])(int, char *) = {read_by_aio, read_by_lio_listio, read_by_stdio, read_as_standard_input};

/* dd(1) makes an error of its own that AddressSanitizer ends it for. */
#define READS (sizeof(reads) / sizeof(reads[0]) - CONTRACT_ADDRESS_SANITIZER)

static void what_is_read_unseen_is_what_waits(void **state)
{
    (void)state;
    if (is_for_preload_only())
        return;
    for (size_t i = 0; i < READS; i++) {
        char text[10] = "";
        struct pair pair = pair_new(i % 2 == 0 ? PAIR_PLAIN : PAIR_ABSTRACT);
        end_tell(&pair.far, &pair.near, "one");
        end_tell(&pair.far, &pair.near, "two");
        end_tell(&pair.far, &pair.near, "six");
        end_tell(&pair.far, &pair.near, "and on");
        assert_revents(pair.near.fd, POLLIN, POLLIN);
        reads[i](pair.near.fd, text);
        assert_string_equal(text, "onetwosix");
        end_hears(&pair.near, "and on");
        for (int n = 0; n < 20; n++) {
            end_tell(&pair.far, &pair.near, "later");
            end_tell(&pair.far, &pair.near, "still later");
            end_hears(&pair.near, "later");
            end_hears(&pair.near, "still later");
        }
        assert_empty(pair.near.fd);
    }
}

/* Flags that have no meaning here, so that the kernel has what is sent with them, behind what a ring may hold. */
static void what_is_read_unseen_comes_in_order(void **state)
{
    (void)state;
    if (is_for_preload_only())
        return;
    for (size_t i = 0; i < READS; i++) {
        char text[10] = "";
        struct pair pair = pair_new(PAIR_PLAIN);
        end_tell(&pair.far, &pair.near, "one");
        end_tell(&pair.far, &pair.near, "two");
        assert_result(end_send(&pair.far, &pair.near.address, "six", 3, MSG_EOR), 3);
        assert_result(end_send(&pair.far, &pair.near.address, "and on", 6, MSG_EOR), 6);
        end_tell(&pair.far, &pair.near, "last");
        reads[i](pair.near.fd, text);
        assert_string_equal(text, "onetwosix");
        end_hears(&pair.near, "and on");
        end_hears(&pair.near, "last");
        assert_empty(pair.near.fd);
    }
}

/* As much as the kernel's queue has room for. */
static void nothing_that_is_read_unseen_is_lost(void **state)
{
    (void)state;
    if (is_for_preload_only())
        return;
    for (size_t i = 0; i < READS; i++) {
        char text[10] = "";
        struct pair pair = pair_new(PAIR_PLAIN);
        int count = 0;
        char number[8];
        for (; count < 11; count++) {
            snprintf(number, sizeof(number), "%03d", count);
            if (end_send(&pair.far, &pair.near.address, number, 3, MSG_DONTWAIT) != 3)
                break;
        }
        reads[i](pair.near.fd, text);
        assert_string_equal(text, "000001002");
        for (int n = 3; n < count; n++) {
            snprintf(number, sizeof(number), "%03d", n);
            end_hears(&pair.near, number);
        }
        end_tell(&pair.far, &pair.near, "next");
        end_hears(&pair.near, "next");
        assert_empty(pair.near.fd);
    }
}

/* ---- Sends -------------------------------------------------------------------------------------------------------- */

static void send_by_sendfile(int fd, const char *text)
{
    int file = own(open(contract_folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    assert_int_equal(write(file, text, 3), 3);
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    assert_result(sendfile(fd, file, NULL, 3), 3);
    let_go(file);
}

static void send_by_splice(int fd, const char *text)
{
    struct ends pipe = new_pipe(0);
    assert_int_equal(write(pipe.in, text, 3), 3);
    assert_result(splice(pipe.out, NULL, fd, NULL, 3, 0), 3);
    let_go(pipe.in);
    let_go(pipe.out);
}

static void send_by_aio(int fd, const char *text)
{
    char data[4];
    struct aiocb operation = {.aio_fildes = fd, .aio_buf = data, .aio_nbytes = 3};
    const struct aiocb *const awaited[1] = {&operation};
    memcpy(data, text, 3);
    assert_int_equal(aio_write(&operation), 0);
    assert_int_equal(aio_suspend(awaited, 1, NULL), 0);
    assert_int_equal(aio_return(&operation), 3);
}

static void (*const sends[])(int, const char *) = {send_by_sendfile, send_by_splice, send_by_aio};

static void what_is_sent_unseen_comes_in_order(void **state)
{
    (void)state;
    if (is_for_preload_only())
        return;
    for (size_t i = 0; i < sizeof(sends) / sizeof(sends[0]); i++) {
        struct pair pair = pair_new(NEAR_CONNECTS);
        end_tell(&pair.far, &pair.near, "unread");
        for (int n = 0; n < 3; n++) {
            end_tell(&pair.near, &pair.far, "one");
            sends[i](pair.near.fd, "two");
            end_tell(&pair.near, &pair.far, "six");
            end_hears(&pair.far, "one");
            end_hears(&pair.far, "two");
            end_hears(&pair.far, "six");
        }
        end_hears(&pair.near, "unread");
    }
}

static const struct CMUnitTest tests[] = {
    EVERY(a_move_into_a_pipe_takes_one_datagram), EVERY(a_move_is_cut_where_the_pipe_is_full),
    EVERY(a_move_that_fails_leaves_the_datagram), EVERY(a_move_needs_no_memory),
    EVERY(a_move_waits_for_a_datagram),           EVERY(what_is_read_unseen_is_what_waits),
    EVERY(what_is_read_unseen_comes_in_order),    EVERY(nothing_that_is_read_unseen_is_lost),
    EVERY(what_is_sent_unseen_comes_in_order),
};

CONTRACT_SUITE(receive_unseen, tests);
