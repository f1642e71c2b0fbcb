/*
 * Every interleaving, in small worlds, of a sender that publishes, looks and withdraws or takes the kernel; a receiver that polls,
 * peeks, takes, drains, arms and sleeps; a handler that receives inside it; a stop; a second receiving thread. After each: every
 * datagram was delivered once, by ring or kernel queue, in order, and nothing is left while everybody sleeps.
 *
 * The receiver here is the smallest that keeps the rules; the endpoint's own is tested beside it, in unit/endpoint.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/point.h"
#include "support/channels.h"
#include "support/schedule.h"

#define SLOTS 4
#define SIZE 64
#define QUEUE 16

static struct channel_ends ends;

/* What a world begins with. */
static struct {
    enum hqq_notify state;
    uint64_t counter;
    int sends; /* of each sending thread */
    int senders;
    bool has_handler;     /* that receives, once, anywhere in a receive */
    bool may_not_poll;    /* the bet is lost, or somebody sleeps unseen */
    enum hqq_notify stop; /* after the first datagram; POLLING: never */
    int slots;            /* of a datagram */
} plan;

/* What goes on in it. */
static struct {
    unsigned char queue[QUEUE];
    unsigned first, last;
    unsigned char got[QUEUE];
    unsigned count;
    bool send_lock;
    bool is_busy, head_is_noted, has_handled, is_stopped, is_handed_off;
    uint64_t noted;
    int pending;     /* about to be taken from the ring */
    int lock_holder; /* of receiving, an actor; -1: free */
    int in_kernel;
} world;

static void reset(void)
{
    channel_ends_reset(&ends, plan.counter, plan.state);
    memset(&world, 0, sizeof(world));
    world.is_busy = plan.state == HQQ_POLLING;
    world.lock_holder = -1;
    if (plan.state != HQQ_POLLING) /* what it sent before went through the kernel */
        hqq_tx_request_drain(ends.sender, 1);
}

/* ---- The kernel's queue ------------------------------------------------------------------------------------------ */

static bool is_queue_filled(void)
{
    return world.first != world.last;
}

static void push(unsigned char id)
{
    if (world.last == QUEUE)
        schedule_fail("the kernel's queue is full");
    else
        world.queue[world.last++] = id;
}

/* ---- Sending ------------------------------------------------------------------------------------------------------ */

static void send_through_kernel(unsigned char id)
{
    schedule_step("kernel: send");
    push(id);
    schedule_step("kernel: sent");
    hqq_tx_request_drain(ends.sender, 1);
}

static bool send_through_ring(unsigned char id)
{
    static unsigned char bytes[SLOTS * SIZE];
    struct hqq_channel *channel = ends.sender;
    uint64_t slots = (uint64_t)plan.slots, position = hqq_tx_position(channel);
    const struct iovec part = {bytes, plan.slots == 1 ? 1 : slots * SIZE};
    if (!hqq_tx_is_open(channel) || !hqq_tx_has_room(channel, slots))
        return false;
    memset(bytes, id, sizeof(bytes));
    hqq_tx_fill(channel, position, &part, 1, part.iov_len, false);
    return hqq_tx_publish(channel, position, position + slots) == HQQ_TX_SENT;
}

/* Who does not get the lock uses the kernel. What nobody will read is sent again first. */
static void send_datagram(unsigned char id)
{
    schedule_step("send");
    if (world.send_lock) {
        send_through_kernel(id);
        return;
    }
    world.send_lock = true;
    struct hqq_unread unread;
    while (hqq_channel_peer_state(ends.sender) == HQQ_HANDOFF && hqq_tx_claim(ends.sender, &unread)) {
        struct iovec parts[2];
        hqq_tx_parts(ends.sender, &unread, parts);
        schedule_step("send: again");
        push(*(unsigned char *)parts[0].iov_base);
        hqq_tx_release(ends.sender, &unread);
    }
    bool is_sent = send_through_ring(id);
    world.send_lock = false;
    if (!is_sent)
        send_through_kernel(id);
}

static void send_all(unsigned char base)
{
    for (int i = 0; i < plan.sends; i++)
        send_datagram((unsigned char)(base + i));
}

static bool has_handed_off(void)
{
    return world.is_handed_off;
}

