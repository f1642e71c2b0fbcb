/*
 * Small scenes with one stranger each, who has no pair, or one that nobody has proved: what it says is not heard, and
 * who hears it is not kept from its work. Each in processes of its own.
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

#include "layout/packet.h"
#include "ring/produce.h"
#include "socket/config.h"
#include "socket/endpoint.h"
#include "socket/libc.h"
#include "socket/pair.h"
#include "socket/rendezvous.h"
#include "socket/start.h"
#include "socket/token.h"
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

static bool send_plainly(const struct place *place, const void *data, size_t length)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_sent = sendto(fd, data, length, MSG_DONTWAIT, generic(&place->server), sizeof(place->server)) >= 0;
    close(fd);
    return is_sent;
}

/* ---- Junk that one process hands the other ---------------------------------------------------------------------- */

/* Parent and child have both received; then only the child does. A bell that it does not know it may hand on to its
 * parent, by the same queue: it must not do that for ever. */
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
    for (uint64_t i = 0; i < 8; i++) {
        const struct hqq_token token = hqq_token_make((struct hqq_pair_id){{i, i}}, HQQ_TOKEN_BELL, i);
        if (!send_plainly(place, &token, sizeof(token)))
            return 3;
    }
    uint64_t began = hqq_clock_ns();
    for (int i = 0; i < 1000; i++) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        if (hqq_recv(fd, &byte, 1, MSG_DONTWAIT) >= 0)
            return 4;
        if (poll(&one, 1, 0) == 0) /* nothing goes round any more */
            break;
        if (i == 999)
            return 5;
    }
    if (!send_plainly(place, "x", 1) || hqq_recv(fd, &byte, 1, MSG_DONTWAIT) != 1 || byte != 'x')
        return 6;
    return hqq_clock_ns() - began < LONGEST_NS ? 0 : 7;
}

static void junk_bells_do_not_go_round_a_socket_that_two_processes_share(void **state)
{
    assert_int_equal(child_run(share_a_socket, *state), 0);
}

/* ---- Junk that does not end -------------------------------------------------------------------------------------- */

/* Whenever the library asks the kernel for a datagram there is one more. */
static long (*real_syscall)(long number, ...);
static struct {
    int from;
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
    const struct hqq_token token = hqq_token_make((struct hqq_pair_id){{1, 2}}, HQQ_TOKEN_BARRIER, 3);
    int saved = errno;
    flood.sent += sendto(flood.from, &token, sizeof(token), MSG_DONTWAIT, generic(&flood.to), sizeof(flood.to)) >= 0;
    errno = saved;
    return real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

static int receive_in_a_flood(void *arg)
{
    const struct place *place = arg;
    struct timeval limit = {.tv_usec = 1000};
    char byte;
    int fd = serve(place);
    int own = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    hqq_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (hqq_connect(own, generic(&place->server), sizeof(place->server)) != 0)
        return 3;
    for (int i = 0; i < 64; i++) { /* until it has a pair, and so may meet tokens */
        hqq_send(own, "y", 1, MSG_DONTWAIT);
        hqq_recv(fd, &byte, 1, MSG_DONTWAIT);
    }
    flood.from = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    flood.to = place->server;
    real_syscall = hqq_libc.syscall;
    hqq_libc.syscall = flooded_syscall;
    struct pollfd one = {.fd = fd, .events = POLLIN};
    int left = 0;
    hqq_poll(&one, 1, 0);
    hqq_ioctl(fd, FIONREAD, &left);
    if (left != 0 || hqq_recv(fd, &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN)
        return 4;
    if (hqq_recv(fd, &byte, 1, 0) >= 0 || errno != EAGAIN) /* its limit has passed */
        return 5;
    hqq_libc.syscall = real_syscall;
    return flood.sent > 100 ? 0 : 6;
}

static void receives_and_waits_end_in_a_flood_of_junk_tokens(void **state)
{
    assert_int_equal(child_run(receive_in_a_flood, *state), 0);
}

/* ---- A receiver that makes way --------------------------------------------------------------------------------- */

#define UNREAD 100u

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
    char byte;
    int fd = serve(place);
    int own = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (hqq_connect(own, generic(&place->server), sizeof(place->server)) != 0)
        return 3;
    for (int i = 0; i < 64; i++) {
        hqq_send(own, "y", 1, MSG_DONTWAIT);
        hqq_recv(fd, &byte, 1, MSG_DONTWAIT);
    }
    for (uint32_t i = 0; i < UNREAD; i++) {
        if (hqq_send(own, &i, sizeof(i), MSG_DONTWAIT) != sizeof(i))
            return 4;
    }
    while (send_plainly(place, "xx", 2)) { /* its queue is full */
    }
    hqq_store32_release(&hqq_endpoint_find(fd)->pairs->own->door, HQQ_DOOR_HANDED_OVER);
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

/* Takes the first offer, and speaks in its ring as if it were the server. */
static int squat(const struct place *place)
{
    struct hqq_place at;
    struct hqq_pair *pair;
    hqq_start();
    const struct hqq_rule *rule = hqq_config_match(generic(&place->server), sizeof(place->server));
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(place->server.sun_path));
    if (!rule || hqq_rendezvous_place(rule, &place->server, length, -1, &at) != 0)
        return 3;
    int listener = hqq_rendezvous_listen(&at);
    *place->stage = 1;
    int caller, memory = -EAGAIN;
    while ((caller = hqq_rendezvous_accept(rule, listener)) == -EAGAIN)
        sched_yield();
    while (memory == -EAGAIN)
        memory = hqq_rendezvous_hear(caller);
    if (memory < 0 || hqq_pair_attach(memory, &pair) != 0)
        return 4;
    const struct hqq_packet packet = {.opcode = HQQ_OPCODE_COPY, .operand = {1, 0, 5, 0, 0, 0, 0}};
    uint64_t position;
    if (hqq_ring_claim_write(&pair->tx, 1, &position) != 1)
        return 5;
    memcpy(hqq_ring_buffer(&pair->tx, position), "false", 5);
    hqq_packet_store(hqq_ring_packet(&pair->tx, position), &packet);
    hqq_ring_publish(&pair->tx, position);
    hqq_store32_release(&pair->own->stage, HQQ_STAGE_SEEN);
    *place->stage = 2;
    while (*place->stage != 3)
        sched_yield();
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
    for (int i = 0; *place->stage != 2; i++) {
        hqq_send(client, "question", 8, 0);
        recv(server, text, sizeof(text), 0);
        hqq_recv(client, text, sizeof(text), MSG_DONTWAIT);
    }
    int on = 1, off = 0; /* parks the links, and looks at all rings */
    hqq_recv(client, text, sizeof(text), MSG_DONTWAIT);
    hqq_setsockopt(client, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
    ssize_t got = hqq_recv(client, text, sizeof(text), MSG_DONTWAIT);
    hqq_setsockopt(client, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
    *place->stage = 3;
    int status = heavy_reap(squatter);
    return status != 0 ? status : got < 0 && errno == EAGAIN ? 0 : 8;
}

static void a_squatter_cannot_speak_for_the_server(void **state)
{
    assert_int_equal(child_run(be_lied_to, *state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(junk_bells_do_not_go_round_a_socket_that_two_processes_share, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(receives_and_waits_end_in_a_flood_of_junk_tokens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_send_that_may_not_wait_does_not_while_what_was_not_read_is_sent_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_squatter_cannot_speak_for_the_server, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
