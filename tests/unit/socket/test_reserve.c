/*
 * Datagrams that are written and read in place, on each way that they may go: what holds on all of them first, then what
 * a reservation and a loan do to the ring they lie in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hqq/link.h>
#include <hqq/socket.h>

#include "platform/clock.h"
#include "support/child.h"
#include "support/named.h"
#include "support/sockets.h"

static const enum way ways[] = {WAY_RING, WAY_KERNEL, WAY_PLAIN, WAY_LINK};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static struct sockets sockets = {.sender = -1, .receiver = -1};

static void open_way(enum way way)
{
    sockets = sockets_open(way);
}

static int tear_down(void **state)
{
    (void)state;
    sockets_close(&sockets);
    return 0;
}

/* ---- What is done all the time ----------------------------------------------------------------------------------- */

static struct hqq_reservation reserve(size_t length)
{
    struct hqq_reservation reservation;
    assert_int_equal(hqq_reserve(sockets.sender, length, 0, &reservation), 0);
    assert_true(reservation.capacity >= length);
    return reservation;
}

static void commit(struct hqq_reservation *reservation, const char *text)
{
    memcpy(reservation->data, text, strlen(text));
    assert_int_equal(hqq_commit(reservation, strlen(text)), strlen(text));
    assert_null(reservation->data);
}

static void send_text(const char *text)
{
    assert_int_equal(hqq_send(sockets.sender, text, strlen(text), 0), strlen(text));
}

static void expect_text(const char *text)
{
    char data[256];
    assert_int_equal(hqq_recv(sockets.receiver, data, sizeof(data), MSG_DONTWAIT), strlen(text));
    assert_memory_equal(data, text, strlen(text));
}

static void expect_nothing(void)
{
    char data[16];
    assert_int_equal(hqq_recv(sockets.receiver, data, sizeof(data), MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

static struct hqq_loan borrow(const char *text)
{
    struct hqq_loan loan;
    assert_int_equal(hqq_borrow(sockets.receiver, MSG_DONTWAIT, &loan), 0);
    assert_int_equal(loan.length, strlen(text));
    assert_memory_equal(loan.data, text, strlen(text));
    return loan;
}

/* ---- On every way ------------------------------------------------------------------------------------------------ */

static void what_was_reserved_and_committed_is_borrowed_and_released(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        open_way(ways[i]);
        for (int round = 0; round < 600; round++) { /* laps of the ring */
            struct hqq_reservation reservation = reserve(40);
            commit(&reservation, "composed in place");
            struct hqq_loan loan = borrow("composed in place");
            assert_int_equal(hqq_release(&loan), 0);
            assert_null(loan.data);
        }
        expect_nothing();
        sockets_close(&sockets);
    }
}

static void a_reservation_is_done_with_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        open_way(ways[i]);
        struct hqq_reservation reservation = reserve(8);
        assert_int_equal(hqq_commit(&reservation, reservation.capacity + 1), -1);
        assert_int_equal(errno, EMSGSIZE);
        commit(&reservation, "held");
        assert_int_equal(hqq_commit(&reservation, 4), -1);
        assert_int_equal(errno, EINVAL);
        assert_int_equal(hqq_abandon(&reservation), -1);
        assert_int_equal(errno, EINVAL);
        struct hqq_loan loan = borrow("held");
        assert_int_equal(hqq_release(&loan), 0);
        assert_int_equal(hqq_release(&loan), -1);
        assert_int_equal(errno, EINVAL);
        sockets_close(&sockets);
    }
}

static void what_is_abandoned_is_not_sent(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        open_way(ways[i]);
        struct hqq_reservation reservation = reserve(8);
        memset(reservation.data, 'x', 8);
        assert_int_equal(hqq_abandon(&reservation), 0);
        expect_nothing();
        send_text("next");
        expect_text("next");
        sockets_close(&sockets);
    }
}

static void what_is_sent_beside_a_reservation_arrives_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        open_way(ways[i]);
        struct hqq_reservation first = reserve(8);
        struct hqq_reservation second = reserve(8);
        send_text("sent");
        bool is_link = ways[i] == WAY_LINK; /* the only one where the order is that of the reservations */
        if (is_link)
            expect_nothing();
        commit(&second, "second");
        if (is_link)
            expect_nothing();
        commit(&first, "first");
        expect_text(is_link ? "first" : "sent");
        expect_text("second");
        expect_text(is_link ? "sent" : "first");
        expect_nothing();
        sockets_close(&sockets);
    }
}

