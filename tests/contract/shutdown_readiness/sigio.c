/* Readiness by signal: O_ASYNC, F_SETOWN, F_SETSIG. */
#include "support/pair.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static sigset_t waited;

/* The signal is kept blocked and is waited for. */
static void block(int number)
{
    sigemptyset(&waited);
    sigaddset(&waited, number);
    assert_int_equal(sigprocmask(SIG_BLOCK, &waited, NULL), 0);
}

/* The signal, within a time that only a failure needs. */
static siginfo_t await_signal(void)
{
    const struct timespec patience = {.tv_sec = 20};
    siginfo_t info;
    assert_true(sigtimedwait(&waited, &info, &patience) > 0);
    return info;
}

static bool is_pending(void)
{
    const struct timespec none = {0};
    return sigtimedwait(&waited, NULL, &none) > 0;
}

static void unblock(void)
{
    while (is_pending())
        ;
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &waited, NULL), 0);
}

static void each_arrival_raises_sigio(void **state)
{
    (void)state;
    block(SIGIO);
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(fcntl(pair.near.fd, F_SETOWN, getpid()), 0);
    assert_result(fcntl(pair.near.fd, F_SETFL, O_ASYNC | O_NONBLOCK), 0);
    assert_false(is_pending());
    for (int i = 0; i < 5; i++) {
        end_tell(&pair.far, &pair.near, "arrives");
        assert_int_equal(await_signal().si_signo, SIGIO);
        end_hears(&pair.near, "arrives");
    }
    unblock();
}

static void an_arrival_raises_sigio_even_if_earlier_ones_were_not_read(void **state)
{
    (void)state;
    block(SIGIO);
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(fcntl(pair.near.fd, F_SETOWN, getpid()), 0);
    assert_result(fcntl(pair.near.fd, F_SETFL, O_ASYNC), 0);
    for (int i = 0; i < 5; i++) {
        end_tell(&pair.far, &pair.near, "arrives");
        await_signal();
    }
    for (int i = 0; i < 5; i++)
        end_hears(&pair.near, "arrives");
    unblock();
}

static void f_setsig_chooses_the_signal_and_names_the_descriptor(void **state)
{
    (void)state;
    int number = SIGRTMIN + 3;
    block(number);
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(fcntl(pair.near.fd, F_SETOWN, getpid()), 0);
    assert_result(fcntl(pair.near.fd, F_SETSIG, number), 0);
    assert_result(fcntl(pair.near.fd, F_SETFL, O_ASYNC), 0);
    end_tell(&pair.far, &pair.near, "arrives");
    siginfo_t info = await_signal();
    assert_int_equal(info.si_signo, number);
    assert_int_equal(info.si_fd, pair.near.fd);
    assert_int_equal(info.si_band & POLLIN, POLLIN);
    end_hears(&pair.near, "arrives");
    unblock();
}

static void fioasync_is_the_same_as_o_async(void **state)
{
    (void)state;
    block(SIGIO);
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(ioctl(pair.near.fd, FIOASYNC, &(int){1}), 0);
    assert_result(fcntl(pair.near.fd, F_SETOWN, getpid()), 0);
    assert_result(fcntl(pair.near.fd, F_GETFL) & O_ASYNC, O_ASYNC);
    end_tell(&pair.far, &pair.near, "arrives");
    await_signal();
    end_hears(&pair.near, "arrives");
    assert_result(ioctl(pair.near.fd, FIOASYNC, &(int){0}), 0);
    while (is_pending())
        ;
    end_tell(&pair.far, &pair.near, "silently");
    end_hears(&pair.near, "silently");
    assert_false(is_pending());
    unblock();
}

static const struct CMUnitTest tests[] = {
    EVERY(each_arrival_raises_sigio),
    EVERY(an_arrival_raises_sigio_even_if_earlier_ones_were_not_read),
    EVERY(f_setsig_chooses_the_signal_and_names_the_descriptor),
    BOTH(fioasync_is_the_same_as_o_async),
};

CONTRACT_SUITE(shutdown_readiness_sigio, tests);
