#include "hostile/offers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/channel.h"
#include "channel/rendezvous.h"
#include "layout/layout.h"
#include "layout/superblock.h"
#include "runtime/config.h"
#include "runtime/started.h"

#define OFFER_MAGIC UINT64_C(0x4851515f4f465232)     /* "HQQ_OFR2" */
#define OLD_OFFER_MAGIC UINT64_C(0x4851515f4f465231) /* of the protocol before */
#define OLD_BLOCK_MAGIC UINT64_C(0x4851515f43484e31)
#define MOST 254 /* descriptors of one message: the kernel takes one less */

/* ---- Calling --------------------------------------------------------------------------------------------------- */

static const struct hqq_rule *rule_of(const struct scene *scene)
{
    struct sockaddr_un server = scene_name(scene, "server");
    hqq_start();
    const struct hqq_rule *rule = hqq_config_match((const struct sockaddr *)(const void *)&server, sizeof(server));
    if (!rule)
        heavy_fail("the server's name is not configured");
    return rule;
}

/* A connection to the server's rendezvous; there are many callers, so it may have to wait. */
static int call(const struct scene *scene)
{
    struct sockaddr_un server = scene_name(scene, "server");
    struct hqq_place place;
    int result =
        hqq_rendezvous_place(rule_of(scene), &server,
                             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(server.sun_path)), -1, &place);
    if (result != 0)
        heavy_fail("no place of the rendezvous: %s", strerror(-result));
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    while (connect(fd, (const struct sockaddr *)(const void *)&place.rendezvous, place.rendezvous_length) != 0) {
        if (errno != EAGAIN)
            heavy_fail("the rendezvous: %s", strerror(errno));
        scene_let_serve(scene, 1);
    }
    return fd;
}

/* Sends bytes and descriptors, both any number of them. */
static void say(int caller, const void *bytes, size_t length, const int *fds, size_t count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(MOST * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count != 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
    }
    if (sendmsg(caller, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EPIPE && errno != ECONNRESET)
        heavy_fail("an offer of %zu bytes and %zu descriptors: %s", length, count, strerror(errno));
}

static const uint64_t proper[2] = {OFFER_MAGIC, 0};

/* One call with one descriptor in an offer that is right otherwise. Closes it. */
static void offer(const struct scene *scene, int fd)
{
    int caller = call(scene);
    if (fd < 0)
        heavy_fail("a descriptor to offer: %s", strerror(errno));
    say(caller, proper, sizeof(proper), &fd, 1);
    close(fd);
    scene_let_serve(scene, 4);
    close(caller);
}

/* ---- Memory ---------------------------------------------------------------------------------------------------- */

/* A memfd with the content of a proper region, or zeros; 0 bytes: as many as that has. */
static int memory(const struct scene *scene, bool is_region, off_t bytes, int seals)
{
    struct hqq_channel *channel;
    int honest;
    if (hqq_channel_create(rule_of(scene), &honest, &channel) != 0)
        heavy_fail("a region can't be made");
    int fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t length = channel->mapping.length;
    if (fd < 0 || ftruncate(fd, (off_t)length) != 0)
        heavy_fail("memfd: %s", strerror(errno));
    if (is_region && pwrite(fd, channel->mapping.base, length, 0) != (ssize_t)length)
        heavy_fail("memfd: %s", strerror(errno));
    hqq_channel_drop(channel);
    close(honest);
    if (bytes != 0 && ftruncate(fd, bytes) != 0)
        heavy_fail("a memfd of %lld bytes: %s", (long long)bytes, strerror(errno));
    if (seals != 0 && fcntl(fd, F_ADD_SEALS, seals) != 0)
        heavy_fail("seals: %s", strerror(errno));
    return fd;
}

#define PROPER_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

void offer_misshapen(const struct scene *scene)
{
    static const uint64_t values[] = {
        0, 1, 2, 3, 4095, 4096, 65536, UINT64_MAX, UINT64_C(1) << 32, UINT64_C(1) << 62, UINT64_C(1) << 63};
    static const off_t words[] = {0, 8, 16, 24, 32, 40, 48, 56, HQQ_CHANNEL_BLOCK_OFFSET, HQQ_CHANNEL_BLOCK_OFFSET + 8};
    int fd = memory(scene, true, 0, PROPER_SEALS);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        uint64_t before;
        if (pread(fd, &before, sizeof(before), words[i]) != sizeof(before))
            heavy_fail("pread: %s", strerror(errno));
        for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++) {
            if (pwrite(fd, &values[k], sizeof(values[k]), words[i]) != sizeof(values[k]))
                heavy_fail("pwrite: %s", strerror(errno));
            offer(scene, dup(fd));
        }
        if (pwrite(fd, &before, sizeof(before), words[i]) != sizeof(before))
            heavy_fail("pwrite: %s", strerror(errno));
    }
    close(fd);
}

