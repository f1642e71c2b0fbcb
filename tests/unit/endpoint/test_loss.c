/*
 * A receiver that does not read, and then is gone: what its sender owes it, what is lost with it, and what is not. The kernel
 * is made here: queues of a length, a name that somebody has or nobody, and a process that is there or not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "endpoint/destinations.h"
#include "endpoint/life.h"
#include "endpoint/ownership.h"
#include "endpoint/scheduler.h"
#include "endpoint/send.h"
#include "platform/sys.h"
#include "runtime/libc.h"
#include "runtime/names.h"
#include "support/channels.h"

#define SLOTS 64
#define SIZE 64
#define LENGTH 11 /* of the kernel's queue, and so of the window */
#define MOST 256

static const struct hqq_rule rule = {
    .slots = SLOTS, .slot_size = SIZE, .spin_ns = 0, .link_after = 1000, .polling = HQQ_POLLING_ALWAYS};

static struct channel_ends ends;
static struct hqq_endpoint *endpoint;
static struct hqq_destination *destination;
static int fds[2];
static struct hqq_libc real;
static struct hqq_sys real_sys;
static char path[] = "/tmp/hqq-loss-XXXXXX"; /* of the file that is taken for the socket's */

static struct {
    unsigned char queue[MOST];
    int count;
    bool is_there; /* somebody has the name */
    int error;     /* of long datagrams, and of none else */
    bool is_alive; /* the process that had the ring */
} kernel;

/* ---- The kernel -------------------------------------------------------------------------------------------------- */

/* To another name, which no socket has, it is looked at, and not sent. */
static ssize_t push(const struct msghdr *message)
{
    const struct sockaddr_un *name = message->msg_name;
    if (name && strcmp(name->sun_path, path) != 0)
        return -ENOTDIR;
    if (!kernel.is_there)
        return -ECONNREFUSED;
    if (kernel.error != 0 && message->msg_iov[0].iov_len > 1)
        return kernel.error;
    if (kernel.count == LENGTH)
        return -EAGAIN;
    kernel.queue[kernel.count++] = *(unsigned char *)message->msg_iov[0].iov_base;
    return 1;
}

static ssize_t fake_sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (fd != fds[0])
        return real.sendmsg(fd, message, flags);
    ssize_t result = push(message);
    errno = result < 0 ? (int)-result : errno;
    return result < 0 ? -1 : result;
}

static ssize_t fake_sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to,
                           socklen_t to_length)
{
    union {
        const void *in;
        void *out;
    } constless = {.in = data};
    struct iovec part = {.iov_base = constless.out, .iov_len = length};
    const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    return fd == fds[0] ? fake_sendmsg(fd, &message, flags) : real.sendto(fd, data, length, flags, to, to_length);
}

static long fake_syscall(long number, ...)
{
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long); /* NOLINT(clang-analyzer-valist.Uninitialized): va_start() is above */
    va_end(list);
    if (number == SYS_sendmsg && a[0] == fds[0]) {
        ssize_t result = push((const struct msghdr *)a[1]); // NOLINT
        errno = result < 0 ? (int)-result : errno;
        return result < 0 ? -1 : result;
    }
    return real.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static int fake_kill(pid_t pid, int signal)
{
    (void)pid;
    (void)signal;
    return kernel.is_alive ? 0 : -ESRCH;
}

/* ---- The sender -------------------------------------------------------------------------------------------------- */

static ssize_t send_one(int id)
{
    unsigned char byte = (unsigned char)id;
    struct sockaddr_un name = destination->name;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (!destination->is_connected) {
        message.msg_name = &name;
        message.msg_namelen = destination->name_length;
    }
    return hqq_send_message(endpoint, fds[0], &message, MSG_DONTWAIT);
}

/* Until it is refused. Returns how many went. */
static int send_all(int from)
{
    int id = from;
    while (id < MOST && send_one(id) == 1)
        id++;
    return id - from;
}

static void pause_a_moment(void)
{
    const struct timespec moment = {.tv_nsec = 2000000};
    nanosleep(&moment, NULL);
}

