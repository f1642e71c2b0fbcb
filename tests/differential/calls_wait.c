/* Waiting, and time. */
#include "differential/differential.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void note_time(struct result *result, int64_t begun_us, int ms)
{
    result->is_early = result->value == 0 && now_us() - begun_us < (int64_t)ms * 1000;
}

void call_poll(const struct step *step, struct result *result)
{
    struct pollfd one = {.fd = slots[step->arg[0]], .events = (short)step->arg[1]};
    int64_t begun = now_us();
    int ms = step->arg[2];
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    result_set(result, step->stamp % 2 ? poll(&one, 1, ms) : ppoll(&one, 1, &time, NULL));
    note_time(result, begun, ms);
    result->extra[0] = one.revents;
}

void call_polltwo(const struct step *step, struct result *result)
{
    struct pollfd both[2] = {{.fd = slots[step->arg[0]], .events = (short)step->arg[1]},
                             {.fd = slots[step->arg[2]], .events = (short)step->arg[3]}};
    result_set(result, poll(both, 2, 0));
    result->extra[0] = both[0].revents;
    result->extra[1] = both[1].revents;
}

void call_select(const struct step *step, struct result *result)
{
    fd_set in, out, odd;
    int fd[2] = {slots[step->arg[0]], slots[step->arg[1]]}, most = 0;
    int64_t begun = now_us();
    struct timeval time = {.tv_sec = step->arg[2] / 1000, .tv_usec = step->arg[2] % 1000 * 1000};
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&odd);
    for (int i = 0; i < 2; i++) {
        if (fd[i] < 0)
            continue;
        FD_SET(fd[i], &in);
        if (step->stamp % 3 == 0)
            FD_SET(fd[i], &out);
        FD_SET(fd[i], &odd);
        most = fd[i] >= most ? fd[i] + 1 : most;
    }
    result_set(result, select(most, &in, &out, &odd, &time));
    note_time(result, begun, step->arg[2]);
    for (int i = 0; i < 2 && result->value >= 0; i++) {
        if (fd[i] >= 0)
            result->extra[i] =
                (FD_ISSET(fd[i], &in) ? 1 : 0) + (FD_ISSET(fd[i], &out) ? 2 : 0) + (FD_ISSET(fd[i], &odd) ? 4 : 0);
    }
}

void call_epoll(const struct step *step, struct result *result)
{
    slots[step->arg[0]] = epoll_create1(EPOLL_CLOEXEC);
    result_set(result, slots[step->arg[0]]);
}

void call_epollctl(const struct step *step, struct result *result)
{
    struct epoll_event event = {.events = (uint32_t)step->arg[3], .data.u64 = (uint64_t)step->arg[2]};
    result_set(result, epoll_ctl(slots[step->arg[0]], step->arg[1], slots[step->arg[2]], &event));
}

static int by_data(const void *one, const void *other)
{
    const struct epoll_event *a = one, *b = other;
    return a->data.u64 < b->data.u64 ? -1 : a->data.u64 > b->data.u64;
}

/* In any order. */
void call_epollwait(const struct step *step, struct result *result)
{
    struct epoll_event events[SLOTS] = {0};
    int64_t begun = now_us();
    result_set(result, step->stamp % 2 ? epoll_wait(slots[step->arg[0]], events, SLOTS, step->arg[1])
                                       : epoll_pwait(slots[step->arg[0]], events, SLOTS, step->arg[1], NULL));
    note_time(result, begun, step->arg[1]);
    if (result->value <= 0)
        return;
    qsort(events, (size_t)result->value, sizeof(events[0]), by_data);
    for (int i = 0; i < result->value && i < 8; i++) {
        result->extra[i * 2] = (int)events[i].data.u64;
        result->extra[i * 2 + 1] = (int)events[i].events;
    }
}

void call_pause(const struct step *step, struct result *result)
{
    if (getenv("LD_PRELOAD"))
        nanosleep(&(struct timespec){.tv_nsec = (long)step->arg[0] * 1000}, NULL);
    result_set(result, 0);
}

/* The driver's. */
void call_restart(const struct step *step, struct result *result)
{
    (void)step;
    result_set(result, 0);
}