/* ---- The kinds ------------------------------------------------------------------------------------------------- */

static void offer_file(const struct scene *scene, const char *path, int flags)
{
    offer(scene, open(path, flags | O_CLOEXEC));
}

static void offer_dead_ends(const struct scene *scene)
{
    int pipes[2], sockets[2];
    if (pipe2(pipes, O_CLOEXEC) != 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        heavy_fail("pipe: %s", strerror(errno));
    offer(scene, pipes[0]);
    offer(scene, pipes[1]);
    offer(scene, sockets[0]);
    offer(scene, sockets[1]);
    offer(scene, epoll_create1(EPOLL_CLOEXEC));
    offer(scene, call(scene)); /* a connection to itself */
}

static void offer_files(const struct scene *scene)
{
    char path[sizeof(scene->folder) + 8];
    snprintf(path, sizeof(path), "%s/file", scene->folder);
    offer_file(scene, "/dev/null", O_RDWR);
    offer_file(scene, "/dev/zero", O_RDWR);
    offer_file(scene, scene->folder, O_RDONLY | O_DIRECTORY);
    offer_file(scene, scene_name(scene, "server").sun_path, O_PATH);
    offer_file(scene, "/proc/self/mem", O_RDWR);
    offer_file(scene, "/proc/self/exe", O_RDONLY);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    unlink(path);
    if (fd < 0 || ftruncate(fd, 1 << 20) != 0)
        heavy_fail("%s: %s", path, strerror(errno));
    offer(scene, fd);
}

static void offer_unsealed(const struct scene *scene)
{
    offer(scene, memory(scene, true, 0, 0));
    offer(scene, memory(scene, true, 0, F_SEAL_GROW));
    offer(scene, memory(scene, true, 0, F_SEAL_SEAL));
    offer(scene, memory(scene, true, 0, PROPER_SEALS | F_SEAL_WRITE));
    offer(scene, memory(scene, true, 0, PROPER_SEALS | F_SEAL_FUTURE_WRITE));
}

static void offer_sizes(const struct scene *scene)
{
    static const off_t sizes[] = {1,       64, 4095, 4096, 8192, 1 << 20, (1 << 30) - 1, 1 << 30, (1L << 30) + 4096,
                                  1L << 40};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        offer(scene, memory(scene, true, sizes[i], PROPER_SEALS));
        offer(scene, memory(scene, false, sizes[i], PROPER_SEALS));
    }
    offer(scene, memory(scene, false, 0, PROPER_SEALS));
    int empty = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    fcntl(empty, F_ADD_SEALS, PROPER_SEALS);
    offer(scene, empty);
}

/* Large pages can't be had for the asking everywhere: then there is nothing to offer. */
static void offer_large_pages(const struct scene *scene)
{
    int fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
    if (fd < 0)
        return;
    if (ftruncate(fd, 2 << 20) == 0 && fcntl(fd, F_ADD_SEALS, PROPER_SEALS) == 0)
        offer(scene, fd);
    else
        close(fd);
}

static void offer_words(const struct scene *scene)
{
    unsigned char bytes[4096];
    int fd = memory(scene, true, 0, PROPER_SEALS);
    for (size_t length = 1; length <= sizeof(bytes); length = length < 32 ? length + 1 : length * 2) {
        for (int is_proper = 0; is_proper < 2; is_proper++) {
            memset(bytes, 0xa5, sizeof(bytes));
            if (is_proper)
                memcpy(bytes, proper, sizeof(proper));
            if (is_proper && length == sizeof(proper))
                continue;
            int caller = call(scene);
            say(caller, bytes, length, &fd, length % 2);
            scene_let_serve(scene, 1);
            close(caller);
        }
    }
    close(fd);
}