/* The receiver's process ends, and its socket with it. */
static void end_receiver(void)
{
    kernel.is_alive = kernel.is_there = false;
    kernel.count = 0;
    pause_a_moment();
}

static void assert_queue(int from, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(kernel.queue[i], from + i);
}

static int set_up(bool is_connected)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, path, sizeof(path));
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    memset(&kernel, 0, sizeof(kernel));
    kernel.is_there = kernel.is_alive = true;
    ends = channel_ends_open(SLOTS, SIZE, 5);
    channel_ends_reset(&ends, 5, HQQ_POLLING);
    ends.sender->tx.least_window = ends.sender->tx.window = LENGTH;
    ends.sender->tx.grown_r = ends.sender->tx.settled_r = 5;
    destination = calloc(1, sizeof(*destination));
    assert_non_null(destination);
    *destination = (struct hqq_destination){.is_connected = is_connected,
                                            .rule = &rule,
                                            .progress = HQQ_PROGRESS_OPEN,
                                            .channel = ends.sender,
                                            .key_fd = -1,
                                            .stuck_r = UINT64_MAX,
                                            .name = name,
                                            .name_length = length,
                                            .names_seen = hqq_load_relaxed(&hqq_names_changes)};
    assert_true(hqq_identity_look_up(path, &destination->inode));
    hqq_channel_hold(ends.sender);
    hqq_add32_relaxed(&endpoint->counters->links, 1);
    endpoint->peer = is_connected ? destination : NULL;
    endpoint->last = is_connected ? NULL : destination;
    return 0;
}

static int set_up_by_name(void **state)
{
    (void)state;
    return set_up(false);
}

static int set_up_connected(void **state)
{
    (void)state;
    return set_up(true);
}

static int tear_down(void **state)
{
    (void)state;
    if (destination->channel)
        hqq_destination_begin_anew(endpoint, destination);
    endpoint->peer = endpoint->last = NULL;
    free(destination);
    channel_ends_close(&ends);
    return 0;
}

/* ---- Cases ------------------------------------------------------------------------------------------------------- */

static void a_sender_is_refused_where_the_kernel_would_refuse_it(void **state)
{
    (void)state;
    assert_int_equal(send_all(0), LENGTH + LENGTH); /* the ring's, then the kernel's own */
    assert_int_equal(send_one(0), -EAGAIN);
    assert_int_equal(hqq_tx_depth(ends.sender), LENGTH);
    assert_queue(LENGTH, LENGTH);
}

static void what_the_kernel_would_not_have_taken_is_not_lost(void **state)
{
    (void)state;
    assert_int_equal(send_all(0), 2 * LENGTH);
    end_receiver();
    for (int i = 0; i < 3; i++)
        assert_int_equal(send_one(100), -ECONNREFUSED);
    kernel.is_there = true;
    assert_int_equal(send_one(100), -EAGAIN); /* the ring's LENGTH have filled the queue */
    assert_int_equal(kernel.count, LENGTH);
    assert_queue(0, LENGTH);
    kernel.count = 0;
    assert_int_equal(send_one(101), 1);
    assert_queue(101, 1);
}

static void what_the_kernel_would_have_lost_is_lost(void **state)
{
    (void)state;
    for (int i = 0; i < LENGTH; i++)
        assert_int_equal(send_one(i), 1);
    assert_int_equal(hqq_tx_depth(ends.sender), LENGTH);
    end_receiver();
    assert_int_equal(send_one(100), -ECONNREFUSED);
    kernel.is_there = true;
    assert_int_equal(send_one(101), 1);
    assert_int_equal(kernel.count, 1);
    assert_queue(101, 1);
}

/* It is there before the sender has noticed: another file of the same name. */
static void who_has_the_name_since_gets_what_the_kernel_would_not_have_taken(void **state)
{
    (void)state;
    for (int i = 0; i < 15; i++) /* as in a stream */
        assert_int_equal(channel_ends_send(&ends, 1, (unsigned char)i), HQQ_TX_SENT);
    assert_int_equal(hqq_tx_depth(ends.sender), 15);
    end_receiver();
    kernel.is_there = true;
    destination->inode.number++;
    assert_int_equal(send_one(15), 1);
    assert_int_equal(kernel.count, 15 - LENGTH + 1);
    assert_queue(LENGTH, kernel.count);
}

