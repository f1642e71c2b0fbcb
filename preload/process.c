/*
 * Hooks: the end of a process that runs no destructors. Forks come by pthread_atfork() (init.c); vfork() can't be wrapped
 * and exec needs none.
 */
#include "preload/hook.h"

#include <stdlib.h>
#include <unistd.h>

static void end(int status) __attribute__((noreturn));
static void end(int status)
{
    if (hqq_preload_is_ready())
        hqq_socket_exit();
    hqq_real.exit_at_once(status);
    __builtin_unreachable();
}

HQQ_EXPORT void _exit(int status)
{
    end(status);
}

HQQ_EXPORT void _Exit(int status)
{
    end(status);
}
