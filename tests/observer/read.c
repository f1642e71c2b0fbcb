/* Every way to meet a datagram. */
#include "observer/observer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Never the same one again. Later than all before of this sender's socket; but for a socket that changes hands while a ring holds
 * what is older than something in the kernel's queue, as after a ring that was full: what is sent again then comes late. */
static void note_order(struct reader *reader, const struct message *message, uint64_t last)
{
    if (message->number == last || (message->number < last && reader->is_alone))
        fail("%s, %s, after the turns %s: %llu after %llu of sender %u.%u", reader->who,
             reader->is_alone ? "alone" : "among others", turn_history, (unsigned long long)message->number,
             (unsigned long long)last, message->sender, message->incarnation);
    figures->late += message->number < last;
}

static void note(struct reader *reader, const void *data, size_t got)
{
    struct message message;
    message_check(reader->who, data, got, &message);
    uint32_t place = message.incarnation % REMEMBERED;
    if (reader->last[message.sender][place].incarnation == message.incarnation)
        note_order(reader, &message, reader->last[message.sender][place].number);
    reader->last[message.sender][place].incarnation = message.incarnation;
    reader->last[message.sender][place].number = message.number;
    figures->received++;
    figures->received_unseen += reader->is_raw;
}

/* What no program has sent beside its datagrams: the key of a challenge, if somebody meets it who did not expect it. */
static void note_control(struct reader *reader, struct msghdr *message)
{
    unsigned descriptors = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            fail("%s: control data of type %d", reader->who, header->cmsg_type);
        int fds[8];
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(header), count * sizeof(int));
        for (size_t i = 0; i < count; i++, descriptors++)
            syscall(SYS_close, fds[i]);
    }
    if (descriptors == 0 && (message->msg_flags & MSG_CTRUNC) == 0)
        return;
    if (reader->is_alone && !reader->is_raw && ++reader->oddities > SENDERS) /* challenges of who was here before */
        fail("%s: %u descriptors, flags %#x, beside a datagram", reader->who, descriptors,
             (unsigned)message->msg_flags);
    if (descriptors > 1)
        fail("%s: %u descriptors", reader->who, descriptors);
    figures->oddities++;
}

/* ---- Ways ---------------------------------------------------------------------------------------------------------- */

static ssize_t receive_message(struct reader *reader, void *data, int flags, bool has_room)
{
    char control[64];
    struct iovec part = {.iov_base = data, .iov_len = LONGEST};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (has_room) {
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
    }
    ssize_t got =
        reader->is_raw ? syscall(SYS_recvmsg, reader->fd, &message, flags) : recvmsg(reader->fd, &message, flags);
    if (got >= 0)
        note_control(reader, &message);
    return got;
}

static ssize_t receive_from(const struct reader *reader, void *data, int flags)
{
    struct sockaddr_un from;
    socklen_t length = sizeof(from);
    if (reader->is_raw)
        return syscall(SYS_recvfrom, reader->fd, data, LONGEST, flags, &from, &length);
    return recvfrom(reader->fd, data, LONGEST, flags, (struct sockaddr *)&from, &length);
}

static void expect_error(const struct reader *reader, ssize_t got)
{
    if (got < 0 && errno != EAGAIN && errno != EINTR)
        fail("%s: %s", reader->who, strerror(errno));
}

static bool receive(struct reader *reader, unsigned char *data, unsigned way)
{
    ssize_t got;
    switch (way) {
    case 0:
        got = receive_message(reader, data, MSG_DONTWAIT, false);
        break;
    case 1:
        got = receive_message(reader, data, MSG_DONTWAIT, true);
        break;
    default:
        got = receive_from(reader, data, MSG_DONTWAIT);
        break;
    }
    expect_error(reader, got);
    if (got >= 0)
        note(reader, data, (size_t)got);
    return got >= 0;
}

bool read_one(struct reader *reader)
{
    unsigned char data[LONGEST];
    return receive(reader, data, 2);
}

