#include "socket/init.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "endpoint/adopt.h"
#include "endpoint/changes.h"
#include "endpoint/life.h"
#include "endpoint/memory.h"
#include "endpoint/ownership.h"
#include "hqqsock/named.h"
#include "runtime/config.h"
#include "runtime/fdtable.h"
#include "runtime/libc.h"
#include "runtime/started.h"
#include "socket/descriptor.h"
#include "socket/epoll_life.h"
#include "socket/epoll_set.h"

static void begin(bool is_preload)
{
    hqq_config_load(is_preload);
    hqq_ownership_remember();
    hqq_endpoint_waits_are_intercepted = is_preload;
    hqq_store32_release(&hqq_started, HQQ_STARTED);
}

void hqq_start_begin(void)
{
    begin(false);
    pthread_atfork(hqq_socket_fork_prepare, hqq_socket_fork_parent, hqq_socket_fork_child);
}

void hqq_socket_init(bool is_preload)
{
    int saved = errno;
    hqq_start_skip();
    begin(is_preload);
    errno = saved;
}

/* The peers are told, so that they need not find out; their datagrams stay with the kernel, as the sockets do. */
void hqq_socket_exit(void)
{
    int saved = errno;
    if (hqq_load32_acquire(&hqq_started) != HQQ_STARTED || hqq_ownership_is_borrowed())
        return;
    hqq_store32_release(&hqq_started, HQQ_ENDED);
    for (struct hqq_endpoint *endpoint = hqq_endpoint_first(); endpoint; endpoint = endpoint->next) {
        if (hqq_load32_relaxed(&endpoint->is_live) != 0 && hqq_endpoint_is_own(endpoint))
            hqq_changes_exit(endpoint);
    }
    hqq_ownership_leave();
    errno = saved;
}

/* The endpoint that a number leads to, if it is this process's; and whether another program would keep the number. */
static struct hqq_endpoint *find_own(int fd, bool *ret_is_kept)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (!endpoint || !hqq_endpoint_is_own(endpoint))
        return NULL;
    *ret_is_kept = (hqq_libc.fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0;
    return endpoint;
}

/* Sockets that the next program keeps are handed off. */
static void hand_off_all(void)
{
    bool is_kept;
    for (int fd = hqq_fd_next(0); fd >= 0; fd = hqq_fd_next(fd + 1)) {
        struct hqq_endpoint *endpoint = find_own(fd, &is_kept);
        if (endpoint && (is_kept || hqq_load32_relaxed(&endpoint->is_receiver) != 0))
            hqq_changes_exec(endpoint, is_kept);
    }
    hqq_ownership_leave();
}

/* They are a child's, and this process goes on. */
static void pass_kept(void)
{
    bool is_kept;
    for (int fd = hqq_fd_next(0); fd >= 0; fd = hqq_fd_next(fd + 1)) {
        struct hqq_endpoint *endpoint = find_own(fd, &is_kept);
        if (endpoint && (is_kept || hqq_load32_relaxed(&endpoint->is_given) != 0))
            hqq_changes_inherited(endpoint, fd);
    }
}

void hqq_socket_exec(void)
{
    int saved = errno;
    if (hqq_load32_acquire(&hqq_started) != HQQ_STARTED)
        return;
    if (hqq_ownership_is_borrowed())
        pass_kept();
    else
        hand_off_all();
    errno = saved;
}

void hqq_socket_spawn(void)
{
    int saved = errno;
    if (hqq_load32_acquire(&hqq_started) == HQQ_STARTED)
        pass_kept();
    errno = saved;
}

void hqq_socket_given(int fd)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (endpoint)
        hqq_store32_relaxed(&endpoint->is_given, 1);
}

void hqq_socket_exec_failed(void)
{
    int saved = errno;
    if (hqq_load32_acquire(&hqq_started) == HQQ_STARTED && !hqq_ownership_is_borrowed())
        hqq_ownership_stay();
    errno = saved;
}

void hqq_socket_filtered(void)
{
    for (struct hqq_endpoint *endpoint = hqq_endpoint_first(); endpoint; endpoint = endpoint->next) {
        if (hqq_load32_relaxed(&endpoint->is_live) != 0 && hqq_endpoint_is_own(endpoint))
            hqq_endpoint_set_reason(endpoint, HQQ_SOCKET_FILTERED);
    }
}

bool hqq_socket_lock_memory(void)
{
    int saved = errno;
    if (hqq_load32_acquire(&hqq_started) != HQQ_STARTED || hqq_ownership_is_borrowed())
        return true;
    bool is_all = hqq_memory_give_up();
    errno = saved;
    return is_all;
}

void hqq_socket_fork_prepare(void)
{
    hqq_ownership_fork_prepare();
    hqq_adopt_fork_prepare();
}

void hqq_socket_fork_parent(void)
{
    hqq_ownership_fork_parent();
}

void hqq_socket_fork_child(void)
{
    hqq_epoll_life_reset_locks();
    hqq_named_reset_lock();
    hqq_named_epoll_reset_lock();
    hqq_ownership_fork_child();
}

void hqq_socket_created(int fd)
{
    hqq_descriptor_created(fd);
}

void hqq_socket_fetched(int fd)
{
    hqq_socket_created(fd);
    if (fd >= 0)
        hqq_adopt_fetched(fd);
}

void hqq_socket_created_set(int fd)
{
    hqq_socket_created(fd);
    if (fd >= 0 && hqq_config_is_enabled() && !hqq_ownership_is_borrowed())
        hqq_epoll_set_made(fd);
}

void hqq_socket_demote(int fd)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (endpoint && !hqq_ownership_is_borrowed())
        hqq_changes_read_unseen(endpoint, fd);
}

void hqq_socket_demote_sender(int fd)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (endpoint && !hqq_ownership_is_borrowed())
        hqq_changes_sent_unseen(endpoint);
}
