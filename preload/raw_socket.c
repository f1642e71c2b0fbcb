/* Bare versions of the calls on sockets. Where the kernel has a newer call that does the same, that one is used: not
 * every processor has the older. */
#include "preload/raw.h"

#include <sys/syscall.h>

#include "preload/raw_call.h"

int hqq_raw_socket(int domain, int type, int protocol)
{
    return (int)hqq_raw_settle(SYS_socket, (const long[6]){domain, type, protocol});
}

int hqq_raw_socketpair(int domain, int type, int protocol, int fds[2])
{
    return (int)hqq_raw_settle(SYS_socketpair, (const long[6]){domain, type, protocol, (long)fds});
}

int hqq_raw_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    return (int)hqq_raw_settle(SYS_bind, (const long[6]){fd, (long)address, (long)length});
}

int hqq_raw_listen(int fd, int backlog)
{
    return (int)hqq_raw_settle(SYS_listen, (const long[6]){fd, backlog});
}

int hqq_raw_accept(int fd, struct sockaddr *address, socklen_t *length)
{
    return (int)hqq_raw_settle(SYS_accept4, (const long[6]){fd, (long)address, (long)length});
}

int hqq_raw_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    return (int)hqq_raw_settle(SYS_accept4, (const long[6]){fd, (long)address, (long)length, flags});
}

int hqq_raw_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    return (int)hqq_raw_settle(SYS_connect, (const long[6]){fd, (long)address, (long)length});
}

int hqq_raw_shutdown(int fd, int how)
{
    return (int)hqq_raw_settle(SYS_shutdown, (const long[6]){fd, how});
}

int hqq_raw_getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
    return (int)hqq_raw_settle(SYS_getsockname, (const long[6]){fd, (long)address, (long)length});
}

int hqq_raw_getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
    return (int)hqq_raw_settle(SYS_getpeername, (const long[6]){fd, (long)address, (long)length});
}

int hqq_raw_getsockopt(int fd, int level, int option, void *value, socklen_t *length)
{
    return (int)hqq_raw_settle(SYS_getsockopt, (const long[6]){fd, level, option, (long)value, (long)length});
}

int hqq_raw_setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    return (int)hqq_raw_settle(SYS_setsockopt, (const long[6]){fd, level, option, (long)value, (long)length});
}

ssize_t hqq_raw_send(int fd, const void *data, size_t length, int flags)
{
    return hqq_raw_settle(SYS_sendto, (const long[6]){fd, (long)data, (long)length, flags});
}

ssize_t hqq_raw_sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *address,
                       socklen_t address_length)
{
    return hqq_raw_settle(SYS_sendto,
                          (const long[6]){fd, (long)data, (long)length, flags, (long)address, (long)address_length});
}

ssize_t hqq_raw_sendmsg(int fd, const struct msghdr *message, int flags)
{
    return hqq_raw_settle(SYS_sendmsg, (const long[6]){fd, (long)message, flags});
}

int hqq_raw_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    return (int)hqq_raw_settle(SYS_sendmmsg, (const long[6]){fd, (long)messages, (long)count, flags});
}

ssize_t hqq_raw_recv(int fd, void *data, size_t capacity, int flags)
{
    return hqq_raw_settle(SYS_recvfrom, (const long[6]){fd, (long)data, (long)capacity, flags});
}

ssize_t hqq_raw_recvfrom(int fd, void *data, size_t capacity, int flags, struct sockaddr *address,
                         socklen_t *address_length)
{
    return hqq_raw_settle(SYS_recvfrom,
                          (const long[6]){fd, (long)data, (long)capacity, flags, (long)address, (long)address_length});
}

ssize_t hqq_raw_recvmsg(int fd, struct msghdr *message, int flags)
{
    return hqq_raw_settle(SYS_recvmsg, (const long[6]){fd, (long)message, flags});
}

int hqq_raw_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    return (int)hqq_raw_settle(SYS_recvmmsg, (const long[6]){fd, (long)messages, (long)count, flags, (long)timeout});
}
