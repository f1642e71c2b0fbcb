#include "multiprocess/actor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <hqq/error.h>

#include "support/heavy.h"

#define PATIENCE_NS (20 * HEAVY_S)

/* ---- In the actor -------------------------------------------------------------------------------------------------
 * */

static int receive_descriptor(int socket)
{
    char byte;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1)
        heavy_fail("recvmsg: %s", strerror(errno));
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS)
        heavy_fail("no descriptor came");
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    return fd;
}

static struct hqq_link *open_link(const char *how, const char *name)
{
    struct hqq_link_config config = actor_config(HQQ_ROLE_ANY);
    struct hqq_link *link;
    if (strcmp(how, ACTOR_CREATE) == 0) {
        heavy_expect("create", hqq_link_create(name, &config, &link), 0);
    } else if (strcmp(how, ACTOR_RECEIVE) == 0) {
        int fd = receive_descriptor(atoi(name));
        heavy_expect("attach_fd", hqq_link_attach_fd(fd, &config, &link), 0);
        close(fd);
    } else {
        config.role = strcmp(how, ACTOR_PRIMARY) == 0 ? HQQ_ROLE_PRIMARY : HQQ_ROLE_SECONDARY;
        heavy_expect("open", hqq_link_open(name, &config, &link), 0);
    }
    heavy_expect("deadline", hqq_link_set_deadline(link, hqq_clock_ns() + PATIENCE_NS), 0);
    return link;
}

static void run(const char *how, const char *name, const char *act, unsigned count)
{
    unsigned char data[ACTOR_BUFFER_SIZE];
    struct hqq_link *link = open_link(how, name);
    struct hqq_slot slot;
    size_t length;
    for (unsigned i = 0; i < count; i++) {
        heavy_expect("the actor's read", hqq_link_read(link, data, sizeof(data), &length), 0);
        heavy_expect("the actor's write", hqq_link_write(link, data, length), 0);
    }
    if (strcmp(act, ACTOR_DIE_READING) == 0) {
        heavy_expect("the actor's borrow", hqq_link_borrow(link, &slot), 0);
        raise(SIGKILL);
    }
    if (strcmp(act, ACTOR_DIE_WRITING) == 0) {
        heavy_expect("the actor's reserve", hqq_link_reserve(link, &slot), 0);
        raise(SIGKILL);
    }
    hqq_link_close(link);
}

void actor_run_if_asked(int argc, char **argv)
{
    if (argc != 6 || strcmp(argv[1], "--actor") != 0)
        return;
    alarm(60);
    run(argv[2], argv[3], argv[4], (unsigned)atoi(argv[5]));
    exit(0);
}

/* ---- In the test --------------------------------------------------------------------------------------------------
 * */

pid_t actor_start(const char *how, const char *name, const char *act, unsigned count)
{
    char number[16];
    snprintf(number, sizeof(number), "%u", count);
    pid_t child = heavy_fork();
    if (child != 0)
        return child;
    execl("/proc/self/exe", "actor", "--actor", how, name, act, number, (char *)NULL);
    _exit(127);
}

struct hqq_link_config actor_config(enum hqq_role role)
{
    return (struct hqq_link_config){
        .buffer_count = ACTOR_BUFFER_COUNT,
        .buffer_size = ACTOR_BUFFER_SIZE,
        .attach_timeout_ns = PATIENCE_NS,
        .peer_check_ns = ACTOR_PEER_CHECK_NS,
        .role = role,
    };
}

void actor_name(char name[], size_t size)
{
    static unsigned count;
    snprintf(name, size, "hqq-test-%ld-%llx-%u", (long)getpid(), (unsigned long long)hqq_clock_ns(), count++);
}

struct hqq_link *actor_open_when_there(const char *name)
{
    const struct hqq_link_config config = actor_config(HQQ_ROLE_SECONDARY);
    const struct timespec pause = {.tv_nsec = 1000000};
    uint64_t until = hqq_clock_ns() + PATIENCE_NS;
    struct hqq_link *link;
    int result;
    while ((result = hqq_link_open(name, &config, &link)) == -ENOENT && hqq_clock_ns() < until)
        nanosleep(&pause, NULL);
    heavy_expect("open", result, 0);
    return link;
}

void actor_converse(struct hqq_link *link, unsigned first, unsigned count)
{
    unsigned char data[ACTOR_BUFFER_SIZE];
    unsigned sent = 0, producer;
    uint32_t number;
    heavy_expect("deadline", hqq_link_set_deadline(link, hqq_clock_ns() + PATIENCE_NS), 0);
    for (unsigned got = 0; got < count; got++) {
        for (; sent < count && sent < got + ACTOR_BUFFER_COUNT / 2; sent++) {
            size_t size = HEAVY_ELEMENT_MIN + (first + sent) % (ACTOR_BUFFER_SIZE - HEAVY_ELEMENT_MIN + 1);
            heavy_element_fill(data, size, 1, first + sent);
            heavy_expect("write", hqq_link_write(link, data, size), 0);
        }
        size_t length;
        heavy_expect("read", hqq_link_read(link, data, sizeof(data), &length), 0);
        if (heavy_element_check(data, length, &producer, &number) != HEAVY_WHOLE || number != first + got)
            heavy_fail("what came back is not what was sent");
    }
}
