/* poll() and select() beside signals. */
#include "support/pair.h"

#include <poll.h>
#include <signal.h>
#include <sys/select.h>

#include "support/clock.h"
#include "support/ticker.h"

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

/* SIGUSR1 is caught, blocked, and pending. */
static void make_pending(void)
{
    struct sigaction action = {.sa_handler = count_signal};
    sigset_t blocked;
    signals = 0;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);
    assert_int_equal(raise(SIGUSR1), 0);
}

static void assert_still_pending(void)
{
    sigset_t blocked;
    assert_int_equal(signals, 0);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &blocked, NULL), 0);
    assert_int_equal(signals, 1);
}

static void ppoll_of_a_ready_socket_lets_no_pending_signal_in(void **state)
{
    (void)state;
    if (CONTRACT_THREAD_SANITIZER)
        skip(); /* it delivers signals later */
    struct pair pair = pair_new(PAIR_PLAIN);
    struct pollfd one = {.fd = pair.near.fd, .events = POLLIN};
    sigset_t none;
    sigemptyset(&none);
    end_tell(&pair.far, &pair.near, "one");
    make_pending();
    assert_result(ppoll(&one, 1, NULL, &none), 1);
    assert_int_equal(one.revents, POLLIN);
    assert_still_pending();
    end_hears(&pair.near, "one");
}

static void pselect_of_a_ready_socket_lets_no_pending_signal_in(void **state)
{
    (void)state;
    if (CONTRACT_THREAD_SANITIZER)
        skip(); /* it delivers signals later */
    struct pair pair = pair_new(PAIR_PLAIN);
    fd_set reading;
    sigset_t none;
    sigemptyset(&none);
    FD_ZERO(&reading);
    FD_SET(pair.near.fd, &reading);
    end_tell(&pair.far, &pair.near, "one");
    make_pending();
    assert_result(pselect(pair.near.fd + 1, &reading, NULL, NULL, NULL, &none), 1);
    assert_true(FD_ISSET(pair.near.fd, &reading));
    assert_still_pending();
    end_hears(&pair.near, "one");
}

#define TICKING_MS 200
#define PERIOD_US 50

/* Without a time-out: 1, or -1 for a signal. */
static int select_for_ever(int fd)
{
    fd_set reading;
    FD_ZERO(&reading);
    FD_SET(fd, &reading);
    int count = select(fd + 1, &reading, NULL, NULL, NULL);
    return count == 1 ? FD_ISSET(fd, &reading) : count;
}

static void select_without_a_timeout_is_never_zero_however_many_signals_come(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    ticker_begin(SIGUSR1, count_signal, PERIOD_US);
    for (int64_t until = clock_ms() + TICKING_MS; clock_ms() < until;) {
        end_tell(&pair.far, &pair.near, "one");
        int count;
        while ((count = select_for_ever(pair.near.fd)) < 0)
            assert_int_equal(errno, EINTR);
        assert_int_equal(count, 1);
        end_hears(&pair.near, "one");
    }
    ticker_end();
}

static const struct CMUnitTest tests[] = {
    EVERY(ppoll_of_a_ready_socket_lets_no_pending_signal_in),
    EVERY(pselect_of_a_ready_socket_lets_no_pending_signal_in),
    BOTH(select_without_a_timeout_is_never_zero_however_many_signals_come),
};

CONTRACT_SUITE(shutdown_readiness_signals, tests);
