/*
 * Start and end. The constructor finds the real functions, lets the socket layer have them, and only then opens the
 * gate: hooks that are called before, by constructors of libraries or their threads, go straight to the kernel. errno
 * is left as it was, 0 when main starts; nothing is printed but by hqq_socket_init(), about bad settings.
 */
#include "preload/real.h"

#include <errno.h>
#include <pthread.h>

#include "preload/child.h"
#include "preload/fault.h"
#include "preload/sys.h"
#include "runtime/config.h"
#include "runtime/filter.h"
#include "runtime/memlock.h"
#include "socket/init.h"

hqq_atomic_u32 hqq_preload_ready;

static void begin_child(void)
{
    hqq_memlock_set(false); /* of the parent's memory alone */
    hqq_socket_fork_child();
}

__attribute__((constructor)) static void start(void)
{
    int saved = errno;
    hqq_real_resolve();
    hqq_libc = hqq_real.libc;
    hqq_preload_fill_sys();
    hqq_child_begin();
    hqq_filter_inherit();
    hqq_socket_init(true);
    pthread_atfork(hqq_socket_fork_prepare, hqq_socket_fork_parent, begin_child);
    /* Release: who sees the gate open finds all of the above done. Pairs with hqq_preload_is_ready(). */
    hqq_store32_release(&hqq_preload_ready, 1);
    if (hqq_config_is_enabled())
        hqq_fault_begin();
    errno = saved;
}

/* The gate stays open: destructors that run after ours may still use sockets. */
__attribute__((destructor)) static void end(void)
{
    hqq_socket_exit();
}
