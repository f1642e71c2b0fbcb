#include "endpoint/put_back.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <hqq/link.h>

#include "channel/handshake.h"
#include "channel/rx.h"
#include "endpoint/kernel_queue.h"
#include "endpoint/scheduler.h"
#include "endpoint/validation.h"
#include "platform/clock.h"
#include "platform/sys.h"
#include "platform/trace.h"
#include "runtime/filter.h"
#include "runtime/kernel.h"

/* Datagrams that stood in the kernel's queue and are put behind what stood in the rings; longer queues are let be. */
#define TURNED_MAX 1024

/* Of those, the longest. */
#define LONGEST ((size_t)1 << 20)

/* A sender may be in the midst of a stream between two looks at it. What it has sent before is handed off as a whole,
 * or it would meet a full queue, and what it sends meanwhile come before the rest: so many have room in any queue. */
#define FEW 8
#define QUIET_NS (500 * HQQ_NS_PER_US)

/* Descriptors that may come with one: what the kernel allows. */
#define DESCRIPTORS 253

/* ---- A socket of our own, that sends there ----------------------------------------------------------------------- */

/* The name is the socket's still. */
static bool leads_here(const struct hqq_endpoint *endpoint)
{
    char path[sizeof(endpoint->name.sun_path) + 1];
    struct hqq_inode inode;
    if (endpoint->name.sun_path[0] == '\0')
        return hqq_identity_has_abstract_name(endpoint->identity.socket, &endpoint->name, endpoint->name_length);
    hqq_identity_path(&endpoint->name, endpoint->name_length, path);
    return hqq_inode_is_known(&endpoint->identity.file) && hqq_identity_look_up(path, &inode) &&
           hqq_inode_is_same(&inode, &endpoint->identity.file);
}

/* One that is connected there, or -1. */
static int open_sender(const struct hqq_endpoint *endpoint)
{
    int fd = (int)hqq_libc.syscall(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (hqq_libc.syscall(SYS_connect, fd, &endpoint->name, (long)endpoint->name_length) == 0 && leads_here(endpoint))
        return fd;
    hqq_libc.syscall(SYS_close, fd);
    return -1;
}

static bool has_room(int sender)
{
    struct pollfd room = {.fd = sender, .events = POLLOUT};
    return hqq_kernel_poll_now(&room, 1) == 1 && room.revents == POLLOUT;
}

/* ---- From the rings ---------------------------------------------------------------------------------------------- */

/* Sent first and taken then: under the lock nobody else takes it, and its sender claims nothing before HANDOFF. */
static bool send_next(struct hqq_endpoint *endpoint, int sender, bool keeps_names)
{
    struct hqq_datagram datagram;
    struct iovec parts[2];
    struct hqq_channel *channel = hqq_scheduler_next(endpoint, &datagram);
    if (!channel || (keeps_names && channel->name_length > offsetof(struct sockaddr_un, sun_path)))
        return false;
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = hqq_rx_parts(channel, &datagram, parts)};
    if (hqq_kernel_sendmsg(sender, &message, 0) < 0 || !hqq_rx_take(channel, &datagram))
        return false;
    hqq_rx_release(channel, &datagram);
    return true;
}

/* ---- Turning the kernel's queue round ---------------------------------------------------------------------------- */

