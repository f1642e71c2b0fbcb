/*
 * Sockets of AF_HQQ: hunts for lost knocks. Two threads converse over one link; each says when it has heard enough, and
 * nothing more is sent before that. The looks after the peer, which would find what was not knocked for, are put off for
 * an hour, so a knock that gets lost is a stall. One hunt for each way of waiting:
 *
 *      test_named [MODE] [--seconds=N] [--seed=N]
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

#include <hqq/socket.h>

#include "platform/clock.h"
#include "hqqsock/named.h"
#include "standard/state.h"
#include "support/heavy.h"

#define COUNT 4
#define SIZE 64
#define STALL_NS (10 * HEAVY_S)
#define BURST 10 /* more than the ring holds: who sends waits, too */

enum wait { WAIT_BLOCK, WAIT_POLL, WAIT_SELECT, WAIT_EPOLL, WAIT_EDGE, WAIT_LIBC };

static const struct hunt {
    const char *name;
    enum wait wait;
    unsigned delay_one_in;
} hunts[] = {
    {"block", WAIT_BLOCK, 4},           {"poll", WAIT_POLL, 4},           {"select", WAIT_SELECT, 4},
    {"epoll", WAIT_EPOLL, 4},           {"edge", WAIT_EDGE, 4},           {"libc", WAIT_LIBC, 4},
    {"block-undelayed", WAIT_BLOCK, 0}, {"poll-undelayed", WAIT_POLL, 0},
};

struct end {
    int fd, epoll;
    enum wait wait;
    bool begins;
    uint64_t last_round, heard;
    struct heavy_random random;
};

/* Nothing but a knock ends a sleep. */
static void put_looks_off(int fd)
{
    struct hqq_named *named = hqq_named_enter_fd(fd);
    struct hqq_link *link = hqq_named_link(named);
    link->peer_check_ns = 3600 * HEAVY_S;
    hqq_store_relaxed(&link->checked_ns, hqq_clock_ns());
    link->read_spin.longest_ns = link->write_spin.longest_ns = 0;
    hqq_store_relaxed(&link->read_spin.budget_ns, 0);
    hqq_store_relaxed(&link->write_spin.budget_ns, 0);
    hqq_named_drop(named);
}

