/*
 * One sender and one receiver, one way: singly or in batches, connected or not, as fast as it goes or at a rate, from
 * one socket or from a new one each time. Also the receiver that waits by poll(), select() or epoll and whose sender is
 * a plain program. The receiver measures, from a while after the first datagram to the last.
 *
 * figures: SCENE_EACH, ns of time a datagram; of scene_waiter ns of the receiver's processor.
 */
#include "tools/sockets/scene.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/perf/clock.h"
#include "tools/sockets/machine.h"
#include "tools/sockets/roles.h"

#define BATCH_MAX 64
#define CLOCK_EACH 64 /* datagrams between two looks at the clock */

/* Sent when the time is over and before the last, so that even a receiver that had no processor has some to count. */
#define SENT_AT_LEAST 64

/* ---- Telling that the receiver counts -------------------------------------------------------------------------- */

/* To a sender that exec'd, and so shares no memory, by a file. */
static struct sockaddr_un counting_file(const struct scene_run *run)
{
    return role_address(run, "counting", 0);
}

static void tell_counting(const struct scene_run *run)
{
    hqq_store32_relaxed(&run->shared->ready, 1);
    if (run->scene->play == scene_waiter)
        close(open(counting_file(run).sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static bool is_counting(const struct scene_run *run)
{
    if (run->shared)
        return hqq_load32_relaxed(&run->shared->ready) != 0;
    return access(counting_file(run).sun_path, F_OK) == 0;
}

/* ---- Sending --------------------------------------------------------------------------------------------------- */

struct sender {
    const struct scene_run *run;
    int fd;
    struct sockaddr_un to;
    uint64_t end_ns;
    struct scene_note note; /* of the datagram that is next */
    char *data;
};

static void send_singly(struct sender *sender)
{
    uint32_t bytes = sender->run->scene->bytes;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, sender->data, bytes, 0, (struct sockaddr *)(void *)&sender->to, sizeof(sender->to)) !=
                      (ssize_t)bytes)
        machine_fail("sendto");
    close(fd);
}

static void send_next(struct sender *sender)
{
    memcpy(sender->data, &sender->note, sizeof(sender->note));
    if (sender->run->scene->is_single)
        send_singly(sender);
    else
        role_send(sender->run, sender->fd, sender->data);
    sender->note.number++;
}

/* As long as there is time, and until the receiver counts, which may have had no processor for a while. */
static bool is_to_go_on(const struct sender *sender)
{
    return perf_now_ns() < sender->end_ns || !is_counting(sender->run);
}

/* Spins until it is time for the next. */
static void wait_for_tick(uint32_t rate, uint64_t *next_ns)
{
    while (perf_now_ns() < *next_ns)
        hqq_cpu_pause();
    *next_ns += PERF_NS_PER_S / rate;
}

static void send_all_singly(struct sender *sender)
{
    uint32_t rate = sender->run->scene->rate, each = rate != 0 ? 1 : CLOCK_EACH;
    uint64_t tick = perf_now_ns();
    while (is_to_go_on(sender)) {
        if (rate != 0)
            wait_for_tick(rate, &tick);
        for (uint32_t i = 0; i < each; i++)
            send_next(sender);
    }
    for (uint32_t i = 0; i < SENT_AT_LEAST; i++)
        send_next(sender);
    sender->note.flags = SCENE_LAST;
    send_next(sender);
}

/* A batch of messages, a buffer for each. */
struct batch {
    struct mmsghdr messages[BATCH_MAX];
    struct iovec vectors[BATCH_MAX];
    uint32_t count;
};

static void make_batch(struct batch *batch, char *data, const struct scene *scene)
{
    *batch = (struct batch){.count = scene->batch};
    for (uint32_t i = 0; i < scene->batch; i++) {
        batch->vectors[i] = (struct iovec){data + (size_t)i * scene->bytes, scene->bytes};
        batch->messages[i].msg_hdr = (struct msghdr){.msg_iov = &batch->vectors[i], .msg_iovlen = 1};
    }
}

static void send_batch(struct sender *sender, struct batch *batch, bool is_last)
{
    for (uint32_t i = 0; i < batch->count; i++, sender->note.number++) {
        sender->note.flags = is_last && i == batch->count - 1 ? SCENE_LAST : 0;
        memcpy(batch->vectors[i].iov_base, &sender->note, sizeof(sender->note));
    }
    for (uint32_t done = 0; done < batch->count;) {
        int sent = sendmmsg(sender->fd, batch->messages + done, batch->count - done, 0);
        if (sent <= 0)
            machine_fail("sendmmsg");
        done += (uint32_t)sent;
    }
}

static void send_all_in_batches(struct sender *sender)
{
    struct batch batch;
    make_batch(&batch, sender->data, sender->run->scene);
    while (is_to_go_on(sender))
        send_batch(sender, &batch, false);
    for (uint32_t i = 0; i < SENT_AT_LEAST; i += batch.count)
        send_batch(sender, &batch, false);
    send_batch(sender, &batch, true);
}

static void play_sender(const struct scene_run *run, uint32_t number)
{
    const struct scene *scene = run->scene;
    struct sender sender = {.run = run, .to = role_address(run, "server", number)};
    struct sockaddr_un own = role_address(run, "client", number);
    sender.data = role_buffer((size_t)scene->bytes * (scene->batch != 0 ? scene->batch : 1));
    sender.fd = role_bind(&own);
    role_connect(sender.fd, &sender.to);
    sender.end_ns = perf_now_ns() + run->warm_ns + run->duration_ns;
    if (scene->batch != 0)
        send_all_in_batches(&sender);
    else
        send_all_singly(&sender);
}

int scene_sender(const struct scene_run *run)
{
    machine_pin(1);
    play_sender(run, 0);
    return 0;
}

/* ---- Receiving ------------------------------------------------------------------------------------------------- */

struct receiver {
    const struct scene_run *run;
    clockid_t clock; /* what is measured */
    uint32_t each;   /* datagrams between two looks at it */
    uint32_t due, first_counted;
    uint64_t warm_until_ns, began_ns;
};

/* True until the last has come. */
static bool take_note(struct receiver *receiver, const void *data)
{
    struct scene_note note;
    memcpy(&note, data, sizeof(note));
    role_check(&note, receiver->due);
    if (note.flags & SCENE_LAST) {
        uint32_t count = receiver->due - receiver->first_counted;
        if (receiver->began_ns == 0 || count == 0)
            machine_fail_plainly("the run was too short for a figure");
        receiver->run->shared->result.figures[SCENE_EACH] =
            (double)(perf_clock_read(receiver->clock) - receiver->began_ns) / count;
        return false;
    }
    if (receiver->began_ns == 0 && receiver->due % receiver->each == 0) {
        uint64_t now = perf_now_ns();
        if (receiver->due == 0)
            receiver->warm_until_ns = now + receiver->run->warm_ns;
        if (now >= receiver->warm_until_ns) {
            tell_counting(receiver->run);
            receiver->began_ns = perf_clock_read(receiver->clock);
            receiver->first_counted = receiver->due;
        }
    }
    receiver->due++;
    return true;
}

static void receive_batches(struct receiver *receiver, int fd)
{
    const struct scene *scene = receiver->run->scene;
    struct batch batch;
    make_batch(&batch, role_buffer((size_t)scene->bytes * scene->batch), scene);
    for (bool is_on = true; is_on;) {
        int got = recvmmsg(fd, batch.messages, batch.count, MSG_WAITFORONE, NULL);
        if (got <= 0)
            machine_fail("recvmmsg");
        for (int i = 0; i < got && is_on; i++) {
            if (batch.messages[i].msg_len != scene->bytes)
                machine_fail_plainly("a datagram is too short");
            is_on = take_note(receiver, batch.vectors[i].iov_base);
        }
    }
}

static void play_receiver(const struct scene_run *run, uint32_t number)
{
    struct receiver receiver = {.run = run, .clock = CLOCK_MONOTONIC, .each = CLOCK_EACH};
    struct sockaddr_un own = role_address(run, "server", number), peer = role_address(run, "client", number);
    int fd = role_bind(&own);
    if (run->scene->is_connected)
        role_connect(fd, &peer);
    if (run->scene->batch != 0) {
        receive_batches(&receiver, fd);
        return;
    }
    char *data = role_buffer(run->scene->bytes);
    do
        role_receive(run, fd, data);
    while (take_note(&receiver, data));
}

void scene_stream(const struct scene_run *run)
{
    role_start(run, play_receiver, 0, 0);
    role_start(run, play_sender, 0, 1);
    role_wait_for_all();
}

/* ---- Waiting for one socket ------------------------------------------------------------------------------------ */

static int wait_by_select(int fd)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    return select(fd + 1, &set, NULL, NULL, NULL);
}

