#include "socket/start.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "platform/barrier.h"
#include "platform/trace.h"
#include "socket/adopt.h"
#include "socket/config.h"
#include "socket/doorbell.h"
#include "socket/endpoint.h"
#include "socket/epoll.h"
#include "socket/fork.h"
#include "socket/init.h"
#include "socket/libc.h"
#include "socket/receive.h"
#include "socket/route.h"

hqq_atomic_u32 hqq_started;

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void begin(bool is_preload)
{
    hqq_config_load(is_preload);
    hqq_endpoint_waits_are_ours = is_preload;
    hqq_fork_remember();
    hqq_store32_release(&hqq_started, HQQ_STARTED);
}

/* Without a preload: at the first hqq_ call. */
static void begin_as_library(void)
{
    begin(false);
    pthread_atfork(hqq_socket_fork_prepare, hqq_socket_fork_parent, hqq_socket_fork_child);
}

bool hqq_start_slow(void)
{
    int saved = errno;
    pthread_once(&once, begin_as_library);
    errno = saved;
    return hqq_load32_acquire(&hqq_started) == HQQ_STARTED;
}

static void nothing(void)
{
}

void hqq_socket_init(bool is_preload)
{
    int saved = errno;
    pthread_once(&once, nothing);
    begin(is_preload);
    errno = saved;
}

/* The peers are told, so that they need not find out; their datagrams stay with the kernel, as the sockets do. */
void hqq_socket_exit(void)
{
    int saved = errno;
    if (hqq_load32_acquire(&hqq_started) != HQQ_STARTED || hqq_fork_is_borrowed())
        return;
    hqq_store32_release(&hqq_started, HQQ_ENDED);
    for (struct hqq_endpoint *endpoint = hqq_endpoint_first(); endpoint; endpoint = endpoint->next) {
        if (hqq_load32_relaxed(&endpoint->is_live) == 0 || !hqq_endpoint_is_own(endpoint))
            continue;
        for (struct hqq_pair *pair = endpoint->pairs; pair; pair = pair->next) {
            if (hqq_process_is_generation(pair->generation))
                hqq_store32_release(&pair->own->door, HQQ_DOOR_HANDED_OVER);
        }
    }
    errno = saved;
}

/* What the next program finds in the kernel's queue are no tokens, as far as that can be done. */
void hqq_socket_exec(void)
{
    int saved = errno;
    if (hqq_load32_acquire(&hqq_started) != HQQ_STARTED || hqq_fork_is_borrowed())
        return;
    for (int fd = 0; fd < HQQ_TABLE_SIZE; fd++) {
        struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
        if (!endpoint || !hqq_endpoint_is_own(endpoint) || !hqq_lock_take(&endpoint->receive_lock))
            continue;
        bool is_kept = (hqq_libc.fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0;
        if (endpoint->is_receiver) {
            hqq_doorbell_hand_over(endpoint);
            if (endpoint->pairs)
                hqq_receive_is_ready(endpoint, fd);
        } else if (is_kept) { /* a child's: its parent and the next program share the socket from now on */
            hqq_fork_share(endpoint);
            hqq_doorbell_hand_over(endpoint);
        }
        hqq_lock_give(&endpoint->receive_lock);
    }
    errno = saved;
}

void hqq_socket_created(int fd)
{
    if ((unsigned)fd >= HQQ_TABLE_SIZE || (hqq_table_get(fd) == NULL && !hqq_epoll_knows(fd)) || hqq_fork_is_borrowed())
        return;
    hqq_epoll_forget(fd);
    hqq_endpoint_leave(fd, false);
}

void hqq_socket_demote(int fd)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (endpoint && !hqq_fork_is_borrowed())
        hqq_endpoint_demote(endpoint, fd);
}
