/*
 * Calls on descriptors that are no sockets of ours, in a process that has one: what they cost because somebody looks
 * at them first. Each call is made many times in a row, then the next one, round and round; a figure is the median of
 * all rows, so that one in which the process lost its processor does not show.
 *
 * figures: ns a call, in the order of the table below.
 */
#include "tools/sockets/scene.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tools/perf/clock.h"
#include "tools/perf/statistics.h"
#include "tools/sockets/machine.h"
#include "tools/sockets/roles.h"

#define IN_A_ROW 256
#define CALLS 7
#define ROUNDS_MAX 10000

struct descriptors {
    int zero, null, pipe[2], epoll;
};

static int call_epoll_ctl(const struct descriptors *on)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(on->epoll, EPOLL_CTL_MOD, on->pipe[0], &event);
}

static int call_dup_close(const struct descriptors *on)
{
    return close(dup(on->pipe[0]));
}

static int call_open_close(const struct descriptors *on)
{
    (void)on;
    return close(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

static int call_poll(const struct descriptors *on)
{
    return poll(&(struct pollfd){.fd = on->pipe[0], .events = POLLIN}, 1, 0);
}

static int call_epoll_wait(const struct descriptors *on)
{
    struct epoll_event event;
    return epoll_wait(on->epoll, &event, 1, 0);
}

static int call_read(const struct descriptors *on)
{
    char byte;
    return read(on->zero, &byte, 1) == 1 ? 0 : -1;
}

static int call_write(const struct descriptors *on)
{
    return write(on->null, "", 1) == 1 ? 0 : -1;
}

static int (*const calls[CALLS])(const struct descriptors *) = {
    call_epoll_ctl, call_dup_close, call_open_close, call_poll, call_epoll_wait, call_read, call_write,
};

static void open_descriptors(struct descriptors *on)
{
    struct epoll_event event = {.events = EPOLLIN};
    on->zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    on->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    on->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (on->zero < 0 || on->null < 0 || on->epoll < 0 || pipe2(on->pipe, O_CLOEXEC) != 0 ||
        epoll_ctl(on->epoll, EPOLL_CTL_ADD, on->pipe[0], &event) != 0)
        machine_fail("a descriptor");
}

/* ns of each. */
static double make_in_a_row(int (*call)(const struct descriptors *), const struct descriptors *on)
{
    uint64_t began = perf_now_ns();
    for (unsigned i = 0; i < IN_A_ROW; i++) {
        if (call(on) != 0)
            machine_fail("a call");
    }
    return (double)(perf_now_ns() - began) / IN_A_ROW;
}

static void play_caller(const struct scene_run *run, uint32_t number)
{
    struct sockaddr_un own = role_address(run, "server", number);
    struct descriptors on;
    double *each = role_buffer((size_t)CALLS * ROUNDS_MAX * sizeof(double));
    size_t rounds = 0;
    uint64_t began;
    role_bind(&own);
    open_descriptors(&on);
    for (unsigned i = 0; i < CALLS; i++)
        make_in_a_row(calls[i], &on);
    began = perf_now_ns();
    do {
        for (unsigned i = 0; i < CALLS; i++)
            each[(size_t)i * ROUNDS_MAX + rounds] = make_in_a_row(calls[i], &on);
        rounds++;
    } while (rounds < ROUNDS_MAX && perf_now_ns() - began < run->duration_ns);
    for (unsigned i = 0; i < CALLS; i++)
        run->shared->result.figures[i] = perf_spread_of(each + (size_t)i * ROUNDS_MAX, rounds).median;
}

void scene_calls(const struct scene_run *run)
{
    role_start(run, play_caller, 0, 0);
    role_wait_for_all();
}