static void an_empty_datagram_is_sent_but_on_a_link(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        open_way(ways[i]);
        struct hqq_reservation reservation = reserve(0);
        assert_int_equal(hqq_commit(&reservation, 0), 0);
        struct hqq_loan loan;
        if (ways[i] == WAY_LINK) {
            expect_nothing();
        } else {
            assert_int_equal(hqq_borrow(sockets.receiver, MSG_DONTWAIT, &loan), 0);
            assert_int_equal(loan.length, 0);
            assert_int_equal(hqq_release(&loan), 0);
        }
        sockets_close(&sockets);
    }
}

static void the_close_of_the_sender_leaves_the_reservation_to_be_abandoned(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        open_way(ways[i]);
        struct hqq_reservation reservation = reserve(8);
        hqq_close(sockets.sender);
        sockets.sender = -1;
        memset(reservation.data, 'x', 8); /* still there */
        assert_int_equal(hqq_commit(&reservation, 8), -1);
        assert_int_equal(errno, EBADF);
        assert_int_equal(hqq_abandon(&reservation), 0);
        sockets_close(&sockets);
    }
}

static void a_descriptor_that_was_used_again_gets_nothing_of_it(void **state)
{
    (void)state;
    open_way(WAY_RING);
    struct hqq_reservation reservation = reserve(8);
    int number = sockets.sender;
    hqq_close(sockets.sender);
    struct sockets other = sockets_open(WAY_RING);
    assert_int_equal(hqq_dup2(other.sender, number), number);
    assert_int_equal(hqq_commit(&reservation, 8), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(hqq_abandon(&reservation), 0);
    sockets_close(&other);
}

static void a_receiver_that_is_gone_is_told_by_the_commit(void **state)
{
    (void)state;
    const int expected[WAYS] = {ECONNREFUSED, ECONNREFUSED, ECONNREFUSED, EPIPE};
    for (size_t i = 0; i < WAYS; i++) {
        open_way(ways[i]);
        struct hqq_reservation reservation = reserve(8);
        hqq_close(sockets.receiver);
        sockets.receiver = -1;
        assert_int_equal(hqq_commit(&reservation, 8), -1);
        assert_int_equal(errno == ENOTCONN ? ECONNREFUSED : errno, expected[i]);
        assert_int_equal(hqq_abandon(&reservation), 0);
        sockets_close(&sockets);
    }
}

static void a_loan_outlives_both_sockets(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        open_way(ways[i]);
        send_text("stays");
        struct hqq_loan loan = borrow("stays");
        sockets_close(&sockets);
        assert_memory_equal(loan.data, "stays", 5);
        assert_int_equal(hqq_release(&loan), 0);
    }
}

static struct hqq_reservation forked_reservation;
static struct hqq_loan forked_loan;

static int use_copies(void *arg)
{
    (void)arg;
    if (hqq_commit(&forked_reservation, 4) != -1 || errno != ECHILD)
        return 1;
    if (hqq_abandon(&forked_reservation) != 0 || hqq_release(&forked_loan) != 0)
        return 2;
    return hqq_close(sockets.sender) == 0 && hqq_close(sockets.receiver) == 0 ? 0 : 3;
}

static void in_a_child_reservations_and_loans_are_the_parents(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        open_way(ways[i]);
        send_text("lent");
        forked_loan = borrow("lent");
        forked_reservation = reserve(8);
        assert_int_equal(child_run(use_copies, NULL), 0);
        commit(&forked_reservation, "sent");
        assert_memory_equal(forked_loan.data, "lent", 4);
        assert_int_equal(hqq_release(&forked_loan), 0);
        expect_text("sent");
        sockets_close(&sockets);
    }
}

static void nothing_to_borrow_is_waited_for_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        open_way(ways[i]);
        struct hqq_loan loan;
        assert_int_equal(hqq_borrow(sockets.receiver, MSG_DONTWAIT, &loan), -1);
        assert_int_equal(errno, EAGAIN);
        uint64_t when = hqq_clock_ns() + 3 * HQQ_NS_PER_MS;
        assert_int_equal(hqq_set_read_deadline(sockets.receiver, when), 0);
        assert_int_equal(hqq_borrow(sockets.receiver, 0, &loan), -1);
        assert_int_equal(errno, ETIMEDOUT);
        assert_true(hqq_clock_ns() >= when);
        sockets_close(&sockets);
    }
}

