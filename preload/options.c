/* Hooks: options of sockets. */
#include "preload/hook.h"

HQQ_EXPORT int getsockopt(int fd, int level, int option, void *value, socklen_t *length)
{
    return hqq_preload_is_ready() ? hqq_getsockopt(fd, level, option, value, length)
                                  : hqq_real.libc.getsockopt(fd, level, option, value, length);
}

HQQ_EXPORT int setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    return hqq_preload_is_ready() ? hqq_setsockopt(fd, level, option, value, length)
                                  : hqq_real.libc.setsockopt(fd, level, option, value, length);
}
