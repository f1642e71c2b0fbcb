#include "support/ticker.h"

#include <signal.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "support/check.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static timer_t timer;
static bool is_ticking;

void ticker_begin(int number, void (*handler)(int), long period_us)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = number};
    const struct timespec period = {.tv_nsec = period_us * 1000};
    const struct itimerspec times = {.it_interval = period, .it_value = period};
    event.sigev_notify_thread_id = gettid();
    assert_int_equal(sigaction(number, &action, NULL), 0);
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    is_ticking = true;
    assert_int_equal(timer_settime(timer, 0, &times, NULL), 0);
}

void ticker_end(void)
{
    if (is_ticking)
        timer_delete(timer);
    is_ticking = false;
}