static void what_cannot_be_sent_cannot_be_reserved(void **state)
{
    (void)state;
    struct hqq_reservation reservation;
    int size = 4096, unused = open("/dev/null", O_RDONLY | O_CLOEXEC);
    open_way(WAY_RING);
    assert_int_equal(hqq_setsockopt(sockets.sender, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    assert_int_equal(hqq_reserve(sockets.sender, 100000, 0, &reservation), -1);
    assert_int_equal(errno, EMSGSIZE);
    sockets_close(&sockets);
    open_way(WAY_LINK);
    assert_int_equal(hqq_reserve(sockets.sender, NAMED_SIZE + 1, 0, &reservation), -1);
    assert_int_equal(errno, EMSGSIZE);
    close(unused);
    assert_int_equal(hqq_reserve(unused, 1, 0, &reservation), -1);
    assert_int_equal(errno, EBADF);
}

/* ---- In the ring ------------------------------------------------------------------------------------------------- */

static void sender_and_receiver_share_the_bytes(void **state)
{
    (void)state;
    const enum way shared[] = {WAY_RING, WAY_LINK};
    for (size_t i = 0; i < 2; i++) {
        open_way(shared[i]);
        struct hqq_reservation reservation = reserve(8);
        char *written = reservation.data;
        commit(&reservation, "before");
        struct hqq_loan loan = borrow("before");
        memcpy(written, "behind", 6); /* as a sender would that breaks the rules */
        assert_memory_equal(loan.data, "behind", 6);
        assert_int_equal(hqq_release(&loan), 0);
        sockets_close(&sockets);
    }
}

static void one_reservation_at_a_time_is_in_the_ring_and_the_sender_returns_to_it(void **state)
{
    (void)state;
    open_way(WAY_RING);
    unsigned ring = sockets_sent_ring(sockets.sender), kernel = sockets_sent_kernel(sockets.sender);
    struct hqq_reservation reservation = reserve(8);
    commit(&reservation, "alone");
    expect_text("alone");
    assert_int_equal(sockets_sent_ring(sockets.sender), ring + 1);
    reservation = reserve(8);
    send_text("beside");
    commit(&reservation, "held");
    assert_int_equal(sockets_sent_kernel(sockets.sender), kernel + 2);
    expect_text("beside");
    expect_text("held");
    sockets_reach_ring(&sockets);
    assert_int_equal(sockets_sent_ring(sockets.sender), ring + 2);
}

static volatile sig_atomic_t handled;

static void send_in_handler(int number)
{
    (void)number;
    handled = hqq_send(sockets.sender, "handler", 7, 0) == 7;
}

static void a_handler_may_send_while_a_reservation_is_held(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = send_in_handler}, before;
    open_way(WAY_RING);
    sigaction(SIGUSR1, &action, &before);
    struct hqq_reservation reservation = reserve(8);
    raise(SIGUSR1);
    commit(&reservation, "after");
    sigaction(SIGUSR1, &before, NULL);
    assert_true(handled);
    expect_text("handler");
    expect_text("after");
}

#define SLOT 2048 /* bytes, of 256 slots: the defaults */
#define LONG_LENGTH (3 * SLOT + 5)

static void a_datagram_of_several_slots_is_whole_wherever_it_begins(void **state)
{
    (void)state;
    static char text[LONG_LENGTH];
    open_way(WAY_RING);
    unsigned kernel = sockets_sent_kernel(sockets.sender); /* until the link was open, which takes its time */
    for (int i = 0; i < 300; i++) {
        struct hqq_reservation reservation = reserve(LONG_LENGTH);
        for (size_t at = 0; at < LONG_LENGTH; at++)
            text[at] = (char)(i + (int)at / 7);
        memcpy(reservation.data, text, LONG_LENGTH);
        assert_int_equal(hqq_commit(&reservation, LONG_LENGTH), LONG_LENGTH);
        struct hqq_loan loan;
        assert_int_equal(hqq_borrow(sockets.receiver, 0, &loan), 0);
        assert_int_equal(loan.length, LONG_LENGTH);
        assert_memory_equal(loan.data, text, LONG_LENGTH);
        assert_int_equal(hqq_release(&loan), 0);
    }
    assert_in_range(sockets_sent_kernel(sockets.sender) - kernel, 0, 19);
}

static void loans_come_back_in_any_order_and_nothing_is_lost_meanwhile(void **state)
{
    (void)state;
    static const char letters[] = "abcdefgh";
    static char whole[LONG_LENGTH];
    struct hqq_loan loans[8];
    char data[16];
    open_way(WAY_RING);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(hqq_send(sockets.sender, &letters[i], 1, 0), 1);
        assert_int_equal(hqq_borrow(sockets.receiver, 0, &loans[i]), 0);
    }
    for (int i = 1; i < 8; i += 2)
        assert_int_equal(hqq_release(&loans[i]), 0);
    /* Laps around the slots that are held: short ones, and long ones for which the holes between are too small. */
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(hqq_send(sockets.sender, &i, sizeof(i), 0), sizeof(i));
        assert_int_equal(hqq_recv(sockets.receiver, data, sizeof(data), 0), sizeof(i));
        assert_memory_equal(data, &i, sizeof(i));
        if (i % 10 == 0) {
            assert_int_equal(hqq_send(sockets.sender, whole, LONG_LENGTH, 0), LONG_LENGTH);
            assert_int_equal(hqq_recv(sockets.receiver, data, sizeof(data), MSG_TRUNC), LONG_LENGTH);
        }
    }
    for (int i = 0; i < 8; i += 2) {
        assert_memory_equal(loans[i].data, &letters[i], 1);
        assert_int_equal(hqq_release(&loans[i]), 0);
    }
    struct hqq_socket_status status;
    assert_int_equal(hqq_socket_status(sockets.sender, &status), 0);
    assert_int_equal(status.reason, HQQ_SOCKET_ACCELERATED); /* the link has not been given up */
    sockets_reach_ring(&sockets);
}

