/*
 * Hooks: what sends and receives. pread(), pwrite() and their vector forms fail on every socket, so they are left alone;
 * preadv2() and pwritev2() read and write where their offset is -1.
 */
#include "preload/hook.h"

HQQ_EXPORT ssize_t send(int fd, const void *data, size_t length, int flags)
{
    return hqq_preload_is_ready() ? hqq_send(fd, data, length, flags) : hqq_real.libc.send(fd, data, length, flags);
}

HQQ_EXPORT ssize_t __send(int fd, const void *data, size_t length, int flags);
HQQ_EXPORT ssize_t __send(int fd, const void *data, size_t length, int flags)
{
    return hqq_preload_is_ready() ? hqq_send(fd, data, length, flags) : hqq_real.libc.send(fd, data, length, flags);
}

HQQ_EXPORT ssize_t sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *address,
                          socklen_t address_length)
{
    return hqq_preload_is_ready() ? hqq_sendto(fd, data, length, flags, address, address_length)
                                  : hqq_real.libc.sendto(fd, data, length, flags, address, address_length);
}

HQQ_EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    return hqq_preload_is_ready() ? hqq_sendmsg(fd, message, flags) : hqq_real.libc.sendmsg(fd, message, flags);
}

HQQ_EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    return hqq_preload_is_ready() ? hqq_sendmmsg(fd, messages, count, flags)
                                  : hqq_real.libc.sendmmsg(fd, messages, count, flags);
}

HQQ_EXPORT ssize_t write(int fd, const void *data, size_t length)
{
    return hqq_preload_is_ready() ? hqq_write(fd, data, length) : hqq_real.libc.write(fd, data, length);
}

HQQ_EXPORT ssize_t __write(int fd, const void *data, size_t length);
HQQ_EXPORT ssize_t __write(int fd, const void *data, size_t length)
{
    return hqq_preload_is_ready() ? hqq_write(fd, data, length) : hqq_real.libc.write(fd, data, length);
}

HQQ_EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return hqq_preload_is_ready() ? hqq_writev(fd, parts, count) : hqq_real.libc.writev(fd, parts, count);
}

HQQ_EXPORT ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    return hqq_preload_is_ready() ? hqq_pwritev2(fd, parts, count, offset, flags)
                                  : hqq_real.libc.pwritev2(fd, parts, count, offset, flags);
}

HQQ_EXPORT ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    return hqq_preload_is_ready() ? hqq_pwritev2(fd, parts, count, offset, flags)
                                  : hqq_real.libc.pwritev2(fd, parts, count, offset, flags);
}

HQQ_EXPORT ssize_t recv(int fd, void *data, size_t capacity, int flags)
{
    return hqq_preload_is_ready() ? hqq_recv(fd, data, capacity, flags) : hqq_real.libc.recv(fd, data, capacity, flags);
}

HQQ_EXPORT ssize_t recvfrom(int fd, void *data, size_t capacity, int flags, struct sockaddr *address,
                            socklen_t *address_length)
{
    return hqq_preload_is_ready() ? hqq_recvfrom(fd, data, capacity, flags, address, address_length)
                                  : hqq_real.libc.recvfrom(fd, data, capacity, flags, address, address_length);
}

HQQ_EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    return hqq_preload_is_ready() ? hqq_recvmsg(fd, message, flags) : hqq_real.libc.recvmsg(fd, message, flags);
}

HQQ_EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    return hqq_preload_is_ready() ? hqq_recvmmsg(fd, messages, count, flags, timeout)
                                  : hqq_real.libc.recvmmsg(fd, messages, count, flags, timeout);
}

HQQ_EXPORT ssize_t read(int fd, void *data, size_t capacity)
{
    return hqq_preload_is_ready() ? hqq_read(fd, data, capacity) : hqq_real.libc.read(fd, data, capacity);
}

HQQ_EXPORT ssize_t __read(int fd, void *data, size_t capacity);
HQQ_EXPORT ssize_t __read(int fd, void *data, size_t capacity)
{
    return hqq_preload_is_ready() ? hqq_read(fd, data, capacity) : hqq_real.libc.read(fd, data, capacity);
}

HQQ_EXPORT ssize_t readv(int fd, const struct iovec *parts, int count)
{
    return hqq_preload_is_ready() ? hqq_readv(fd, parts, count) : hqq_real.libc.readv(fd, parts, count);
}

HQQ_EXPORT ssize_t preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    return hqq_preload_is_ready() ? hqq_preadv2(fd, parts, count, offset, flags)
                                  : hqq_real.libc.preadv2(fd, parts, count, offset, flags);
}

HQQ_EXPORT ssize_t preadv64v2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    return hqq_preload_is_ready() ? hqq_preadv2(fd, parts, count, offset, flags)
                                  : hqq_real.libc.preadv2(fd, parts, count, offset, flags);
}
