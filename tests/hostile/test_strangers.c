/*
 * Small scenes with one stranger each, who has no channel, or one that nobody has validated: what it writes is not read, and
 * who receives is not kept from its work. Each in processes of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <hqq/socket.h>

#include "channel/channel.h"
#include "channel/handshake.h"
#include "channel/rendezvous.h"
#include "channel/rx.h"
#include "channel/tx.h"
#include "endpoint/endpoint.h"
#include "layout/packet.h"
#include "runtime/config.h"
#include "runtime/started.h"
#include "runtime/libc.h"
#include "support/child.h"
#include "support/heavy.h"

#define LONGEST_NS (5 * HEAVY_S * HEAVY_SLOWNESS)

struct place {
    char folder[32];
    struct sockaddr_un server;
    _Atomic int *stage;
};

static const struct sockaddr *generic(const struct sockaddr_un *address)
{
    return (const struct sockaddr *)(const void *)address;
}

static int set_up(void **state)
{
    static struct place place;
    place = (struct place){.folder = "/tmp/hqq-stranger-XXXXXX", .server.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(place.folder));
    snprintf(place.server.sun_path, sizeof(place.server.sun_path), "%s/server", place.folder);
    place.stage = heavy_shared(sizeof(int));
    *state = &place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    heavy_shared_free((void *)(uintptr_t)place->stage, sizeof(int));
    unlink(place->server.sun_path);
    return rmdir(place->folder);
}

static int serve(const struct place *place)
{
    int fd = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    alarm(20 * HEAVY_SLOWNESS); /* a hang is a death by SIGALRM */
    unlink(place->server.sun_path);
    return fd >= 0 && hqq_bind(fd, generic(&place->server), sizeof(place->server)) == 0 ? fd : -1;
}

static bool send_with(const struct place *place, const void *data, size_t length, int beside)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct sockaddr_un to = place->server;
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_name = &to, .msg_namelen = sizeof(to)};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (beside >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &beside, sizeof(int));
    }
    bool is_sent = sendmsg(fd, &message, MSG_DONTWAIT) >= 0;
    close(fd);
    return is_sent;
}

static bool send_plainly(const struct place *place, const void *data, size_t length)
{
    return send_with(place, data, length, -1);
}

/* A key of no channel, or of one. */
static int key_of(uint64_t id)
{
    uint64_t secret;
    const struct hqq_channel channel = {.id = id};
    return hqq_handshake_make_key(&channel, &secret);
}

static const struct hqq_rule *rule_of(const struct place *place)
{
    hqq_start();
    return hqq_config_match(generic(&place->server), sizeof(place->server));
}

static int rendezvous_of(const struct place *place, struct hqq_place *ret_at)
{
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(place->server.sun_path));
    const struct hqq_rule *rule = rule_of(place);
    return rule ? hqq_rendezvous_place(rule, &place->server, length, -1, ret_at) : -ENOENT;
}

/* A client of the server's in the same process, and a channel between the two that is polled. */
static int open_channel(const struct place *place, int server)
{
    char byte;
    int client = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (hqq_connect(client, generic(&place->server), sizeof(place->server)) != 0)
        return -1;
    struct hqq_endpoint *endpoint = hqq_endpoint_find(server);
    for (uint64_t until = hqq_clock_ns() + LONGEST_NS; hqq_clock_ns() < until;) {
        hqq_send(client, "y", 1, MSG_DONTWAIT);
        hqq_recv(server, &byte, 1, MSG_DONTWAIT);
        hqq_store32_relaxed(&endpoint->is_intercepted, 1);
        struct hqq_socket_status status;
        if (hqq_socket_status(client, &status) == 0 && status.sent_ring > 1)
            return client;
    }
    return -1;
}

/* ---- Junk that two processes meet -------------------------------------------------------------------------------- */

/* Parent and child have both received; then only the child does. Datagrams with keys that neither knows are the program's like
 * any: each arrives once, and then there is nothing more. */
static int share_a_socket(void *arg)
{
    const struct place *place = arg;
    char byte;
    int fd = serve(place);
    hqq_recv(fd, &byte, 1, MSG_DONTWAIT);
    pid_t child = heavy_fork();
    if (child != 0)
        return heavy_reap(child);
    alarm(20 * HEAVY_SLOWNESS);
    hqq_recv(fd, &byte, 1, MSG_DONTWAIT); /* from now on the socket is contested */
    struct heavy_holdings before = heavy_holdings();
    for (char i = 0; i < 8; i++) {
        int key = key_of((uint64_t)i);
        if (!send_with(place, &i, 1, key))
            return 3;
        close(key);
    }
    uint64_t began = hqq_clock_ns();
    for (char i = 0; i < 8; i++) {
        if (hqq_recv(fd, &byte, 1, MSG_DONTWAIT) != 1 || byte != i)
            return 4;
    }
    struct pollfd one = {.fd = fd, .events = POLLIN};
    if (poll(&one, 1, 0) != 0 || hqq_recv(fd, &byte, 1, MSG_DONTWAIT) >= 0)
        return 5;
    if (!send_plainly(place, "x", 1) || hqq_recv(fd, &byte, 1, MSG_DONTWAIT) != 1 || byte != 'x')
        return 6;
    if (heavy_holdings().descriptors != before.descriptors)
        return 8;
    return hqq_clock_ns() - began < LONGEST_NS ? 0 : 7;
}