/* ---- Deaths ------------------------------------------------------------------------------------------------------ */

static bool is_on_ring(int fd)
{
    struct hqq_socket_status status;
    return hqq_socket_status(fd, &status) == 0 && status.sent_ring != 0;
}

/* In a child: a sender of its own that holds a reservation when it dies. */
static int hold_in_ring_and_die(void *arg)
{
    struct hqq_reservation reservation;
    (void)arg;
    int fd = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (hqq_connect(fd, (struct sockaddr *)&sockets.address, sizeof(sockets.address)) != 0)
        return 1;
    uint64_t until = hqq_clock_ns() + 20 * HQQ_NS_PER_S;
    for (int i = 0; (i < 10000 || hqq_clock_ns() < until) && !is_on_ring(fd); i++) {
        if (hqq_send(fd, "way", 3, 0) != 3)
            return 2;
    }
    if (!is_on_ring(fd) || hqq_reserve(fd, 8, 0, &reservation) != 0)
        return 3;
    memset(reservation.data, 'x', 8);
    raise(SIGKILL);
    return 4;
}

static int child_status;

static void *run_child(void *arg)
{
    child_status = child_run(hold_in_ring_and_die, NULL);
    hqq_set_read_deadline(sockets.receiver, 1); /* what was sent is there by now */
    return arg;
}

static void a_sender_that_dies_with_a_reservation_leaves_nothing_of_it(void **state)
{
    (void)state;
    pthread_t thread;
    char data[16];
    ssize_t length;
    open_way(WAY_RING);
    assert_int_equal(hqq_set_read_deadline(sockets.receiver, hqq_clock_ns() + 40 * HQQ_NS_PER_S), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_child, NULL), 0);
    while ((length = hqq_recv(sockets.receiver, data, sizeof(data), 0)) == 3)
        assert_memory_equal(data, "way", 3);
    assert_int_equal(length, -1);
    assert_int_equal(errno, ETIMEDOUT);
    pthread_join(thread, NULL);
    assert_int_equal(child_status, 128 + SIGKILL);
    send_text("others go on");
    expect_text("others go on");
}

static struct named_pair named;

static int hold_slots_and_die(void *arg)
{
    struct hqq_reservation reservation;
    struct hqq_loan loan;
    (void)arg;
    int fd = hqq_socket(AF_HQQ, SOCK_DGRAM, 0);
    if (hqq_connect(fd, (struct sockaddr *)&named.address, sizeof(named.address)) != 0 ||
        hqq_borrow(fd, 0, &loan) != 0 || hqq_reserve(fd, 8, 0, &reservation) != 0 || hqq_send(fd, "behind", 6, 0) != 6)
        return 1;
    raise(SIGKILL);
    return 2;
}

static void slots_that_a_dead_peer_held_are_free_again(void **state)
{
    (void)state;
    char data[16];
    named = named_pair_open();
    hqq_close(named.connected);
    named.connected = -1;
    struct hqq_loan loan;
    int fd = named_connected(&named.address); /* so that there is somebody to send to */
    assert_int_equal(hqq_send(named.bound, "lent", 4, 0), 4);
    hqq_close(fd);
    assert_int_equal(child_run(hold_slots_and_die, NULL), 128 + SIGKILL);
    assert_int_equal(hqq_borrow(named.bound, 0, &loan), 0); /* waits until the death is noticed */
    assert_int_equal(loan.length, 6);
    assert_memory_equal(loan.data, "behind", 6);
    assert_int_equal(hqq_release(&loan), 0);
    assert_int_equal(hqq_borrow(named.bound, 0, &loan), -1);
    assert_int_equal(errno, ECONNRESET);
    named.connected = named_connected(&named.address);
    named_fill(named.bound);
    assert_int_equal(hqq_recv(named.connected, data, sizeof(data), 0), 4);
    named_pair_close(&named);
}

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

