/*
 * Every interleaving, up to a number of preemptions, of the endpoints' own sends and receives over a channel and a kernel queue that is
 * made here, with its own length; with a handler that receives inside a receive, and with two receiving threads. After each:
 * every datagram came once, in order, and nothing is left while everybody sleeps. Threads are coroutines: what the library keeps for
 * each thread changes with them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/point.h"
#include "base/thread.h"
#include "endpoint/destinations.h"
#include "endpoint/life.h"
#include "endpoint/ownership.h"
#include "endpoint/receive.h"
#include "endpoint/scheduler.h"
#include "endpoint/send.h"
#include "platform/sys.h"
#include "runtime/frame.h"
#include "runtime/libc.h"
#include "runtime/names.h"
#include "support/channels.h"
#include "support/schedule.h"

#define SLOTS 4
#define SIZE 64
#define MOST 16
#define FIRST_THREAD 1000

static const struct hqq_rule rule = {
    .slots = SLOTS, .slot_size = SIZE, .spin_ns = 0, .link_after = 4, .polling = HQQ_POLLING_ALWAYS};

static struct channel_ends ends;
static struct hqq_endpoint *sender_end, *receiver_end;
static struct hqq_destination destination;
static int fds[2]; /* the sender's, the receiver's: names only, nothing goes through them */
static struct hqq_libc real;
static struct hqq_sys real_sys;

/* What a world begins with. */
static struct {
    enum hqq_notify state;
    int sends, queue_length;
    bool has_handler, hands_off;
} plan;

/* What goes on in it. */
static struct {
    unsigned char queue[MOST], got[MOST];
    unsigned first, last, count;
    int pending;
    bool has_handled, has_handed_off, may_handle;
} world;

/* ---- Threads ------------------------------------------------------------------------------------------------------- */

static struct hqq_frame *enter_scheduler(void)
{
    return hqq_frame_top;
}

static void leave_scheduler(struct hqq_frame *top)
{
    hqq_frame_top = top;
    if (schedule_actor() >= 0)
        hqq_thread_number = FIRST_THREAD + (uint32_t)schedule_actor();
}

static void step(const char *label)
{
    struct hqq_frame *top = enter_scheduler();
    schedule_step(label);
    leave_scheduler(top);
}

static void wait_until(const char *label, bool (*is_ready)(void))
{
    struct hqq_frame *top = enter_scheduler();
    schedule_wait(label, is_ready);
    leave_scheduler(top);
}

static bool is_lock_free(void)
{
    return (hqq_load32_relaxed(&receiver_end->receive_lock.word) & ~HQQ_LOCK_WANTED) == 0;
}

static int wait_for_lock(const void *word, uint32_t expected, uint64_t deadline_ns)
{
    (void)word;
    (void)expected;
    (void)deadline_ns;
    wait_until("lock", is_lock_free);
    return 0;
}

static int wake_nobody(const void *word, int count)
{
    (void)word;
    (void)count;
    return 0;
}

static int go_on(void)
{
    return 0;
}

/* ---- The kernel ----------------------------------------------------------------------------------------------------- */

static bool is_queue_filled(void)
{
    return world.first != world.last;
}

static bool has_queue_room(void)
{
    return world.last - world.first < (unsigned)plan.queue_length;
}

static bool is_all_there(void)
{
    return world.count == (unsigned)(plan.sends + plan.hands_off);
}

static bool is_filled_or_done(void)
{
    return is_queue_filled() || is_all_there();
}

static void deliver(int id)
{
    if (world.count == MOST)
        schedule_fail("more than was sent");
    else
        world.got[world.count++] = (unsigned char)id;
}

static ssize_t refuse(int error)
{
    errno = error;
    return -1;
}

/* To a name that no socket has: it is looked at, and not sent. */
static ssize_t push(const struct msghdr *message)
{
    if (message->msg_name)
        return refuse(ENOTDIR);
    if (!has_queue_room())
        return refuse(EAGAIN);
    world.queue[world.last++ % MOST] = *(unsigned char *)message->msg_iov[0].iov_base;
    return 1;
}

static ssize_t pop(struct msghdr *message)
{
    if (message->msg_iovlen > IOV_MAX)
        return refuse(EMSGSIZE);
    if (!is_queue_filled())
        return refuse(EAGAIN);
    unsigned char id = world.queue[world.first++ % MOST];
    deliver(id);
    *(unsigned char *)message->msg_iov[0].iov_base = id;
    message->msg_flags = 0;
    message->msg_controllen = 0;
    return 1;
}

static ssize_t fake_sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (fd != fds[0])
        return real.sendmsg(fd, message, flags);
    step("kernel: send");
    while (!has_queue_room())
        wait_until("kernel: full", has_queue_room);
    ssize_t result = push(message);
    step("kernel: sent");
    return result;
}

