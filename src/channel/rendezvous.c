#include "channel/rendezvous.h"
#include "channel/handshake.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/text.h"
#include "platform/sys.h"
#include "platform/trace.h"
#include "runtime/kernel.h"

#define BACKLOG 64
#define OFFER_MAGIC UINT64_C(0x4851515f4f465232) /* "HQQ_OFR2" */
#define FILE_SUFFIX ".hqq"

struct offer {
    uint64_t magic;
    uint64_t reserved;
};

/* ---- Where ----------------------------------------------------------------------------------------------------- */

static uint64_t hash(const void *data, size_t length, uint64_t seed)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < length; i++)
        seed = (seed ^ bytes[i]) * UINT64_C(0x100000001b3);
    return seed;
}

/* An abstract rendezvous is named in place, between these two. */
static struct hqq_text begin_abstract(struct hqq_place *place)
{
    struct sockaddr_un *at = &place->rendezvous;
    struct hqq_text text;
    at->sun_family = AF_UNIX;
    at->sun_path[0] = '\0';
    hqq_text_begin(&text, at->sun_path + 1, sizeof(at->sun_path) - 1);
    hqq_text_add(&text, "hqq/2/");
    return text;
}

static void end_abstract(struct hqq_place *place, const struct hqq_text *text)
{
    place->rendezvous_length = (socklen_t)(text->end - (char *)&place->rendezvous);
}

/* An abstract name may have any bytes; two that share a hash share a rendezvous, where the challenge tells them apart. */
static void place_abstract(const struct sockaddr_un *name, size_t length, struct hqq_place *place)
{
    struct hqq_text text = begin_abstract(place);
    hqq_text_add(&text, "@");
    hqq_text_add_number(&text, hash(name->sun_path, length, UINT64_C(0xcbf29ce484222325)), 16, 16);
    hqq_text_add_number(&text, hash(name->sun_path, length, UINT64_C(0x9e3779b97f4a7c15)), 16, 16);
    end_abstract(place, &text);
}

/* The birth time is in the name as inode numbers are reused; the time of the last change is not, as chmod moves it. */
static int place_path(const struct hqq_rule *rule, const char *path, int path_fd, struct hqq_place *place)
{
    struct statx status;
    int flags = path_fd >= 0 ? AT_EMPTY_PATH : 0;
    if (statx(path_fd >= 0 ? path_fd : AT_FDCWD, path_fd >= 0 ? "" : path, flags,
              STATX_TYPE | STATX_UID | HQQ_INODE_MASK, &status) != 0)
        return -errno;
    if (!S_ISSOCK(status.stx_mode))
        return -ENOTSOCK;
    place->has_owner = true;
    place->owner = status.stx_uid;
    place->inode = hqq_inode_of(&status);
    if (rule->rendezvous == HQQ_RENDEZVOUS_FILE) {
        struct sockaddr_un *at = &place->rendezvous;
        size_t length = strnlen(path, sizeof(at->sun_path));
        if (length + sizeof(FILE_SUFFIX) > sizeof(at->sun_path))
            return -ENAMETOOLONG;
        at->sun_family = AF_UNIX;
        memcpy(mempcpy(at->sun_path, path, length), FILE_SUFFIX, sizeof(FILE_SUFFIX));
        place->rendezvous_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + sizeof(FILE_SUFFIX));
        return 0;
    }
    bool has_birth = (status.stx_mask & STATX_BTIME) != 0;
    struct hqq_text text = begin_abstract(place);
    hqq_text_add_number(&text, place->inode.device, 16, 1);
    hqq_text_add(&text, "-");
    hqq_text_add_number(&text, place->inode.number, 16, 1);
    hqq_text_add(&text, "-");
    hqq_text_add_number(&text, has_birth ? (uint64_t)status.stx_btime.tv_sec : 0, 16, 1);
    hqq_text_add(&text, ".");
    hqq_text_add_number(&text, has_birth ? status.stx_btime.tv_nsec : 0, 16, 1);
    end_abstract(place, &text);
    return 0;
}

int hqq_rendezvous_place(const struct hqq_rule *rule, const struct sockaddr_un *name, socklen_t length, int path_fd,
                         struct hqq_place *ret_place)
{
    struct hqq_place place = {0};
    size_t bytes = length - offsetof(struct sockaddr_un, sun_path);
    if (length <= offsetof(struct sockaddr_un, sun_path) || length > sizeof(*name) || name->sun_family != AF_UNIX)
        return -EINVAL;
    if (name->sun_path[0] == '\0') {
        place_abstract(name, bytes, &place);
    } else {
        char path[sizeof(name->sun_path) + 1] = "";
        memcpy(path, name->sun_path, bytes);
        int saved = errno;
        int result = place_path(rule, path, path_fd, &place);
        errno = saved;
        if (result != 0)
            return result;
    }
    *ret_place = place;
    return 0;
}

/* ---- Offers ---------------------------------------------------------------------------------------------------- */

static const struct sockaddr *address_of(const struct hqq_place *place)
{
    return (const struct sockaddr *)(const void *)&place->rendezvous;
}

