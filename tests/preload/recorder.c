/*
 * A socket layer that does nothing but say what it was asked: stands in for src/socket where hooks are tested. Each
 * call notes its name and is passed on to hqq_libc. Of one thread.
 */
#include <hqq/socket.h>

#include <stdarg.h>
#include <string.h>

#include "preload/record.h"
#include "runtime/config.h"
#include "runtime/frame.h"
#include "runtime/libc.h"
#include "socket/init.h"
#include "socket/splice.h"

static char record[4096];
static int exit_told_to = -1;

static void note(const char *name)
{
    size_t used = strlen(record);
    size_t length = strlen(name);
    if (used + length + 2 > sizeof(record))
        return;
    if (used > 0)
        record[used++] = ' ';
    memcpy(record + used, name, length + 1);
}

const char *hqq_record_take(void)
{
    static char taken[sizeof(record)];
    memcpy(taken, record, sizeof(record));
    record[0] = '\0';
    return taken;
}

static void note_left(struct hqq_frame *frame)
{
    (void)frame;
    note("left");
}

void hqq_record_push_frame(struct hqq_record_frame *space)
{
    struct hqq_frame *frame = (struct hqq_frame *)(void *)space->space;
    _Static_assert(sizeof(*frame) <= sizeof(space->space), "a frame has room");
    frame->leave = note_left;
    frame->object = NULL;
    hqq_frame_push(frame);
}

/* Handlers of faults are the program's own. */
bool hqq_config_is_enabled(void)
{
    return false;
}

void hqq_socket_init(bool is_preload)
{
    note(is_preload ? "init" : "init(false)");
}

void hqq_record_tell_exit(int fd)
{
    exit_told_to = fd;
}

void hqq_socket_exit(void)
{
    if (exit_told_to >= 0)
        hqq_libc.write(exit_told_to, "x", 1);
}

void hqq_socket_filtered(void)
{
}

void hqq_socket_exec_failed(void)
{
    note("exec_failed");
}

void hqq_socket_exec(void)
{
    note("exec");
}

void hqq_socket_given(int fd)
{
    (void)fd;
    note("given");
}

void hqq_socket_spawn(void)
{
    note("spawn");
}

void hqq_socket_fork_prepare(void)
{
    note("prepare");
}

void hqq_socket_fork_parent(void)
{
    note("parent");
}

void hqq_socket_fork_child(void)
{
    note("child");
}

void hqq_socket_created(int fd)
{
    note(fd >= 0 ? "created" : "created(-1)");
}

void hqq_socket_created_set(int fd)
{
    note(fd >= 0 ? "created" : "created(-1)");
}

void hqq_socket_fetched(int fd)
{
    note(fd >= 0 ? "fetched" : "fetched(-1)");
}

void hqq_socket_demote_sender(int fd)
{
    (void)fd;
    note("demote_sender");
}

bool hqq_splice_to_pipe(int from, int to, size_t length, bool waits, ssize_t *ret_result)
{
    (void)from, (void)to, (void)length, (void)waits, (void)ret_result;
    note("splice");
    return false;
}

bool hqq_socket_lock_memory(void)
{
    return true;
}

void hqq_socket_demote(int fd)
{
    (void)fd;
    note("demote");
}

int hqq_socket(int domain, int type, int protocol)
{
    note("socket");
    return hqq_libc.socket(domain, type, protocol);
}

int hqq_socketpair(int domain, int type, int protocol, int fds[2])
{
    note("socketpair");
    return hqq_libc.socketpair(domain, type, protocol, fds);
}

int hqq_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    note("bind");
    return hqq_libc.bind(fd, address, length);
}

int hqq_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    note("connect");
    return hqq_libc.connect(fd, address, length);
}

int hqq_shutdown(int fd, int how)
{
    note("shutdown");
    return hqq_libc.shutdown(fd, how);
}

int hqq_getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
    note("getsockname");
    return hqq_libc.getsockname(fd, address, length);
}

int hqq_getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
    note("getpeername");
    return hqq_libc.getpeername(fd, address, length);
}

int hqq_getsockopt(int fd, int level, int option, void *value, socklen_t *length)
{
    note("getsockopt");
    return hqq_libc.getsockopt(fd, level, option, value, length);
}

int hqq_setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    note("setsockopt");
    return hqq_libc.setsockopt(fd, level, option, value, length);
}

ssize_t hqq_send(int fd, const void *data, size_t length, int flags)
{
    note("send");
    return hqq_libc.send(fd, data, length, flags);
}