/* Waits in the call itself. */
static bool receive_asleep(struct reader *reader, unsigned char *data)
{
    ssize_t got = receive_from(reader, data, 0);
    expect_error(reader, got);
    if (got >= 0)
        note(reader, data, (size_t)got);
    return got >= 0;
}

/* What looks show is a datagram, and, if nobody else takes it, the next one. */
static bool look_and_receive(struct reader *reader, unsigned char *data)
{
    unsigned char shown[LONGEST];
    struct message message;
    int length = 0;
    if ((reader->is_raw ? syscall(SYS_ioctl, reader->fd, FIONREAD, &length) : ioctl(reader->fd, FIONREAD, &length)) !=
        0)
        fail("%s: FIONREAD: %s", reader->who, strerror(errno));
    if (length != 0 && !message_may_be(length))
        fail("%s: FIONREAD shows %d bytes", reader->who, length);
    ssize_t peeked = receive_message(reader, shown, MSG_DONTWAIT | MSG_PEEK, below(2) != 0);
    expect_error(reader, peeked);
    if (peeked < 0 && reader->is_alone && length != 0)
        fail("%s: FIONREAD shows %d bytes, a peek nothing", reader->who, length);
    if (peeked >= 0)
        message_check(reader->who, shown, (size_t)peeked, &message);
    if (peeked >= 0 && reader->is_alone && length != 0 && peeked != length)
        fail("%s: FIONREAD shows %d bytes, a peek %zd", reader->who, length, peeked);
    bool is_there = receive(reader, data, (unsigned)below(3));
    if (reader->is_alone && peeked >= 0 && (!is_there || memcmp(shown, data, (size_t)peeked) != 0))
        fail("%s: a peek has shown another datagram", reader->who);
    return is_there;
}

static int wait_by_poll(const struct reader *reader)
{
    struct pollfd one = {.fd = reader->fd, .events = POLLIN};
    int count = reader->is_raw ? (int)syscall(SYS_poll, &one, 1, 2) : poll(&one, 1, 2);
    if (count == 1 && (one.revents & POLLIN) == 0)
        fail("%s: poll says %#x", reader->who, (unsigned)one.revents);
    return count;
}

static int wait_at_edge(const struct reader *reader, int epoll)
{
    struct epoll_event event;
    if (reader->is_raw)
        return (int)syscall(SYS_epoll_pwait, epoll, &event, 1, 2, NULL, 0);
    return epoll_wait(epoll, &event, 1, 2);
}

/* Edges: no more than one for each datagram, and the one of the beginning. */
static unsigned read_at_edges(struct reader *reader, unsigned char *data)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    unsigned count = 0, edges = 0;
    int epoll = reader->is_raw ? (int)syscall(SYS_epoll_create1, EPOLL_CLOEXEC) : epoll_create1(EPOLL_CLOEXEC);
    int added = reader->is_raw ? (int)syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, reader->fd, &event)
                               : epoll_ctl(epoll, EPOLL_CTL_ADD, reader->fd, &event);
    if (added != 0)
        fail("%s: epoll: %s", reader->who, strerror(errno));
    for (int i = 0; i < 10; i++) {
        edges += wait_at_edge(reader, epoll) == 1;
        while (count < 100 && receive(reader, data, (unsigned)below(3)))
            count++;
    }
    if (reader->is_alone && edges > count + 1)
        fail("%s: %u edges for %u datagrams", reader->who, edges, count);
    if (reader->is_raw)
        syscall(SYS_close, epoll);
    else
        close(epoll);
    return count;
}

unsigned read_some(struct reader *reader)
{
    unsigned char data[LONGEST];
    unsigned count = 0;
    switch (below(6)) {
    case 0:
        return read_at_edges(reader, data);
    case 1:
        return receive_asleep(reader, data);
    case 2:
        return look_and_receive(reader, data);
    case 3:
        if (wait_by_poll(reader) != 1)
            return 0;
        count = receive(reader, data, (unsigned)below(3));
        if (count == 0 && reader->is_alone)
            fail("%s: poll says that there is a datagram, and there is none", reader->who);
        return count;
    default:
        while (count < 50 && receive(reader, data, (unsigned)below(3)))
            count++;
        return count;
    }
}