static void offer_numbers(const struct scene *scene)
{
    static const size_t counts[] = {0, 2, 3, 4, 5, 16, MOST - 1};
    int fds[MOST];
    int fd = memory(scene, true, 0, PROPER_SEALS);
    for (size_t i = 0; i < MOST; i++)
        fds[i] = i % 2 == 0 ? fd : STDERR_FILENO;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        int caller = call(scene);
        say(caller, proper, sizeof(proper), fds, counts[i]);
        say(caller, proper, sizeof(proper), fds, counts[i]); /* a second one that nobody hears */
        scene_let_serve(scene, 2);
        close(caller);
    }
    close(fd);
}

/* What the library of the protocol before offers, should it ever meet this one: by its message, or by its region alone. */
static void offer_old(const struct scene *scene)
{
    static const uint64_t old[2] = {OLD_OFFER_MAGIC, 0}, old_block = OLD_BLOCK_MAGIC;
    int fd = memory(scene, true, 0, PROPER_SEALS);
    int caller = call(scene);
    say(caller, old, sizeof(old), &fd, 1);
    scene_let_serve(scene, 4);
    close(caller);
    if (pwrite(fd, &old_block, sizeof(old_block), HQQ_CHANNEL_BLOCK_OFFSET) != sizeof(old_block))
        heavy_fail("pwrite: %s", strerror(errno));
    offer(scene, fd);
}

/* Of a machine with other pages: the superblock's lengths follow from them. */
static void offer_page_sizes(const struct scene *scene)
{
    for (uint64_t page = 512; page <= 1 << 21; page *= 2) {
        int fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct hqq_layout layout;
        if (page == (uint64_t)sysconf(_SC_PAGESIZE) || hqq_layout_compute(128, 2048, page, &layout) != 0) {
            close(fd);
            continue;
        }
        int own = memory(scene, true, 0, PROPER_SEALS);
        alignas(64) unsigned char head[4096];
        if (pread(own, head, sizeof(head), 0) != sizeof(head) || ftruncate(fd, (off_t)layout.bytes) != 0)
            heavy_fail("a region of other pages: %s", strerror(errno));
        hqq_superblock_publish(head, &layout);
        if (pwrite(fd, head, sizeof(head), 0) != sizeof(head) || fcntl(fd, F_ADD_SEALS, PROPER_SEALS) != 0)
            heavy_fail("a region of other pages: %s", strerror(errno));
        close(own);
        offer(scene, fd);
    }
}

/* The same region again and again: each is a channel of the same id, and none is validated. */
static void offer_again(const struct scene *scene)
{
    int fd = memory(scene, true, 0, PROPER_SEALS);
    for (int i = 0; i < 40; i++) {
        int caller = call(scene);
        say(caller, proper, sizeof(proper), &fd, 1);
        close(caller);
    }
    scene_let_serve(scene, 16);
    close(fd);
}

/* More callers than are remembered, who say nothing; then they do. */
static void offer_late(const struct scene *scene)
{
    int callers[24];
    for (size_t i = 0; i < sizeof(callers) / sizeof(callers[0]); i++)
        callers[i] = call(scene);
    scene_let_serve(scene, 32);
    for (size_t i = 0; i < sizeof(callers) / sizeof(callers[0]); i++) {
        int fd = memory(scene, true, 0, i % 2 ? PROPER_SEALS : 0);
        say(callers[i], proper, sizeof(proper), &fd, 1);
        close(fd);
    }
    scene_let_serve(scene, 32);
    for (size_t i = 0; i < sizeof(callers) / sizeof(callers[0]); i++)
        close(callers[i]);
}

static void (*const kinds[])(const struct scene *scene) = {
    offer_dead_ends, offer_files, offer_unsealed, offer_sizes, offer_large_pages, offer_words,
    offer_numbers,   offer_again, offer_late,     offer_old,   offer_page_sizes,
};

size_t offer_kinds(void)
{
    return sizeof(kinds) / sizeof(kinds[0]);
}

void offer_bad(const struct scene *scene, size_t kind)
{
    kinds[kind](scene);
    scene_let_serve(scene, 16);
}

void offer_in_vain(const struct scene *scene)
{
    offer(scene, memory(scene, true, 0, PROPER_SEALS));
}

void offer_crowd(const struct scene *scene, unsigned callers)
{
    for (unsigned i = 0; i < callers; i++) {
        int caller = call(scene);
        if (i % 3 == 1)
            say(caller, proper, i % 16 + 1, NULL, 0);
        close(caller);
    }
    scene_let_serve(scene, 64);
}