static void wait_for(enum scene_wait wait, int fd, int epoll)
{
    struct epoll_event event;
    int ready;
    if (wait == SCENE_EPOLL)
        ready = epoll_wait(epoll, &event, 1, -1);
    else if (wait == SCENE_SELECT)
        ready = wait_by_select(fd);
    else
        ready = poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
    if (ready != 1)
        machine_fail("a wait");
}

static void play_waiting_receiver(const struct scene_run *run, uint32_t number)
{
    struct receiver receiver = {.run = run, .clock = CLOCK_PROCESS_CPUTIME_ID, .each = 1};
    struct sockaddr_un own = role_address(run, "server", number);
    char *data = role_buffer(run->scene->bytes);
    int fd = role_bind(&own), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        machine_fail("epoll");
    do {
        wait_for(run->scene->wait, fd, epoll);
        role_receive(run, fd, data);
    } while (take_note(&receiver, data));
}

/* Becomes a program that is not preloaded. */
static void play_plain_sender(const struct scene_run *run, uint32_t number)
{
    char warm[24], duration[24];
    (void)number;
    snprintf(warm, sizeof(warm), "%llu", (unsigned long long)run->warm_ns);
    snprintf(duration, sizeof(duration), "%llu", (unsigned long long)run->duration_ns);
    unsetenv("LD_PRELOAD");
    unsetenv("HQQ_PATHS");
    machine_pin_to_both(); /* it chooses its processor anew */
    execl("/proc/self/exe", "hqq-perf-sockets", "sender", run->row, run->folder, warm, duration, "1", (char *)NULL);
    machine_fail("exec");
}

void scene_waiter(const struct scene_run *run)
{
    role_start(run, play_waiting_receiver, 0, 0);
    role_start(run, play_plain_sender, 0, 1);
    role_wait_for_all();
}