#define THREADS 3
#define ROUNDS 2000

static void *compose(void *arg)
{
    unsigned id = *(unsigned *)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned text[2] = {id, i};
        struct hqq_reservation reservation;
        if (i % 3 == 0) {
            if (hqq_send(sockets.sender, text, sizeof(text), 0) != sizeof(text))
                return "send";
            continue;
        }
        if (hqq_reserve(sockets.sender, sizeof(text), 0, &reservation) != 0)
            return "reserve";
        memcpy(reservation.data, text, sizeof(text));
        if (i % 5 == 0 && hqq_abandon(&reservation) == 0 &&
            hqq_reserve(sockets.sender, sizeof(text), 0, &reservation) != 0)
            return "reserve";
        if (reservation.kind != 0)
            memcpy(reservation.data, text, sizeof(text));
        if (hqq_commit(&reservation, sizeof(text)) != sizeof(text))
            return "commit";
    }
    return NULL;
}

static void threads_compose_at_once_and_each_ones_order_is_kept(void **state)
{
    (void)state;
    const enum way both[] = {WAY_RING, WAY_LINK};
    for (size_t w = 0; w < 2; w++) {
        pthread_t threads[THREADS];
        unsigned ids[THREADS], next[THREADS] = {0};
        void *end;
        open_way(both[w]);
        for (unsigned i = 0; i < THREADS; i++) {
            ids[i] = i;
            assert_int_equal(pthread_create(&threads[i], NULL, compose, &ids[i]), 0);
        }
        for (unsigned i = 0; i < THREADS * ROUNDS; i++) {
            struct hqq_loan loan;
            unsigned text[2];
            assert_int_equal(hqq_borrow(sockets.receiver, 0, &loan), 0);
            assert_int_equal(loan.length, sizeof(text));
            memcpy(text, loan.data, sizeof(text));
            assert_int_equal(hqq_release(&loan), 0);
            assert_true(text[0] < THREADS);
            assert_int_equal(text[1], next[text[0]]);
            next[text[0]]++;
        }
        for (unsigned i = 0; i < THREADS; i++) {
            pthread_join(threads[i], &end);
            assert_null(end);
        }
        sockets_close(&sockets);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_was_reserved_and_committed_is_borrowed_and_released, tear_down),
        cmocka_unit_test_teardown(a_reservation_is_done_with_once, tear_down),
        cmocka_unit_test_teardown(what_is_abandoned_is_not_sent, tear_down),
        cmocka_unit_test_teardown(what_is_sent_beside_a_reservation_arrives_in_order, tear_down),
        cmocka_unit_test_teardown(an_empty_datagram_is_sent_but_on_a_link, tear_down),
        cmocka_unit_test_teardown(the_close_of_the_sender_leaves_the_reservation_to_be_abandoned, tear_down),
        cmocka_unit_test_teardown(a_descriptor_that_was_used_again_gets_nothing_of_it, tear_down),
        cmocka_unit_test_teardown(a_receiver_that_is_gone_is_told_by_the_commit, tear_down),
        cmocka_unit_test_teardown(a_loan_outlives_both_sockets, tear_down),
        cmocka_unit_test_teardown(in_a_child_reservations_and_loans_are_the_parents, tear_down),
        cmocka_unit_test_teardown(nothing_to_borrow_is_waited_for_or_not, tear_down),
        cmocka_unit_test_teardown(what_cannot_be_sent_cannot_be_reserved, tear_down),
        cmocka_unit_test_teardown(sender_and_receiver_share_the_bytes, tear_down),
        cmocka_unit_test_teardown(one_reservation_at_a_time_is_in_the_ring_and_the_sender_returns_to_it, tear_down),
        cmocka_unit_test_teardown(a_handler_may_send_while_a_reservation_is_held, tear_down),
        cmocka_unit_test_teardown(a_datagram_of_several_slots_is_whole_wherever_it_begins, tear_down),
        cmocka_unit_test_teardown(loans_come_back_in_any_order_and_nothing_is_lost_meanwhile, tear_down),
        cmocka_unit_test_teardown(a_sender_that_dies_with_a_reservation_leaves_nothing_of_it, tear_down),
        cmocka_unit_test_teardown(slots_that_a_dead_peer_held_are_free_again, tear_down),
        cmocka_unit_test_teardown(threads_compose_at_once_and_each_ones_order_is_kept, tear_down),
    };
    sockets_configure();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