int hqq_rendezvous_listen(const struct hqq_place *place)
{
    int saved = errno;
    int result = 0;
    int fd = hqq_libc.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        result = -errno;
    } else {
        if (place->rendezvous.sun_path[0] != '\0')
            unlink(place->rendezvous.sun_path); /* of an earlier owner of the name; ours is the path it belongs to */
        if (hqq_libc.bind(fd, address_of(place), place->rendezvous_length) != 0 || hqq_libc.listen(fd, BACKLOG) != 0) {
            result = -errno;
            hqq_libc.close(fd);
        }
    }
    errno = saved;
    return result != 0 ? result : fd;
}

void hqq_rendezvous_unlink(int listener, const struct hqq_rule *rule)
{
    struct sockaddr_un at;
    socklen_t length = sizeof(at);
    if (rule->rendezvous == HQQ_RENDEZVOUS_FILE &&
        hqq_libc.getsockname(listener, (struct sockaddr *)(void *)&at, &length) == 0 && length <= sizeof(at) &&
        length > offsetof(struct sockaddr_un, sun_path) && at.sun_path[0] != '\0')
        unlink(at.sun_path);
}

/* Connects to a rendezvous: a descriptor, or -errno. */
static int reach(const struct hqq_place *place)
{
    int fd = hqq_libc.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (hqq_libc.connect(fd, address_of(place), place->rendezvous_length) != 0) {
        int result = errno == ENOENT ? -ECONNREFUSED : -errno;
        hqq_libc.close(fd);
        return result;
    }
    return fd;
}

int hqq_rendezvous_bound_name(const struct sockaddr_un *name, socklen_t length, struct sockaddr_storage *ret_name,
                              socklen_t *ret_length)
{
    struct sockaddr_storage bound;
    socklen_t bound_length = sizeof(bound);
    int saved = errno, result = 0;
    int fd = hqq_libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || hqq_libc.connect(fd, (const struct sockaddr *)(const void *)name, length) != 0 ||
        hqq_libc.getpeername(fd, (struct sockaddr *)(void *)&bound, &bound_length) != 0)
        result = -errno;
    if (fd >= 0)
        hqq_libc.close(fd);
    errno = saved;
    if (result != 0)
        return result;
    *ret_name = bound;
    *ret_length = bound_length;
    return 0;
}

/* Who may be the other side: root, the owner of the path, and as configured. */
static int check_peer(const struct hqq_rule *rule, int fd, bool has_owner, uid_t owner)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);
    if (hqq_libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        return -errno;
    if (peer.uid == 0 || (has_owner && peer.uid == owner) || (!has_owner && peer.uid == geteuid()) ||
        rule->peers == HQQ_PEERS_ANY)
        return 0;
    return -EPERM;
}

static int pass_memory(int fd, int memory_fd)
{
    struct offer offer = {.magic = OFFER_MAGIC};
    struct iovec part = {.iov_base = &offer, .iov_len = sizeof(offer)};
    union hqq_handshake_control control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    hqq_handshake_attach(&message, &control, memory_fd);
    return hqq_libc.sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int hqq_rendezvous_reach(const struct hqq_rule *rule, const struct hqq_place *place)
{
    int saved = errno;
    int fd = reach(place);
    int result = fd < 0 ? fd : check_peer(rule, fd, place->has_owner, place->owner);
    if (result != 0 && fd >= 0)
        hqq_libc.close(fd);
    errno = saved;
    return result != 0 ? result : fd;
}

int hqq_rendezvous_offer(int fd, int memory_fd)
{
    int saved = errno;
    int result = pass_memory(fd, memory_fd);
    hqq_libc.close(fd);
    errno = saved;
    return result;
}

bool hqq_rendezvous_is_deserted(const struct hqq_place *place)
{
    int saved = errno;
    int fd = reach(place);
    if (fd >= 0)
        hqq_libc.close(fd);
    errno = saved;
    return fd == -ECONNREFUSED;
}

/* The one descriptor that came with a message; any more are closed. */
static int take_descriptor(struct msghdr *message)
{
    int taken = -1;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (taken < 0)
                taken = fd;
            else
                hqq_libc.close(fd);
        }
    }
    return taken;
}

/* An offer has no owner of a path to compare with: whoever may send to the socket may offer, unless he is another user
 * and the rule says otherwise. The challenge proves that he may send. */
int hqq_rendezvous_accept(const struct hqq_rule *rule, int listener)
{
    struct pollfd ready = {.fd = listener, .events = POLLIN};
    if (hqq_kernel_poll_now(&ready, 1) != 1)
        return -EAGAIN;
    int saved = errno;
    int fd = hqq_libc.accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int result = fd < 0 ? -errno : check_peer(rule, fd, false, 0);
    if (result != 0 && fd >= 0)
        hqq_libc.close(fd);
    errno = saved;
    return result != 0 ? result : fd;
}

int hqq_rendezvous_read_offer(int connection)
{
    struct offer offer = {0};
    struct iovec part = {.iov_base = &offer, .iov_len = sizeof(offer)};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    long length = hqq_kernel_recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
    if (length < 0)
        return (int)length;
    int memory_fd = take_descriptor(&message);
    if (memory_fd >= 0 && length == sizeof(offer) && offer.magic == OFFER_MAGIC)
        return memory_fd;
    if (memory_fd >= 0)
        hqq_sys.close(memory_fd);
    return -EPROTO;
}