static void sender(void)
{
    send_all(0x10);
    if (plan.stop == HQQ_HANDOFF) { /* what is left in the ring comes with the next send, and not earlier */
        schedule_wait("handed off", has_handed_off);
        send_datagram((unsigned char)(0x10 + plan.sends));
    }
}

static void second_sender(void)
{
    send_all(0x20);
}

/* ---- Receiving ---------------------------------------------------------------------------------------------------- */

struct frame {
    struct frame *below;
    bool is_spoilt;
};

static struct frame *innermost;

#define NOTHING (-1)
#define SPOILT (-2)

static bool may_poll(void)
{
    return !plan.may_not_poll && !world.is_stopped && world.in_kernel == 0;
}

/* In the order in which they are taken: what a handler takes after that, and delivers earlier, comes later natively, too. */
static void deliver(int id)
{
    if (world.count == QUEUE)
        schedule_fail("more than was sent");
    else
        world.got[world.count++] = (unsigned char)id;
}

static void poll_rings(void)
{
    if (world.is_busy && may_poll())
        hqq_rx_poll(ends.receiver);
}

static int take_from_ring(const struct frame *frame)
{
    struct hqq_datagram datagram;
    unsigned char bytes[SLOTS * SIZE];
    const struct iovec part = {bytes, sizeof(bytes)};
    if (!world.is_busy)
        return NOTHING;
    enum hqq_rx_look look = hqq_rx_peek(ends.receiver, &datagram);
    if (look == HQQ_RX_BROKEN)
        schedule_fail("an honest ring is broken");
    if (look != HQQ_RX_DATA || (world.head_is_noted && hqq_ring_distance(datagram.position, world.noted) >= 0))
        return NOTHING;
    world.pending = *hqq_ring_buffer(&ends.receiver->rx, datagram.position);
    if (frame->is_spoilt || !hqq_rx_take(ends.receiver, &datagram))
        return SPOILT;
    hqq_rx_copy(ends.receiver, &datagram, &part, 1);
    hqq_rx_release(ends.receiver, &datagram);
    if (bytes[0] != bytes[datagram.length - 1])
        schedule_fail("a datagram is torn");
    return bytes[0];
}

/* The sender wants to come in: the ring is looked at. */
static void find_wanted(void)
{
    if (world.is_busy || !may_poll() || !hqq_rx_is_wanted(ends.receiver))
        return;
    world.is_busy = true;
    if (!hqq_rx_poll(ends.receiver) && !hqq_rx_has_data(ends.receiver))
        world.is_busy = false;
}

static int pop(const struct frame *frame)
{
    schedule_step("kernel: pop");
    if (frame && frame->is_spoilt) /* its header is invalid */
        return SPOILT;
    world.head_is_noted = false;
    if (!is_queue_filled())
        return NOTHING;
    int id = world.queue[world.first++];
    deliver(id);
    find_wanted();
    return id;
}

static int take_from_kernel(const struct frame *frame)
{
    if (!world.head_is_noted) {
        hqq_rx_note_request(ends.receiver);
        schedule_step("kernel: look");
        if (!is_queue_filled()) {
            schedule_step("kernel: empty");
            hqq_rx_acknowledge(ends.receiver);
            return NOTHING;
        }
        world.noted = hqq_load_relaxed(hqq_ring_w(&ends.receiver->rx));
        world.head_is_noted = true;
    }
    int id = take_from_ring(frame);
    return id == NOTHING ? pop(frame) : id;
}

static int take_next(const struct frame *frame)
{
    int id = NOTHING;
    poll_rings();
    if (!world.head_is_noted)
        id = take_from_ring(frame);
    if (id == NOTHING)
        id = take_from_kernel(frame);
    return id == NOTHING ? take_from_ring(frame) : id;
}

/* True: nothing is there, and the kernel will wake us. */
static bool arm(void)
{
    if (world.is_busy && (!hqq_rx_arm(ends.receiver) || hqq_rx_has_data(ends.receiver)))
        return false;
    world.is_busy = false;
    if (hqq_channel_own_state(ends.receiver) == HQQ_POLLING) /* by a handler, after it was armed */
        world.is_busy = true;
    return !world.is_busy;
}