ssize_t hqq_sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *address,
                   socklen_t address_length)
{
    note("sendto");
    return hqq_libc.sendto(fd, data, length, flags, address, address_length);
}

ssize_t hqq_sendmsg(int fd, const struct msghdr *message, int flags)
{
    note("sendmsg");
    return hqq_libc.sendmsg(fd, message, flags);
}

int hqq_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    note("sendmmsg");
    return hqq_libc.sendmmsg(fd, messages, count, flags);
}

ssize_t hqq_write(int fd, const void *data, size_t length)
{
    note("write");
    return hqq_libc.write(fd, data, length);
}

ssize_t hqq_writev(int fd, const struct iovec *parts, int count)
{
    note("writev");
    return hqq_libc.writev(fd, parts, count);
}

ssize_t hqq_pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    note("pwritev2");
    return hqq_libc.pwritev2(fd, parts, count, offset, flags);
}

ssize_t hqq_recv(int fd, void *data, size_t capacity, int flags)
{
    note("recv");
    return hqq_libc.recv(fd, data, capacity, flags);
}

ssize_t hqq_recvfrom(int fd, void *data, size_t capacity, int flags, struct sockaddr *address,
                     socklen_t *address_length)
{
    note("recvfrom");
    return hqq_libc.recvfrom(fd, data, capacity, flags, address, address_length);
}

ssize_t hqq_recvmsg(int fd, struct msghdr *message, int flags)
{
    note("recvmsg");
    return hqq_libc.recvmsg(fd, message, flags);
}

int hqq_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    note("recvmmsg");
    return hqq_libc.recvmmsg(fd, messages, count, flags, timeout);
}

ssize_t hqq_read(int fd, void *data, size_t capacity)
{
    note("read");
    return hqq_libc.read(fd, data, capacity);
}

ssize_t hqq_readv(int fd, const struct iovec *parts, int count)
{
    note("readv");
    return hqq_libc.readv(fd, parts, count);
}

ssize_t hqq_preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    note("preadv2");
    return hqq_libc.preadv2(fd, parts, count, offset, flags);
}

int hqq_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    note("poll");
    return hqq_libc.poll(fds, count, timeout_ms);
}

int hqq_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    note("ppoll");
    return hqq_libc.ppoll(fds, count, timeout, mask);
}

int hqq_select(int count, fd_set *reading, fd_set *writing, fd_set *special, struct timeval *timeout)
{
    note("select");
    return hqq_libc.select(count, reading, writing, special, timeout);
}

int hqq_pselect(int count, fd_set *reading, fd_set *writing, fd_set *special, const struct timespec *timeout,
                const sigset_t *mask)
{
    note("pselect");
    return hqq_libc.pselect(count, reading, writing, special, timeout, mask);
}

int hqq_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    note("epoll_ctl");
    return hqq_libc.epoll_ctl(epoll, operation, fd, event);
}

int hqq_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms)
{
    note("epoll_wait");
    return hqq_libc.epoll_wait(epoll, events, count, timeout_ms);
}

int hqq_epoll_pwait(int epoll, struct epoll_event *events, int count, int timeout_ms, const sigset_t *mask)
{
    note("epoll_pwait");
    return hqq_libc.epoll_pwait(epoll, events, count, timeout_ms, mask);
}

int hqq_epoll_pwait2(int epoll, struct epoll_event *events, int count, const struct timespec *timeout,
                     const sigset_t *mask)
{
    note("epoll_pwait2");
    return hqq_libc.epoll_pwait2(epoll, events, count, timeout, mask);
}

int hqq_close(int fd)
{
    note("close");
    return hqq_libc.close(fd);
}

int hqq_close_range(unsigned first, unsigned last, int flags)
{
    note("close_range");
    return hqq_libc.close_range(first, last, flags);
}

void hqq_closefrom(int first)
{
    note("closefrom");
    hqq_libc.closefrom(first);
}

int hqq_dup(int fd)
{
    note("dup");
    return hqq_libc.dup(fd);
}

int hqq_dup2(int fd, int wanted)
{
    note("dup2");
    return hqq_libc.dup2(fd, wanted);
}

int hqq_dup3(int fd, int wanted, int flags)
{
    note("dup3");
    return hqq_libc.dup3(fd, wanted, flags);
}

int hqq_fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    long argument = va_arg(list, long);
    va_end(list);
    note("fcntl");
    return hqq_libc.fcntl(fd, command, argument);
}

int hqq_ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    long argument = va_arg(list, long);
    va_end(list);
    note("ioctl");
    return hqq_libc.ioctl(fd, request, argument);
}
