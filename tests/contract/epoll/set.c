#include "epoll/set.h"

#include <poll.h>
#include <sys/epoll.h>

#include "support/end.h"

int set_new(int fd, uint32_t events)
{
    int set = own(epoll_create1(EPOLL_CLOEXEC));
    set_add(set, fd, events);
    return set;
}

static void control(int set, int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    assert_result(epoll_ctl(set, operation, fd, &event), 0);
}

void set_add(int set, int fd, uint32_t events)
{
    control(set, EPOLL_CTL_ADD, fd, events);
}

void set_add_as(int set, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    assert_result(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
}

void set_change(int set, int fd, uint32_t events)
{
    control(set, EPOLL_CTL_MOD, fd, events);
}

void set_remove(int set, int fd)
{
    control(set, EPOLL_CTL_DEL, fd, 0);
}

uint32_t set_events(int set)
{
    struct epoll_event events[8];
    int count = epoll_wait(set, events, 8, 0);
    assert_in_range(count, 0, 1);
    return count == 1 ? events[0].events : 0;
}

static long wait_for_one(struct job *job)
{
    struct epoll_event event;
    int count = epoll_wait(job->fd, &event, 1, -1);
    return count < 0 ? -errno : (long)event.events;
}

JOB_FUNCTION(wait_for_one)

struct task *set_waiter_asleep(int set)
{
    struct job *job = job_new(NULL);
    job->fd = set;
    return task_asleep(NULL, wait_for_one, job);
}

struct task *set_poller_asleep(int set)
{
    struct job *job = job_new(NULL);
    job->fd = set;
    job->number = POLLIN;
    return task_asleep(NULL, job_poll, job);
}