/* One receive; NOTHING: it would wait, or is about to sleep and counts as a sleeper. */
static int receive(bool waits)
{
    struct frame frame = {.below = innermost};
    innermost = &frame;
    int id;
    for (;;) {
        frame.is_spoilt = false;
        id = take_next(&frame);
        if (id == SPOILT)
            continue;
        if (id != NOTHING || !waits)
            break;
        if (!arm())
            continue;
        world.in_kernel++; /* from here on no handler polls */
        if (!frame.is_spoilt)
            break;
        world.in_kernel--;
    }
    innermost = frame.below;
    return id;
}

/* A handler of the receiving thread, which receives the whole way: what it interrupted begins anew. */
static void handle(void)
{
    struct frame *interrupted = innermost;
    int pending = world.pending;
    for (struct frame *frame = interrupted; frame; frame = frame->below)
        frame->is_spoilt = true;
    if (world.is_busy)
        hqq_rx_interrupt(ends.receiver);
    receive(false);
    innermost = interrupted;
    world.pending = pending;
}

/* Both: others may go on, and the receiver's handler may run. */
static void at_point(const char *label)
{
    if (strcmp(label, "channel.taken") == 0)
        deliver(world.pending);
    schedule_step(label);
    if (schedule_actor() == 0 && plan.has_handler && innermost && !world.has_handled && schedule_choose("handler")) {
        world.has_handled = true;
        handle();
        schedule_step("handled");
    }
}

static bool is_all_there(void)
{
    return world.count == (unsigned)(plan.sends * plan.senders + (plan.stop == HQQ_HANDOFF));
}

static bool is_filled_or_done(void)
{
    return is_queue_filled() || is_all_there();
}

static void stop_after_the_first(void)
{
    if (plan.stop == HQQ_POLLING || world.is_stopped || world.count == 0)
        return;
    world.is_stopped = true;
    ends.receiver->is_shared = plan.stop == HQQ_HANDOFF;
    hqq_rx_stop(ends.receiver, plan.stop);
    world.is_busy = plan.stop != HQQ_HANDOFF && hqq_rx_has_data(ends.receiver);
    world.head_is_noted = false;
    world.is_handed_off = true;
}

static void receiver(void)
{
    innermost = NULL;
    while (!is_all_there()) {
        int id = receive(true);
        if (id == NOTHING) { /* armed: it sleeps in the kernel, and pops directly */
            schedule_wait("asleep", is_filled_or_done);
            world.in_kernel--;
            if (is_queue_filled())
                pop(NULL);
        }
        stop_after_the_first();
    }
}

/* ---- Two threads that wait and receive ------------------------------------------------------------------------------- */

static bool is_lock_free(void)
{
    return world.lock_holder < 0;
}

static void lock(void)
{
    while (!is_lock_free())
        schedule_wait("lock", is_lock_free);
    world.lock_holder = schedule_actor();
}

static void unlock(void)
{
    world.lock_holder = -1;
}

/* As by poll(2): the thread counts itself as a sleeper, arms, and looks again where that finds something. */
static void waiter(void)
{
    innermost = NULL;
    while (!is_all_there()) {
        lock();
        int id = receive(false);
        unlock();
        if (id != NOTHING)
            continue;
        schedule_step("wait");
        world.in_kernel++;
        lock();
        bool sleeps = arm();
        unlock();
        if (sleeps)
            schedule_wait("asleep", is_filled_or_done);
        world.in_kernel--;
    }
}

/* ---- Checking ------------------------------------------------------------------------------------------------------ */

static const char *check(bool have_finished)
{
    bool seen[0x40] = {false};
    if (!have_finished)
        return "everybody sleeps, and not everything was delivered";
    if (!is_all_there())
        return "not everything was delivered";
    for (unsigned i = 0; i < world.count; i++) {
        unsigned char id = world.got[i];
        if (id >= sizeof(seen) || seen[id])
            return "a datagram was delivered twice";
        /* A kernel send that had begun before the hand-off may stand before what is sent again. */
        if ((id & 0xf) != 0 && !seen[id - 1] && plan.stop != HQQ_HANDOFF)
            return "a datagram overtook one of its sender's";
        seen[id] = true;
    }
    return is_queue_filled() ? "the kernel's queue holds one that was delivered" : NULL;
}

