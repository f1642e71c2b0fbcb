#include "hostile/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <hqq/socket.h>

#include "channel/handshake.h"
#include "hostile/offers.h"
#include "hostile/spoil.h"
#include "layout/packet.h"

#define KEY_MAGIC UINT64_C(0x4851515f4b455932) /* as handshake.c has it */
#define MOST 16                                /* descriptors beside one datagram */

static const uint64_t values[] = {
    0, 1, 2, 3, 4, 5, 255, UINT64_C(1) << 32, UINT64_C(1) << 62, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};
#define VALUES (sizeof(values) / sizeof(values[0]))

/* By the kernel's own call, waiting for room. */
static void transmit(const struct scene *scene, int fd, uint64_t number, const int *fds, size_t count)
{
    struct sockaddr_un to = scene_name(scene, "server");
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(MOST * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = &number, .iov_len = sizeof(number)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_name = &to, .msg_namelen = sizeof(to)};
    if (count != 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
    }
    while (sendmsg(fd, &message, MSG_DONTWAIT) < 0) {
        if (errno != EAGAIN)
            heavy_fail("a datagram with %zu descriptors: %s", count, strerror(errno));
        scene_let_serve(scene, 1);
    }
}

/* A memfd that says so much of a key. */
static int key(uint64_t magic, uint64_t id, uint64_t secret, size_t bytes, int seals)
{
    const uint64_t words[3] = {magic, id, secret};
    int fd = memfd_create("hostile-key", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || pwrite(fd, words, bytes, 0) != (ssize_t)bytes || fcntl(fd, F_ADD_SEALS, seals) != 0)
        heavy_fail("a key: %s", strerror(errno));
    return fd;
}

#define KEY_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/* Sends it with its descriptors, which are closed. */
static void transmit_and_close(const struct scene *scene, int fd, uint64_t number, const int *fds, size_t count)
{
    transmit(scene, fd, number, fds, count);
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

/* A socket that the library does not know. */
static int plain_socket(const struct scene *scene, const char *name)
{
    struct sockaddr_un address = scene_name(scene, name);
    unlink(address.sun_path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) != 0)
        heavy_fail("%s: %s", name, strerror(errno));
    return fd;
}

/* ---- Junk -------------------------------------------------------------------------------------------------------- */

/* The server answers all that it gets, with itself; what it has no room for it drops, so only a few are under way. */
#define UNDER_WAY 6

struct asker {
    const struct scene *scene;
    int fd;
    uint64_t sent, due;
};

static void collect(struct asker *asker)
{
    uint64_t number;
    ssize_t got;
    while ((got = recv(asker->fd, &number, sizeof(number), MSG_DONTWAIT | MSG_TRUNC)) >= 0) {
        scene_check_foreign(asker->scene, "an answer", &number, sizeof(number));
        if (got != sizeof(number) || number != asker->due++)
            heavy_fail("an answer of %zd bytes, %llu where %llu is due", got, (unsigned long long)number,
                       (unsigned long long)(asker->due - 1));
    }
}

/* Waits until no more than so many answers are missing. */
static void wait_for_answers(struct asker *asker, uint64_t missing)
{
    collect(asker);
    for (int i = 0; asker->sent - asker->due > missing; i++) {
        if (i == 2000)
            heavy_fail("%llu of %llu datagrams with descriptors were answered", (unsigned long long)asker->due,
                       (unsigned long long)asker->sent);
        scene_let_serve(asker->scene, 4);
        collect(asker);
    }
}

/* Sends the next datagram with these beside it, which are closed. */
static void ask(struct asker *asker, const int *fds, size_t count)
{
    transmit_and_close(asker->scene, asker->fd, asker->sent++, fds, count);
    wait_for_answers(asker, UNDER_WAY);
}