static void junk_keys_are_nothing_to_a_socket_that_two_processes_share(void **state)
{
    assert_int_equal(child_run(share_a_socket, *state), 0);
}

/* ---- Junk that does not end -------------------------------------------------------------------------------------- */

/* Whenever the library asks the kernel for anything there are more datagrams, each with a key of no channel. */
static long (*real_syscall)(long number, ...);
static struct {
    int from, key;
    struct sockaddr_un to;
    uint64_t sent;
} flood;

static long flooded_syscall(long number, ...)
{
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    int saved = errno;
    struct iovec part = {.iov_base = "junk", .iov_len = 4};
    union hqq_handshake_control control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_name = &flood.to, .msg_namelen = sizeof(flood.to)};
    hqq_handshake_attach(&message, &control, flood.key);
    while (sendmsg(flood.from, &message, MSG_DONTWAIT) >= 0)
        flood.sent++;
    errno = saved;
    return real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

/* What was published in the ring comes in order, and soon, though the kernel's queue never runs empty. */
static int receive_beside_a_flood(int fd, int own)
{
    uint32_t expected = 0, junk = 0;
    for (uint32_t i = 0; i < 16; i++) {
        if (hqq_send(own, &i, sizeof(i), MSG_DONTWAIT) != sizeof(i))
            return 4;
    }
    real_syscall = hqq_libc.syscall;
    hqq_libc.syscall = flooded_syscall;
    struct pollfd one = {.fd = fd, .events = POLLIN};
    while (expected < 16) {
        char data[8];
        int left = 0;
        uint32_t number;
        if (hqq_poll(&one, 1, 0) != 1 || hqq_ioctl(fd, FIONREAD, &left) != 0 || left != 4)
            return 5;
        if (hqq_recv(fd, data, sizeof(data), MSG_DONTWAIT) != 4)
            return 6;
        memcpy(&number, data, sizeof(number));
        if (memcmp(data, "junk", 4) == 0)
            junk++;
        else if (number != expected++)
            return 7;
        if (junk > 100)
            return 8;
    }
    for (int i = 0; i < 200; i++) { /* and the flood does */
        char data[8];
        if (hqq_recv(fd, data, sizeof(data), 0) != 4 || memcmp(data, "junk", 4) != 0)
            return 9;
    }
    hqq_libc.syscall = real_syscall;
    return flood.sent > 100 ? 0 : 10;
}

static int receive_in_a_flood(void *arg)
{
    const struct place *place = arg;
    struct timeval limit = {.tv_usec = 1000};
    int fd = serve(place);
    hqq_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    int own = open_channel(place, fd);
    if (own < 0)
        return 3;
    char byte;
    while (hqq_recv(fd, &byte, 1, MSG_DONTWAIT) >= 0) {
    }
    struct heavy_holdings before = heavy_holdings();
    flood.from = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    flood.key = key_of(1);
    flood.to = place->server;
    int result = receive_beside_a_flood(fd, own);
    close(flood.from);
    close(flood.key);
    return result != 0 || heavy_holdings().descriptors == before.descriptors ? result : 11;
}

static void neither_the_ring_nor_the_queue_starves_in_a_flood_of_junk_keys(void **state)
{
    assert_int_equal(child_run(receive_in_a_flood, *state), 0);
}

/* ---- A receiver that makes way --------------------------------------------------------------------------------- */

#define UNREAD 10u /* as many as a ring may owe at first */

/* Whoever has the socket next, and knows nothing of links. Returns the next number that he gets, UINT32_MAX: none. */
static uint32_t receive_next(int fd)
{
    unsigned char data[64];
    uint32_t number;
    ssize_t got;
    while ((got = recv(fd, data, sizeof(data), MSG_DONTWAIT)) >= 0) {
        memcpy(&number, data, sizeof(number));
        if (got == sizeof(number))
            return number;
    }
    return UINT32_MAX;
}

