#include "socket/named.h"

#include <errno.h>
#include <fcntl.h>

#include "platform/process.h"
#include "socket/init.h"
#include "socket/libc.h"
#include "socket/named_wait.h"
#include "socket/pool.h"
#include "socket/start.h"
#include "standard/poll.h"

hqq_atomic_pointer hqq_named_table[HQQ_TABLE_SIZE];
hqq_atomic_u32 hqq_named_count;

static struct hqq_pool pool = HQQ_POOL(struct hqq_named);

void hqq_named_reset_lock(void)
{
    hqq_lock_reset(&pool.lock);
}

/* ---- References ------------------------------------------------------------------------------------------------ */

void hqq_named_hold(struct hqq_named *named)
{
    hqq_add32_relaxed(&named->references, 1);
}

/* Whoever is last: nobody can get at it any more. */
static void end(struct hqq_named *named)
{
    struct hqq_link *link = hqq_named_link(named);
    if (link) {
        hqq_link_set_polled(link, false);
        hqq_link_close(link);
    }
    hqq_pool_return(&pool, named);
}

void hqq_named_drop(struct hqq_named *named)
{
    /* Release by each, and acquire by the last, which reads what all of them have left: all use of the link comes before
     * its end. */
    if (hqq_sub32_release(&named->references, 1) == 1 && hqq_load32_acquire(&named->references) == 0)
        end(named);
}

struct hqq_named *hqq_named_enter(int fd)
{
    struct hqq_named *named = hqq_load_pointer_acquire(&hqq_named_table[fd]);
    if (!named)
        return NULL;
    uint32_t references;
    do {
        references = hqq_load32_relaxed(&named->references);
        if (references == 0)
            return NULL;
    } while (!hqq_cas32_acquire(&named->references, references, references + 1));
    if (__builtin_expect(hqq_load_pointer_acquire(&hqq_named_table[fd]) == named, 1))
        return named;
    hqq_named_drop(named); /* closed meanwhile, and perhaps in use again for another descriptor */
    return NULL;
}

/* ---- Descriptors ----------------------------------------------------------------------------------------------- */

static void list(int fd, struct hqq_named *named)
{
    hqq_store_pointer_release(&hqq_named_table[fd], named);
    hqq_table_set(fd, HQQ_TABLE_NAMED);
}

int hqq_named_make(int type, int protocol)
{
    if ((type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    if (protocol != 0)
        return -EPROTONOSUPPORT;
    struct hqq_named *named = hqq_pool_take(&pool);
    if (!named)
        return -ENOMEM;
    int fd = hqq_libc.socket(AF_UNIX, type, 0);
    int error = fd < 0 ? errno : fd >= HQQ_TABLE_SIZE ? EMFILE : 0;
    if (error != 0) {
        if (fd >= 0)
            hqq_libc.close(fd);
        hqq_pool_return(&pool, named);
        return -error;
    }
    hqq_socket_created(fd);
    named->generation = hqq_process_generation();
    hqq_store32_relaxed(&named->is_nonblocking, (type & SOCK_NONBLOCK) != 0);
    hqq_store32_relaxed(&named->is_ours_only, hqq_endpoint_waits_are_ours);
    hqq_store_relaxed(&named->receive_timeout_ns, HQQ_FOREVER);
    hqq_store_relaxed(&named->send_timeout_ns, HQQ_FOREVER);
    hqq_store_relaxed(&named->read_deadline_ns, HQQ_FOREVER);
    hqq_store_relaxed(&named->write_deadline_ns, HQQ_FOREVER);
    hqq_store32_relaxed(&named->descriptors, 1);
    hqq_store32_relaxed(&named->references, 1);
    hqq_add32_relaxed(&hqq_named_count, 1);
    list(fd, named);
    return fd;
}

void hqq_named_share(int fd, int duplicate)
{
    struct hqq_named *named = duplicate < HQQ_TABLE_SIZE ? hqq_named_enter(fd) : NULL;
    if (!named)
        return;
    hqq_add32_relaxed(&named->descriptors, 1);
    list(duplicate, named); /* the reference of this call is the duplicate's from now on */
}

/* The last descriptor goes. Threads that wait are woken: by the link's bells nobody does, but by the end of the socket
 * under them. In a child of a fork both are the parent's. */
static void shut_out(struct hqq_named *named, int fd, bool is_closing)
{
    hqq_store32_release(&named->is_closed, 1);
    if (!hqq_process_is_generation(named->generation))
        return;
    struct hqq_link *link = hqq_named_link(named);
    if (link)
        hqq_link_shutdown(link);
    if (is_closing)
        hqq_libc.shutdown(fd, SHUT_RDWR);
}

void hqq_named_leave(int fd, bool is_closing)
{
    int saved = errno;
    struct hqq_named *named = hqq_swap_pointer_acq_rel(&hqq_named_table[fd], NULL);
    hqq_table_set(fd, NULL);
    if (!named)
        return;
    if (hqq_sub32_relaxed(&named->descriptors, 1) == 1)
        shut_out(named, fd, is_closing);
    hqq_named_drop(named);
    errno = saved;
}

/* ---- Results --------------------------------------------------------------------------------------------------- */

int hqq_named_error(const struct hqq_named *named, int result)
{
    switch (result) {
    case HQQ_ERROR_CLOSED: /* by the peer; or by this process, in another thread */
        return hqq_load32_acquire(&named->is_closed) != 0 ? -EBADF : -EPIPE;
    case HQQ_ERROR_INVALID_OP:
    case HQQ_ERROR_INVALID_SIZE:
        return -EBADMSG;
    default:
        return -hqq_error_to_errno(result);
    }
}

void hqq_named_status(int fd, struct hqq_socket_status *status)
{
    struct hqq_named *named = hqq_named_enter(fd);
    if (!named)
        return;
    struct hqq_link *link = hqq_named_link(named);
    status->reason = HQQ_SOCKET_NO_TRAFFIC;
    if (link) {
        struct hqq_link_stats stats;
        hqq_link_get_stats(link, &stats);
        status->reason = HQQ_SOCKET_ACCELERATED;
        status->links = 1;
        status->sent_ring = stats.messages_written;
        status->received_ring = stats.messages_read;
    }
    hqq_named_drop(named);
}