static void it_is_not_kept_for_long(void **state)
{
    (void)state;
    assert_int_equal(send_all(0), 2 * LENGTH);
    end_receiver();
    assert_int_equal(send_one(100), -ECONNREFUSED);
    assert_int_equal(destination->progress, HQQ_PROGRESS_RESENDING);
    destination->keep_until_ns = 1;
    assert_int_equal(send_one(100), -ECONNREFUSED);
    assert_int_equal(destination->progress, HQQ_PROGRESS_NONE);
    kernel.is_there = true;
    assert_int_equal(send_one(101), 1);
    assert_queue(101, 1);
}

/* SO_SNDBUF is smaller now than when it was sent, say. */
static void an_error_of_its_own_is_not_the_next_one_s(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * LENGTH; i++)
        assert_int_equal(channel_ends_send(&ends, 2, (unsigned char)i), HQQ_TX_SENT);
    kernel.is_alive = false;
    kernel.error = -EMSGSIZE;
    pause_a_moment();
    assert_int_equal(send_one(100), 1);
    assert_queue(100, 1);
    assert_int_equal(destination->progress, HQQ_PROGRESS_NONE);
}

static void a_connected_sender_is_told_at_once_and_nothing_is_kept(void **state)
{
    (void)state;
    assert_int_equal(send_all(0), 2 * LENGTH);
    end_receiver();
    assert_int_equal(send_one(100), -ECONNREFUSED);
    assert_int_equal(destination->progress, HQQ_PROGRESS_NONE);
    assert_int_equal(send_one(101), -ECONNREFUSED);
}

/* A socket that outlives the process that received on it has its queue still. */
static void a_socket_that_lives_on_gets_all_of_it(void **state)
{
    (void)state;
    for (int i = 0; i < LENGTH - 1; i++)
        assert_int_equal(send_one(i), 1);
    kernel.is_alive = false;
    pause_a_moment();
    assert_int_equal(send_one(LENGTH - 1), 1);
    assert_int_equal(kernel.count, LENGTH);
    assert_queue(0, LENGTH);
}

static int begin(void **state)
{
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    endpoint = hqq_endpoint_make(fds[0], &rule);
    assert_non_null(endpoint);
    assert_true(hqq_ownership_claim(endpoint));
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    real = hqq_libc;
    real_sys = hqq_sys;
    hqq_libc.sendmsg = fake_sendmsg;
    hqq_libc.sendto = fake_sendto;
    hqq_libc.syscall = fake_syscall;
    hqq_sys.kill = fake_kill;
    return 0;
}

static int end(void **state)
{
    (void)state;
    hqq_libc = real;
    hqq_sys = real_sys;
    close(fds[0]);
    close(fds[1]);
    return unlink(path);
}

#define BY_NAME(name) cmocka_unit_test_setup_teardown(name, set_up_by_name, tear_down)
#define CONNECTED(name) cmocka_unit_test_setup_teardown(name, set_up_connected, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BY_NAME(a_sender_is_refused_where_the_kernel_would_refuse_it),
        CONNECTED(a_sender_is_refused_where_the_kernel_would_refuse_it),
        BY_NAME(what_the_kernel_would_not_have_taken_is_not_lost),
        BY_NAME(what_the_kernel_would_have_lost_is_lost),
        BY_NAME(who_has_the_name_since_gets_what_the_kernel_would_not_have_taken),
        BY_NAME(it_is_not_kept_for_long),
        BY_NAME(an_error_of_its_own_is_not_the_next_one_s),
        CONNECTED(a_connected_sender_is_told_at_once_and_nothing_is_kept),
        BY_NAME(a_socket_that_lives_on_gets_all_of_it),
        CONNECTED(a_socket_that_lives_on_gets_all_of_it),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
