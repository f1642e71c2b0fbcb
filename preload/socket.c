/* Hooks: what makes, names, connects and shuts a socket. */
#include "preload/hook.h"

HQQ_EXPORT int socket(int domain, int type, int protocol)
{
    return hqq_preload_is_ready() ? hqq_socket(domain, type, protocol) : hqq_real.libc.socket(domain, type, protocol);
}

HQQ_EXPORT int socketpair(int domain, int type, int protocol, int fds[2])
{
    return hqq_preload_is_ready() ? hqq_socketpair(domain, type, protocol, fds)
                                  : hqq_real.libc.socketpair(domain, type, protocol, fds);
}

HQQ_EXPORT int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    return hqq_preload_is_ready() ? hqq_bind(fd, address, length) : hqq_real.libc.bind(fd, address, length);
}

HQQ_EXPORT int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    return hqq_preload_is_ready() ? hqq_connect(fd, address, length) : hqq_real.libc.connect(fd, address, length);
}

HQQ_EXPORT int __connect(int fd, const struct sockaddr *address, socklen_t length);
HQQ_EXPORT int __connect(int fd, const struct sockaddr *address, socklen_t length)
{
    return hqq_preload_is_ready() ? hqq_connect(fd, address, length) : hqq_real.libc.connect(fd, address, length);
}

HQQ_EXPORT int shutdown(int fd, int how)
{
    return hqq_preload_is_ready() ? hqq_shutdown(fd, how) : hqq_real.libc.shutdown(fd, how);
}

HQQ_EXPORT int getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
    return hqq_preload_is_ready() ? hqq_getsockname(fd, address, length)
                                  : hqq_real.libc.getsockname(fd, address, length);
}

HQQ_EXPORT int getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
    return hqq_preload_is_ready() ? hqq_getpeername(fd, address, length)
                                  : hqq_real.libc.getpeername(fd, address, length);
}
