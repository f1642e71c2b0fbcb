/*
 * What every file of hooks includes. A hook is a shell: the function of the socket layer once our constructor ran, the
 * real one before. It decides nothing else, holds no lock, and leaves errno and cancellation to what it calls.
 */
#ifndef HQQ_PRELOAD_HOOK_H
#define HQQ_PRELOAD_HOOK_H

#include <errno.h>

#include <hqq/socket.h>

#include "preload/real.h"
#include "socket/init.h"

/* The result of a call that made a descriptor: of an earlier one with that number nothing may be remembered. */
static inline int hqq_hook_created(int fd)
{
    if (fd >= 0 && hqq_preload_is_ready())
        hqq_socket_created(fd);
    return fd;
}

static inline int hqq_hook_fetched(int fd)
{
    if (fd >= 0 && hqq_preload_is_ready())
        hqq_socket_fetched(fd);
    return fd;
}

static inline int hqq_hook_created_set(int fd)
{
    if (fd >= 0 && hqq_preload_is_ready()) {
        int saved = errno;
        hqq_socket_created_set(fd);
        errno = saved;
    }
    return fd;
}

/* Before a call that starts another program beside this one. */
static inline void hqq_hook_spawn(void)
{
    if (hqq_preload_is_ready())
        hqq_socket_spawn();
}

/* Before a call that reads past the socket layer, or sends past it. */
static inline void hqq_hook_demote(int fd)
{
    if (hqq_preload_is_ready())
        hqq_socket_demote(fd);
}

static inline void hqq_hook_demote_sender(int fd)
{
    if (hqq_preload_is_ready())
        hqq_socket_demote_sender(fd);
}

/* glibc declares addresses as a transparent union. A plain pointer is the same to the compiler, but not in ISO C. */
#pragma GCC diagnostic ignored "-Wpedantic"

#endif
