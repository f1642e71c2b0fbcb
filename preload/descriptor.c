/*
 * Hooks: what closes, duplicates and controls descriptors. The argument of fcntl() and ioctl() is handed on as the one
 * register that it is, whether it is an int, a pointer, or not there at all.
 */
#include "preload/hook.h"

#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

HQQ_EXPORT int close(int fd)
{
    return hqq_preload_is_ready() ? hqq_close(fd) : hqq_real.libc.close(fd);
}

HQQ_EXPORT int __close(int fd);
HQQ_EXPORT int __close(int fd)
{
    return hqq_preload_is_ready() ? hqq_close(fd) : hqq_real.libc.close(fd);
}

HQQ_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
    return hqq_preload_is_ready() ? hqq_close_range(first, last, flags) : hqq_real.libc.close_range(first, last, flags);
}

HQQ_EXPORT void closefrom(int first)
{
    if (hqq_preload_is_ready())
        hqq_closefrom(first);
    else
        hqq_real.libc.closefrom(first);
}

HQQ_EXPORT int dup(int fd)
{
    return hqq_preload_is_ready() ? hqq_dup(fd) : hqq_real.libc.dup(fd);
}

HQQ_EXPORT int dup2(int fd, int wanted)
{
    return hqq_preload_is_ready() ? hqq_dup2(fd, wanted) : hqq_real.libc.dup2(fd, wanted);
}

HQQ_EXPORT int __dup2(int fd, int wanted);
HQQ_EXPORT int __dup2(int fd, int wanted)
{
    return hqq_preload_is_ready() ? hqq_dup2(fd, wanted) : hqq_real.libc.dup2(fd, wanted);
}

HQQ_EXPORT int dup3(int fd, int wanted, int flags)
{
    return hqq_preload_is_ready() ? hqq_dup3(fd, wanted, flags) : hqq_real.libc.dup3(fd, wanted, flags);
}

static int control(int fd, int command, long argument)
{
    return hqq_preload_is_ready() ? hqq_fcntl(fd, command, argument) : hqq_real.libc.fcntl(fd, command, argument);
}

HQQ_EXPORT int fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    long argument = va_arg(list, long);
    va_end(list);
    return control(fd, command, argument);
}

HQQ_EXPORT int fcntl64(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    long argument = va_arg(list, long);
    va_end(list);
    return control(fd, command, argument);
}

HQQ_EXPORT int __fcntl(int fd, int command, ...);
HQQ_EXPORT int __fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    long argument = va_arg(list, long);
    va_end(list);
    return control(fd, command, argument);
}

HQQ_EXPORT int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    long argument = va_arg(list, long);
    va_end(list);
    return hqq_preload_is_ready() ? hqq_ioctl(fd, request, argument) : hqq_real.libc.ioctl(fd, request, argument);
}