/* The one at the head; in pages of its own, as it is large. */
struct head {
    struct msghdr message;
    struct iovec part;
    struct sockaddr_storage name;
    alignas(struct cmsghdr) char control[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
    unsigned char data[LONGEST];
};

static long receive_head(int fd, struct head *head, bool is_peek)
{
    head->part = (struct iovec){.iov_base = head->data, .iov_len = is_peek ? 0 : LONGEST};
    head->message = (struct msghdr){
        .msg_iov = &head->part, .msg_iovlen = 1, .msg_name = &head->name, .msg_namelen = sizeof(head->name)};
    if (is_peek)
        return hqq_kernel_recvmsg(fd, &head->message, MSG_PEEK | MSG_TRUNC);
    head->message.msg_control = head->control;
    head->message.msg_controllen = sizeof(head->control);
    return hqq_kernel_recvmsg(fd, &head->message, MSG_CMSG_CLOEXEC);
}

/* What came beside it goes with it, but for a key of a peer's, whose challenge will come once more. */
static void keep_descriptors(struct hqq_endpoint *endpoint, struct head *head)
{
    const struct cmsghdr *header = CMSG_FIRSTHDR(&head->message);
    bool are_descriptors = header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS;
    if (!are_descriptors || hqq_validation_take(endpoint, &head->message, true))
        head->message.msg_controllen = 0;
}

/* True if it went. Its room was there before it was taken, and its own place is free too. */
static bool turn(struct hqq_endpoint *endpoint, int fd, int sender, struct head *head)
{
    long length = has_room(sender) ? receive_head(fd, head, false) : -EAGAIN;
    if (length < 0)
        return false;
    head->part.iov_len = (size_t)length;
    head->message.msg_name = NULL;
    head->message.msg_namelen = 0;
    keep_descriptors(endpoint, head);
    long result;
    int attempts = 0;
    do
        result = hqq_kernel_sendmsg(sender, &head->message, 0);
    while (result == -EAGAIN && attempts++ < 1000 && hqq_sys.sched_yield() == 0);
    hqq_handshake_close_descriptors(&head->message);
    if (result < 0)
        hqq_log(HQQ_LOG_WARN, "a datagram is lost: the queue is full of others");
    return result >= 0;
}

/* NULL: there is no memory. */
static struct head *map_head(void)
{
    void *pages;
    int result = hqq_sys.mmap(&pages, sizeof(struct head), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    return result == 0 ? pages : NULL;
}

/* Until the first one that comes from our sender is at the head. */
static void turn_round(struct hqq_endpoint *endpoint, int fd, int sender, const struct sockaddr_un *own,
                       socklen_t own_length, struct head *head)
{
    for (int i = 0; i < TURNED_MAX; i++) {
        long length = receive_head(fd, head, true);
        bool is_own = head->message.msg_namelen == own_length && memcmp(&head->name, own, own_length) == 0;
        if (length < 0 || (size_t)length > LONGEST || is_own || !turn(endpoint, fd, sender, head))
            break;
    }
}

/* ---- Both -------------------------------------------------------------------------------------------------------- */

/* Changes with whatever the senders do. */
static uint64_t activity(const struct hqq_endpoint *endpoint)
{
    uint64_t sum = 0;
    for (const struct hqq_channel *channel = endpoint->channels; channel; channel = channel->next)
        sum += hqq_load_acquire(hqq_ring_w(&channel->rx)) + hqq_load_relaxed(&channel->peer->drain_requested);
    return sum;
}

/* False: a sender is at work, as far as can be seen: where there is much, a while must show it. */
static bool is_quiet(const struct hqq_endpoint *endpoint, uint64_t before, bool is_much)
{
    uint64_t until = is_much ? hqq_clock_ns() + QUIET_NS : 0;
    while (activity(endpoint) == before) {
        if (!is_much || hqq_clock_ns() >= until)
            return true;
        hqq_sys.sched_yield();
    }
    return false;
}

/* Slots, and no fewer than datagrams. */
static uint64_t depth(const struct hqq_endpoint *endpoint)
{
    uint64_t sum = 0;
    for (const struct hqq_channel *channel = endpoint->channels; channel; channel = channel->next)
        sum += hqq_ring_depth(&channel->rx);
    return sum;
}

static void put_back(struct hqq_endpoint *endpoint, int fd, int sender, bool keeps_names)
{
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    socklen_t own_length = sizeof(own);
    uint32_t count = 0;
    bool is_behind = !hqq_kernel_queue_is_empty(fd);
    struct head *head = NULL;
    if (is_behind && /* a name of the kernel's choice, by which what it sends is known */
        (keeps_names || hqq_libc.syscall(SYS_bind, sender, &own, sizeof(own.sun_family)) != 0 ||
         hqq_libc.syscall(SYS_getsockname, sender, &own, &own_length) != 0 || !(head = map_head())))
        return;
    hqq_scheduler_stop_all(endpoint, HQQ_SUSPENDED);
    endpoint->head_is_noted = false;
    while (send_next(endpoint, sender, keeps_names))
        count++;
    endpoint->are_rings_last = endpoint->are_rings_last || count != 0;
    if (is_behind && count != 0)
        turn_round(endpoint, fd, sender, &own, own_length, head);
    if (head)
        hqq_sys.munmap(head, sizeof(*head));
    hqq_log(HQQ_LOG_INFO, "%u datagrams are put back into the kernel's queue", (unsigned)count);
}

void hqq_put_back(struct hqq_endpoint *endpoint, int fd, bool keeps_names)
{
    if (hqq_filter_is_set() || endpoint->name_length <= offsetof(struct sockaddr_un, sun_path))
        return;
    bool is_much = depth(endpoint) > FEW;
    if (keeps_names && is_much)
        return;
    int saved = errno;
    uint64_t before = activity(endpoint);
    int sender = open_sender(endpoint);
    if (sender >= 0) {
        if (is_quiet(endpoint, before, is_much))
            put_back(endpoint, fd, sender, keeps_names);
        hqq_libc.syscall(SYS_close, sender);
    }
    errno = saved;
}