static int be_handed_over(void *arg)
{
    const struct place *place = arg;
    int fd = serve(place);
    int own = open_channel(place, fd);
    if (own < 0)
        return 3;
    char byte;
    while (hqq_recv(fd, &byte, 1, MSG_DONTWAIT) >= 0) {
    }
    for (uint32_t i = 0; i < UNREAD; i++) {
        if (hqq_send(own, &i, sizeof(i), MSG_DONTWAIT) != sizeof(i))
            return 4;
    }
    while (send_plainly(place, "xx", 2)) { /* its queue is full */
    }
    hqq_rx_stop(hqq_endpoint_find(fd)->channels, HQQ_HANDOFF);
    uint32_t last = UNREAD, expected = 0;
    uint64_t began = hqq_clock_ns();
    if (hqq_send(own, &last, sizeof(last), MSG_DONTWAIT) >= 0 || errno != EAGAIN || hqq_clock_ns() - began > LONGEST_NS)
        return 5;
    for (bool is_sent = false; expected <= UNREAD;) {
        uint32_t number = receive_next(fd);
        if (number != UINT32_MAX && number != expected++)
            return 6;
        if (!is_sent)
            is_sent = hqq_send(own, &last, sizeof(last), MSG_DONTWAIT) >= 0;
        if (!is_sent && errno != EAGAIN)
            return 7;
    }
    return 0;
}

static void a_send_that_may_not_wait_does_not_while_what_was_not_read_is_sent_again(void **state)
{
    assert_int_equal(child_run(be_handed_over, *state), 0);
}

/* ---- A squatter of the same user --------------------------------------------------------------------------------- */

/* As an honest sender would, but for a receiver whose word it has written itself. */
static void inject(struct hqq_channel *channel, const char *text)
{
    uint64_t length = strlen(text);
    struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = length};
    hqq_store_release(&channel->peer->notify, HQQ_POLLING);
    hqq_store_release(&channel->peer->drain_acknowledged, hqq_load_relaxed(&channel->own->drain_requested));
    uint64_t position = hqq_tx_position(channel);
    if (hqq_tx_has_room(channel, 1)) {
        hqq_tx_fill(channel, position, &part, 1, length, false);
        hqq_tx_publish(channel, position, position + 1);
    }
    hqq_add_relaxed(&channel->own->drain_requested, 1); /* it asks to be looked at */
}

/* Says all that the server would say, and guesses at the secret. */
static void lie(struct hqq_channel *channel, uint64_t guess)
{
    hqq_store_release(&channel->own->notify, HQQ_POLLING);
    hqq_store_release(&channel->own->drain_acknowledged, hqq_load_relaxed(&channel->peer->drain_requested));
    hqq_store_relaxed(&channel->own->received_ns, hqq_clock_ns());
    hqq_store_release(&channel->own->echo, heavy_mix(guess));
    hqq_handshake_tell(channel, HQQ_STAGE_ACKNOWLEDGED);
}

/* Takes the first offer, and speaks in its ring as if it were the server. */
static int squat(const struct place *place)
{
    struct hqq_place at;
    struct hqq_channel *channel;
    if (rendezvous_of(place, &at) != 0)
        return 3;
    int listener = hqq_rendezvous_listen(&at);
    *place->stage = 1;
    int caller, memory = -EAGAIN;
    while ((caller = hqq_rendezvous_accept(rule_of(place), listener)) == -EAGAIN)
        sched_yield();
    while (memory == -EAGAIN)
        memory = hqq_rendezvous_read_offer(caller);
    if (memory < 0 || hqq_channel_attach(memory, &channel) != 0)
        return 4;
    *place->stage = 2;
    for (uint64_t guess = 0; *place->stage != 3; guess++) {
        lie(channel, guess);
        inject(channel, "false");
    }
    if (hqq_load_relaxed(hqq_ring_w(&channel->rx)) != 0) /* not one datagram was entrusted to it */
        return 5;
    return 0;
}

#define QUESTIONS 2000