static void explore(const char *name, void (*first)(void), void (*second)(void), void (*third)(void), int preemptions)
{
    const struct schedule schedule = {
        .reset = reset, .actor = {first, second, third}, .check = check, .preemptions = preemptions};
    hqq_point_hook = at_point;
    uint64_t runs = schedule_explore(&schedule);
    hqq_point_hook = NULL;
    print_message("%s: %llu interleavings\n", name, (unsigned long long)runs);
    assert_true(runs > 10);
}

static int set_up(void **state)
{
    (void)state;
    ends = channel_ends_open(SLOTS, SIZE, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    channel_ends_close(&ends);
    return 0;
}

static void begin_plan(void)
{
    memset(&plan, 0, sizeof(plan));
    plan.state = plan.stop = HQQ_POLLING;
    plan.counter = UINT64_MAX - 1;
    plan.sends = 1;
    plan.senders = plan.slots = 1;
}

/* ---- Worlds -------------------------------------------------------------------------------------------------------- */

static void one_send_and_a_receive(void **state)
{
    (void)state;
    begin_plan();
    explore("one send, polling", receiver, sender, NULL, -1);
    plan.slots = 2;
    explore("one of two slots, polling", receiver, sender, NULL, -1);
    plan.state = HQQ_ARMED;
    explore("one send, armed", receiver, sender, NULL, -1);
}

static void several_sends_and_a_receive(void **state)
{
    (void)state;
    begin_plan();
    plan.sends = 2;
    explore("two sends, polling", receiver, sender, NULL, 5);
    plan.sends = 4;
    plan.slots = 2;
    explore("four sends in a ring for two, polling", receiver, sender, NULL, 3);
    plan.state = HQQ_ARMED;
    explore("four sends in a ring for two, armed", receiver, sender, NULL, 3);
}

static void two_sending_threads(void **state)
{
    (void)state;
    begin_plan();
    plan.senders = 2;
    explore("two threads, one send each", receiver, sender, second_sender, 3);
    plan.sends = 2;
    explore("two threads, two sends each", receiver, sender, second_sender, 2);
}

static void a_handler_that_receives_inside_a_receive(void **state)
{
    (void)state;
    begin_plan();
    plan.has_handler = true;
    explore("a handler, one send", receiver, sender, NULL, 3);
    plan.sends = 2;
    explore("a handler, two sends", receiver, sender, NULL, 2);
    plan.state = HQQ_ARMED;
    explore("a handler, two sends, armed", receiver, sender, NULL, 2);
    plan.sends = 3;
    plan.state = HQQ_POLLING;
    explore("a handler, three sends", receiver, sender, NULL, 2);
}

static void a_receiver_that_stops_wanting_more(void **state)
{
    (void)state;
    static const enum hqq_notify stops[] = {HQQ_SUSPENDED, HQQ_CLOSED};
    static const char *const names[] = {"suspended", "closed"};
    for (size_t i = 0; i < 2; i++) {
        begin_plan();
        plan.sends = 3;
        plan.stop = stops[i];
        explore(names[i], receiver, sender, NULL, 4);
        plan.has_handler = true;
        plan.sends = 2;
        explore("the same with a handler", receiver, sender, NULL, 2);
    }
}

static void a_receiver_that_hands_off(void **state)
{
    (void)state;
    begin_plan();
    plan.stop = HQQ_HANDOFF;
    explore("handed off, one send and one", receiver, sender, NULL, 5);
    plan.sends = 3;
    explore("handed off, three sends and one", receiver, sender, NULL, 3);
}

static void two_threads_that_wait_and_receive(void **state)
{
    (void)state;
    begin_plan();
    explore("two waiters, one send", waiter, sender, waiter, 3);
    plan.sends = 2;
    explore("two waiters, two sends", waiter, sender, waiter, 2);
}

int main(void)
{
#ifdef HQQ_UNDER_TSAN
    const bool has_contexts = false; /* it does not follow them, and there is but one thread */
#else
    const bool has_contexts = true;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_send_and_a_receive),
        cmocka_unit_test(several_sends_and_a_receive),
        cmocka_unit_test(two_sending_threads),
        cmocka_unit_test(a_handler_that_receives_inside_a_receive),
        cmocka_unit_test(a_receiver_that_stops_wanting_more),
        cmocka_unit_test(a_receiver_that_hands_off),
        cmocka_unit_test(two_threads_that_wait_and_receive),
    };
    return has_contexts ? cmocka_run_group_tests(tests, set_up, tear_down) : 77;
}