static ssize_t fake_recvmsg(int fd, struct msghdr *message, int flags)
{
    if (fd != fds[1])
        return real.recvmsg(fd, message, flags);
    if ((flags & MSG_DONTWAIT) == 0)
        wait_until("asleep", is_filled_or_done);
    return pop(message);
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

/* The raw calls that are made under a lock. */
static long fake_syscall(long number, ...)
{
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_recvmsg && a[0] == fds[1])
        return pop((struct msghdr *)a[1]); // NOLINT
    if (number == SYS_sendmsg && a[0] == fds[0])
        return push((const struct msghdr *)a[1]);                                  // NOLINT
    if (number == SYS_ppoll && a[1] == 1 && ((struct pollfd *)a[0])->fd == fds[1]) // NOLINT
        return is_queue_filled();
    return real.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- Actors ---------------------------------------------------------------------------------------------------------- */

static ssize_t receive(int flags)
{
    unsigned char byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    return hqq_receive(receiver_end, fds[1], &message, flags);
}

/* Others may go on at every label, and the first receiver's handler may run. What is taken is noted when it is. */
static void at_point(const char *label)
{
    if (strcmp(label, "channel.take") == 0)
        world.pending = *hqq_ring_buffer(&ends.receiver->rx, hqq_load_relaxed(hqq_ring_r(&ends.receiver->rx)));
    if (strcmp(label, "channel.taken") == 0)
        deliver(world.pending);
    if (strncmp(label, "consume.", strlen("consume.")) == 0)
        return;
    step(label);
    if (schedule_actor() == 0 && world.may_handle && plan.has_handler && !world.has_handled &&
        schedule_choose("handler")) {
        int pending = world.pending;
        world.has_handled = true;
        while (receive(MSG_DONTWAIT) >= 0) /* until there is nothing, as they do */
            ;
        world.pending = pending;
        step("handled");
    }
}

static void hand_off(void)
{
    ends.receiver->is_shared = true;
    hqq_scheduler_stop_all(receiver_end, HQQ_HANDOFF);
    world.has_handed_off = true;
}

static void receiver(void)
{
    leave_scheduler(NULL);
    world.may_handle = true;
    while (!is_all_there()) {
        receive(0);
        if (plan.hands_off && !world.has_handed_off && world.count > 0)
            hand_off();
    }
}

static bool has_handed_off(void)
{
    return world.has_handed_off;
}

static void send_one(unsigned char id)
{
    struct iovec part = {&id, 1};
    const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (hqq_send_message(sender_end, fds[0], &message, 0) != 1)
        schedule_fail("a send failed");
}

static void sender(void)
{
    leave_scheduler(NULL);
    for (int i = 0; i < plan.sends; i++)
        send_one((unsigned char)i);
    if (plan.hands_off) {
        wait_until("handed off", has_handed_off);
        send_one((unsigned char)plan.sends);
    }
}

/* ---- Around a run ------------------------------------------------------------------------------------------------------ */

static void reset(void)
{
    memset(&world, 0, sizeof(world));
    hqq_frame_top = NULL;
    channel_ends_reset(&ends, UINT64_MAX - 1, plan.state);
    hqq_store32_relaxed(&ends.sender->is_given_up, 0);
    hqq_channel_hold(ends.receiver);
    hqq_scheduler_remove(receiver_end, ends.receiver);
    hqq_scheduler_add(receiver_end, ends.receiver);
    receiver_end->head_is_noted = false;
    receiver_end->since_kernel_poll = receiver_end->burst = 0;
    receiver_end->frame = NULL;
    receiver_end->current = NULL;
    ends.receiver->noted_for = receiver_end->head_number;
    hqq_store32_relaxed(&receiver_end->in_kernel, 0);
    hqq_lock_reset(&receiver_end->receive_lock);
    hqq_lock_reset(&sender_end->send_lock);
    if (plan.state == HQQ_POLLING)
        hqq_scheduler_make_busy(receiver_end, ends.receiver);
    else
        hqq_tx_request_drain(ends.sender, 1);
    if (!destination.channel) {
        hqq_channel_hold(ends.sender);
        hqq_add32_relaxed(&sender_end->counters->links, 1);
    }
    destination = (struct hqq_destination){.is_connected = true,
                                           .rule = &rule,
                                           .progress = HQQ_PROGRESS_OPEN,
                                           .channel = ends.sender,
                                           .key_fd = -1,
                                           .stuck_r = UINT64_MAX,
                                           .name_length = sizeof(sa_family_t),
                                           .names_seen = hqq_load_relaxed(&hqq_names_changes)};
    sender_end->peer = &destination;
}

static const char *check(bool have_finished)
{
    bool seen[MOST] = {false};
    if (!have_finished)
        return "everybody sleeps, and not everything was delivered";
    if (!is_all_there())
        return "not everything was delivered";
    for (unsigned i = 0; i < world.count; i++) {
        unsigned char id = world.got[i];
        if (id >= MOST || seen[id])
            return "a datagram was delivered twice";
        /* a kernel send that had begun before the hand-off may stand before what is sent again */
        if (id > 0 && !seen[id - 1] && !plan.hands_off)
            return "a datagram overtook another";
        seen[id] = true;
    }
    return is_queue_filled() ? "the kernel's queue holds one that was delivered" : NULL;
}

static uint64_t explore(const char *name, void (*third)(void), int preemptions)
{
    const struct schedule schedule = {
        .reset = reset, .actor = {receiver, sender, third}, .check = check, .preemptions = preemptions};
    hqq_point_hook = at_point;
    uint64_t runs = schedule_explore(&schedule);
    hqq_point_hook = NULL;
    print_message("%s: %llu interleavings\n", name, (unsigned long long)runs);
    assert_true(runs > 10);
    return runs;
}

static int set_up(void **state)
{
    (void)state;
    ends = channel_ends_open(SLOTS, SIZE, 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    sender_end = hqq_endpoint_make(fds[0], &rule);
    receiver_end = hqq_endpoint_make(fds[1], &rule);
    assert_true(sender_end && receiver_end);
    ends.receiver->is_validated = true;
    hqq_scheduler_add(receiver_end, ends.receiver);
    hqq_store32_relaxed(&receiver_end->is_intercepted, 1);
    assert_true(hqq_ownership_claim(sender_end));
    real = hqq_libc;
    real_sys = hqq_sys;
    hqq_libc.sendmsg = fake_sendmsg;
    hqq_libc.recvmsg = fake_recvmsg;
    hqq_libc.sendto = fake_sendto;
    hqq_libc.syscall = fake_syscall;
    hqq_sys.futex_wait = wait_for_lock;
    hqq_sys.futex_wake = wake_nobody;
    hqq_sys.sched_yield = go_on;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_libc = real;
    hqq_sys = real_sys;
    sender_end->peer = NULL;
    close(fds[0]);
    close(fds[1]);
    return 0;
}

static void begin_plan(enum hqq_notify state, int sends)
{
    memset(&plan, 0, sizeof(plan));
    plan.state = state;
    plan.sends = sends;
    plan.queue_length = 10;
}

/* ---- Worlds ------------------------------------------------------------------------------------------------------------ */

static void sends_and_a_receive(void **state)
{
    (void)state;
    begin_plan(HQQ_POLLING, 1);
    explore("one send, polling", NULL, 6);
    assert_true(hqq_load_relaxed(&sender_end->counters->sent_ring) > 0);
    assert_true(hqq_load_relaxed(&sender_end->counters->withdrawn) > 0);
    begin_plan(HQQ_POLLING, 3);
    explore("three sends, polling", NULL, 3);
    begin_plan(HQQ_ARMED, 4);
    explore("four sends, armed", NULL, 3);
    begin_plan(HQQ_ARMED, 5);
    plan.queue_length = 1;
    explore("five sends, a queue of one", NULL, 3);
    begin_plan(HQQ_POLLING, 6);
    explore("six sends in a ring of four", NULL, 2);
}

static void a_handler_that_receives_inside_a_receive(void **state)
{
    (void)state;
    begin_plan(HQQ_POLLING, 1);
    plan.has_handler = true;
    explore("a handler, one send", NULL, 3);
    plan.sends = 3;
    explore("a handler, three sends", NULL, 2);
    plan.state = HQQ_ARMED;
    explore("a handler, three sends, armed", NULL, 2);
}

static void two_threads_that_receive(void **state)
{
    (void)state;
    begin_plan(HQQ_POLLING, 2);
    explore("two receivers, two sends", receiver, 2);
    plan.sends = 3;
    plan.state = HQQ_ARMED;
    explore("two receivers, three sends, armed", receiver, 2);
}

static void a_receiver_that_hands_off(void **state)
{
    (void)state;
    begin_plan(HQQ_POLLING, 3);
    plan.hands_off = true;
    explore("handed off", NULL, 3);
}

int main(void)
{
#ifdef HQQ_UNDER_TSAN
    const bool has_contexts = false; /* it does not follow them, and there is but one thread */
#else
    const bool has_contexts = true;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_and_a_receive),
        cmocka_unit_test(a_handler_that_receives_inside_a_receive),
        cmocka_unit_test(two_threads_that_receive),
        cmocka_unit_test(a_receiver_that_hands_off),
    };
    return has_contexts ? cmocka_run_group_tests(tests, set_up, tear_down) : 77;
}
