/* A link whose memory is passed from process to process as a descriptor over a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <hqq/error.h>

#include "multiprocess/actor.h"
#include "support/heavy.h"

/* What is sent is a descriptor, beside one byte, as a message must have some. */
static void send_descriptor(int socket, int fd)
{
    char byte = 0;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    memset(&control, 0, sizeof(control));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(fd));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    assert_int_equal(sendmsg(socket, &message, 0), 1);
}

/* Passes fd to an actor, which gets the socket's number and nothing else. */
static pid_t start_with(int fd, const char *act, unsigned count)
{
    int sockets[2];
    char number[16];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    snprintf(number, sizeof(number), "%d", sockets[1]);
    pid_t child = actor_start(ACTOR_RECEIVE, number, act, count);
    send_descriptor(sockets[0], fd);
    close(sockets[0]);
    close(sockets[1]);
    return child;
}

static void a_memfd_passed_over_a_socket_links_two_processes(void **state)
{
    (void)state;
    const struct hqq_link_config config = actor_config(HQQ_ROLE_ANY);
    struct heavy_holdings before = heavy_holdings();
    struct hqq_link *link;
    int fd;
    assert_int_equal(hqq_link_create_fd(&config, &fd, &link), 0);
    pid_t child = start_with(fd, ACTOR_ECHO, 1000);
    close(fd);
    actor_converse(link, 0, 1000);
    assert_int_equal(heavy_reap(child), 0);
    hqq_link_close(link);
    struct heavy_holdings after = heavy_holdings();
    assert_int_equal(after.descriptors, before.descriptors);
    assert_int_equal(after.shared_mappings, before.shared_mappings);
}

static void the_same_memfd_serves_one_process_after_another(void **state)
{
    (void)state;
    const struct hqq_link_config config = actor_config(HQQ_ROLE_ANY);
    struct hqq_link *link;
    int fd;
    assert_int_equal(hqq_link_create_fd(&config, &fd, &link), 0);
    for (unsigned i = 0; i < 3; i++) {
        pid_t child = start_with(fd, i == 1 ? ACTOR_DIE_WRITING : ACTOR_ECHO, 10);
        /* Until it holds its end we may still see the one before. */
        assert_int_equal(hqq_link_set_read_timeout(link, HQQ_FOREVER), 0);
        while (hqq_link_peer(link) != HQQ_PEER_ALIVE)
            usleep(1000);
        actor_converse(link, 10 * i, 10);
        char data[ACTOR_BUFFER_SIZE];
        size_t length;
        assert_int_equal(hqq_link_read(link, data, sizeof(data), &length),
                         i == 1 ? HQQ_ERROR_PEER_DIED : HQQ_ERROR_CLOSED);
        assert_int_equal(heavy_reap(child), i == 1 ? 128 + 9 : 0);
    }
    close(fd);
    hqq_link_close(link);
}

int main(int argc, char **argv)
{
    actor_run_if_asked(argc, argv);
    alarm(120);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_memfd_passed_over_a_socket_links_two_processes),
        cmocka_unit_test(the_same_memfd_serves_one_process_after_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