static void open_end(struct end *end, const struct sockaddr_hqq *name, bool creates)
{
    uint64_t count = COUNT, size = SIZE;
    const struct sockaddr *address = (const struct sockaddr *)name;
    end->fd = hqq_socket(AF_HQQ, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result = end->fd < 0 ? -1 : hqq_setsockopt(end->fd, SOL_HQQ, HQQ_SO_BUFFER_COUNT, &count, sizeof(count));
    if (result == 0)
        result = hqq_setsockopt(end->fd, SOL_HQQ, HQQ_SO_BUFFER_SIZE, &size, sizeof(size));
    if (result == 0)
        result = creates ? hqq_bind(end->fd, address, sizeof(*name)) : hqq_connect(end->fd, address, sizeof(*name));
    if (result != 0)
        heavy_fail("no socket: %s", strerror(errno));
    struct epoll_event event = {.events = EPOLLIN | (end->wait == WAIT_EDGE ? EPOLLET : 0)};
    end->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (end->epoll < 0 || hqq_epoll_ctl(end->epoll, EPOLL_CTL_ADD, end->fd, &event) != 0)
        heavy_fail("no set: %s", strerror(errno));
}

static void close_end(struct end *end)
{
    hqq_close(end->epoll);
    hqq_close(end->fd);
}

/* Returns once there is something, as far as the way of waiting tells. */
static void wait_for_input(struct end *end)
{
    struct pollfd at = {.fd = end->fd, .events = POLLIN};
    struct epoll_event event;
    fd_set reading;
    int found = 1;
    switch (end->wait) {
    case WAIT_BLOCK:
        return;
    case WAIT_POLL:
        found = hqq_poll(&at, 1, -1);
        break;
    case WAIT_SELECT:
        FD_ZERO(&reading);
        FD_SET(end->fd, &reading);
        found = hqq_select(end->fd + 1, &reading, NULL, NULL, NULL);
        break;
    case WAIT_EPOLL:
    case WAIT_EDGE:
        found = hqq_epoll_wait(end->epoll, &event, 1, -1);
        break;
    case WAIT_LIBC:
        found = poll(&at, 1, -1);
        break;
    }
    if (found != 1)
        heavy_fail("a wait for ever found %d: %s", found, strerror(errno));
}

static void hear_one(struct end *end)
{
    uint64_t number;
    ssize_t length = -1;
    int flags = end->wait == WAIT_BLOCK ? 0 : MSG_DONTWAIT;
    while ((length = hqq_recv(end->fd, &number, sizeof(number), flags)) < 0 && errno == EAGAIN)
        wait_for_input(end);
    if (length != sizeof(number) || number != end->heard)
        heavy_fail("not number %llu came: %s", (unsigned long long)end->heard,
                   length < 0 ? strerror(errno) : "another");
    end->heard++;
    atomic_fetch_add(&heavy_steps, 1);
}

/* A ring that is full is waited for by a call, or by poll where libc's does not know of room. */
static void say(struct end *end, uint64_t number)
{
    struct pollfd at = {.fd = end->fd, .events = POLLOUT};
    bool by_poll = end->wait != WAIT_LIBC && heavy_one_in(&end->random, 2);
    while (hqq_send(end->fd, &number, sizeof(number), by_poll ? MSG_DONTWAIT : 0) != sizeof(number)) {
        if (errno != EAGAIN || hqq_poll(&at, 1, -1) != 1)
            heavy_fail("sending: %s", strerror(errno));
    }
}

/* Bursts, one side after the other. */
static void *converse(void *arg)
{
    struct end *end = arg;
    uint64_t said = 0;
    bool speaks = end->begins;
    for (uint64_t round = 0; round <= end->last_round; round++, speaks = !speaks) {
        for (unsigned i = 0; i < BURST; i++) {
            if (speaks)
                say(end, said++);
            else
                hear_one(end);
            if (heavy_one_in(&end->random, 8))
                usleep((useconds_t)heavy_below(&end->random, 30));
        }
    }
    return NULL;
}

static void run_hunt(const struct hunt *hunt, const struct heavy_options *options)
{
    struct sockaddr_hqq name = {.shqq_family = AF_HQQ};
    struct end ends[2] = {{.wait = hunt->wait, .begins = true}, {.wait = hunt->wait}};
    pthread_t threads[2];
    snprintf(name.shqq_name, sizeof(name.shqq_name), "hqq-stress-%d-%s", (int)getpid(), hunt->name);
    heavy_name_mode(hunt->name, options->seed);
    for (int i = 0; i < 2; i++) {
        open_end(&ends[i], &name, i == 0);
        ends[i].random = heavy_random(options->seed, (uint64_t)i);
        ends[i].last_round = 64 * 12 * options->seconds - 1;
    }
    for (int i = 0; i < 2; i++)
        put_looks_off(ends[i].fd);
    if (hunt->delay_one_in != 0)
        heavy_points_delay(options->seed, hunt->delay_one_in);
    heavy_watch_begin(&heavy_steps, STALL_NS);
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, converse, &ends[i]) != 0)
            heavy_fail("no thread");
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    heavy_watch_end();
    heavy_points_clear();
    heavy_say("ok    %s: %llu datagrams, no knock lost", hunt->name,
              (unsigned long long)(ends[0].heard + ends[1].heard));
    for (int i = 0; i < 2; i++)
        close_end(&ends[i]);
}

int main(int argc, char **argv)
{
    const struct heavy_options *options = heavy_start(argc, argv, 1);
    bool found = false;
    for (size_t i = 0; i < sizeof(hunts) / sizeof(hunts[0]); i++) {
        if (options->mode && strcmp(options->mode, hunts[i].name) != 0)
            continue;
        found = true;
        run_hunt(&hunts[i], options);
    }
    if (!found)
        heavy_fail("no such mode");
    return 0;
}