/* The nth descriptor that is no key, or -1 beyond the last. */
static int junk(const struct scene *scene, size_t number)
{
    int two[2];
    switch (number) {
    case 0:
        return open("/dev/null", O_RDWR | O_CLOEXEC);
    case 1:
        return open("/dev/zero", O_RDWR | O_CLOEXEC);
    case 2:
        return open(scene->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    case 3:
        return open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    case 4:
    case 5:
        if (pipe2(two, O_CLOEXEC) != 0)
            heavy_fail("pipe: %s", strerror(errno));
        close(two[number - 4]);
        return two[5 - number];
    case 6:
        return epoll_create1(EPOLL_CLOEXEC);
    case 7:
        return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    case 8:
        return open(scene_name(scene, "server").sun_path, O_PATH | O_CLOEXEC);
    case 9: { /* large pages can't be had everywhere */
        int fd = memfd_create("hostile-key", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
        return fd >= 0 ? fd : memfd_create("hostile-key", MFD_CLOEXEC);
    }
    default:
        return -1;
    }
}

static void ask_with_keys(struct asker *asker)
{
    struct heavy_random random = heavy_random(asker->scene->seed, 70);
    for (size_t i = 0; i < VALUES; i++) {
        uint64_t id = heavy_next(&random);
        int of_secret = key(KEY_MAGIC, id, values[i], 24, KEY_SEALS);
        ask(asker, &of_secret, 1);
        int of_id = key(KEY_MAGIC, values[i], id, 24, i % 2 ? KEY_SEALS : 0);
        ask(asker, &of_id, 1);
        int of_magic = key(values[i], id, id, 24, KEY_SEALS);
        ask(asker, &of_magic, 1);
    }
    for (size_t bytes = 0; bytes < 24; bytes++) {
        int cut = key(KEY_MAGIC, 1, 2, bytes, KEY_SEALS);
        ask(asker, &cut, 1);
    }
}

static void ask_with_descriptors(struct asker *asker)
{
    int fds[MOST];
    size_t kinds = 0;
    for (int one; (one = junk(asker->scene, kinds)) >= 0; kinds++)
        ask(asker, &one, 1);
    for (size_t count = 2; count <= MOST; count *= 2) {
        for (int has_key = 0; has_key < 2; has_key++) {
            for (size_t i = 0; i < count; i++)
                fds[i] = has_key ? key(KEY_MAGIC, i, 7, 24, KEY_SEALS) : junk(asker->scene, i % kinds);
            ask(asker, fds, count);
        }
    }
}

uint64_t key_junk(const struct scene *scene)
{
    struct asker asker = {.scene = scene, .fd = plain_socket(scene, "other")};
    offer_in_vain(scene);
    ask_with_keys(&asker);
    offer_in_vain(scene);
    ask_with_descriptors(&asker);
    wait_for_answers(&asker, 0);
    scene_let_serve(scene, 16);
    collect(&asker); /* nothing that nobody asked for */
    if (asker.due != asker.sent)
        heavy_fail("more answers than questions");
    close(asker.fd);
    return asker.sent;
}

/* ---- Of a channel ------------------------------------------------------------------------------------------------ */

static void transmit_key(const struct scene *scene, int fd, uint64_t id, uint64_t secret)
{
    int own = key(KEY_MAGIC, id, secret, 24, KEY_SEALS);
    transmit_and_close(scene, fd, secret, &own, 1);
}

uint64_t key_replays(const struct scene *scene)
{
    uint64_t sent = 0;
    for (int round = 0; round < 2; round++) {
        struct spoiler spoiler = {0};
        spoil_open(&spoiler, scene, SPOIL_OFFERER);
        uint64_t id = spoiler.channel->id;
        for (size_t i = 0; i < VALUES; i++, sent++) {
            uint64_t echo = hqq_load_relaxed(&spoiler.channel->peer->echo);
            transmit_key(scene, spoiler.fd, id, values[i]);
            spoil_talk(&spoiler);
            scene_let_serve(scene, 4);
            if (hqq_load_relaxed(&spoiler.channel->peer->echo) != echo)
                heavy_fail("a second secret was repeated");
        }
        spoil_close(&spoiler);
        int fd = plain_socket(scene, "other"); /* the channel is over, or soon is */
        for (size_t i = 1; i < 4; i++, sent++)
            transmit_key(scene, fd, id, values[i]);
        scene_let_serve(scene, 16);
        close(fd);
    }
    return sent;
}

/* Nothing that an honest peer writes. */
static void break_channel(struct spoiler *spoiler)
{
    struct hqq_ring *ring = &spoiler->channel->tx;
    for (uint64_t i = 0; i < ring->count; i++)
        hqq_store_relaxed(&hqq_ring_packet(ring, i)[0], 0x42);
    hqq_store_release(hqq_ring_w(ring), hqq_load_relaxed(hqq_ring_w(ring)) + 2 * ring->count);
}

uint64_t key_of_two_names(const struct scene *scene)
{
    uint64_t sent = 0;
    for (int round = 0; round < 4; round++) {
        struct spoiler spoiler = {0};
        spoil_open(&spoiler, scene, SPOIL_OFFERER);
        int fd = plain_socket(scene, "other");
        for (size_t i = 1; i < 4; i++, sent++)
            transmit_key(scene, fd, spoiler.channel->id, values[i]);
        scene_let_serve(scene, 16);
        break_channel(&spoiler);
        transmit_key(scene, spoiler.fd, spoiler.channel->id, 1);
        scene_let_serve(scene, 16);
        close(fd);
        spoil_close(&spoiler);
    }
    return sent;
}