/* Asks, and is answered by the kernel's datagrams alone. */
static int ask_in_vain(int client, int server)
{
    char text[16];
    for (int i = 0; i < QUESTIONS; i++) {
        int on = 1, off = 0;
        if (hqq_send(client, "question", 8, 0) != 8 || recv(server, text, sizeof(text), MSG_DONTWAIT) != 8)
            return 6;
        if (hqq_recv(client, text, sizeof(text), MSG_DONTWAIT) >= 0 || errno != EAGAIN)
            return 8;
        if (i % 16 != 0)
            continue;
        hqq_setsockopt(client, SOL_SOCKET, SO_PASSCRED, &on,
                       sizeof(on)); /* suspends the channels, and looks at all rings */
        if (hqq_recv(client, text, sizeof(text), MSG_DONTWAIT) >= 0 || errno != EAGAIN)
            return 8;
        hqq_setsockopt(client, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
    }
    return 0;
}

static int be_lied_to(void *arg)
{
    const struct place *place = arg;
    char text[16];
    int server = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* plain: it has no rendezvous */
    alarm(20 * HEAVY_SLOWNESS);
    if (bind(server, generic(&place->server), sizeof(place->server)) != 0)
        return 9;
    pid_t squatter = heavy_fork();
    if (squatter == 0)
        _exit(squat(place));
    while (*place->stage != 1)
        sched_yield();
    int client = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un none = {.sun_family = AF_UNIX};
    hqq_bind(client, generic(&none), sizeof(sa_family_t));
    hqq_connect(client, generic(&place->server), sizeof(place->server));
    while (*place->stage != 2) {
        hqq_send(client, "question", 8, 0);
        recv(server, text, sizeof(text), 0);
        hqq_recv(client, text, sizeof(text), MSG_DONTWAIT);
    }
    hqq_store32_relaxed(&hqq_endpoint_find(client)->is_intercepted, 1); /* so it would poll */
    int result = ask_in_vain(client, server);
    *place->stage = 3;
    int status = heavy_reap(squatter);
    return status != 0 ? status : result;
}

static void a_squatter_gets_nothing_and_cannot_speak_for_the_server(void **state)
{
    assert_int_equal(child_run(be_lied_to, *state), 0);
}

/* Receives until the socket's status has the reason. 0, or the number of the failure. */
static int receive_until(const struct place *place, int fd, enum hqq_socket_reason reason, int failure)
{
    char text[16];
    for (uint64_t until = hqq_clock_ns() + LONGEST_NS; hqq_clock_ns() < until;) {
        struct hqq_socket_status status;
        send_plainly(place, "x", 1);
        if (hqq_recv(fd, text, sizeof(text), 0) != 1 || hqq_socket_status(fd, &status) != 0)
            return failure;
        if (status.reason == reason)
            return 0;
    }
    return failure;
}

/* It comes before the server's first receive, and leaves in the end. */
static int tell_of_a_squatter(void *arg)
{
    const struct place *place = arg;
    struct hqq_place at;
    int fd = serve(place);
    int squatter = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || rendezvous_of(place, &at) != 0 || bind(squatter, generic(&at.rendezvous), at.rendezvous_length) != 0)
        return 3;
    int result = receive_until(place, fd, HQQ_SOCKET_NO_RENDEZVOUS, 4);
    close(squatter);
    return result != 0 ? result : receive_until(place, fd, HQQ_SOCKET_NO_TRAFFIC, 5);
}

static void the_report_tells_of_a_squatter(void **state)
{
    assert_int_equal(child_run(tell_of_a_squatter, *state), 0);
}

/* ---- Who offers, and never sends --------------------------------------------------------------------------------- */

/* The offer is right, and what is to be read lies in the ring already; but the kernel has never said that its maker may send. */
static int be_offered(void *arg)
{
    const struct place *place = arg;
    struct hqq_place at;
    struct hqq_channel *channel;
    char text[16];
    int memory, on = 1;
    int fd = serve(place);
    hqq_recv(fd, text, sizeof(text), MSG_DONTWAIT);
    send_plainly(place, "x", 1);
    if (hqq_recv(fd, text, sizeof(text), 0) != 1 || rendezvous_of(place, &at) != 0 ||
        hqq_channel_create(rule_of(place), &memory, &channel) != 0)
        return 3;
    int caller = hqq_rendezvous_reach(rule_of(place), &at);
    if (caller < 0 || hqq_rendezvous_offer(caller, memory) != 0)
        return 4;
    for (int i = 0; i < 1000; i++) {
        inject(channel, "false");
        send_plainly(place, "x", 1);
        if (hqq_recv(fd, text, sizeof(text), 0) != 1 || hqq_recv(fd, text, sizeof(text), MSG_DONTWAIT) >= 0)
            return 5;
        if (hqq_handshake_stage(channel) == HQQ_STAGE_ACKNOWLEDGED)
            break;
        usleep(500);
    }
    if (hqq_handshake_stage(channel) != HQQ_STAGE_ACKNOWLEDGED)
        return 6;
    inject(channel, "false");
    hqq_setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)); /* suspends the channels, and looks at all rings */
    return hqq_recv(fd, text, sizeof(text), MSG_DONTWAIT) < 0 && errno == EAGAIN ? 0 : 7;
}

static void what_was_offered_is_not_read_before_a_challenge(void **state)
{
    assert_int_equal(child_run(be_offered, *state), 0);
}

int main(void)
{
    setenv("HQQ_POLLING", "always", 1); /* rings are to be used whether it pays or not */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(junk_keys_are_nothing_to_a_socket_that_two_processes_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(neither_the_ring_nor_the_queue_starves_in_a_flood_of_junk_keys, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_send_that_may_not_wait_does_not_while_what_was_not_read_is_sent_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_squatter_gets_nothing_and_cannot_speak_for_the_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_report_tells_of_a_squatter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_offered_is_not_read_before_a_challenge, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
