#include "hqqsock/named.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/process.h"
#include "standard/poll.h"
#include "runtime/config.h"
#include "runtime/libc.h"
#include "runtime/pool.h"

hqq_atomic_u32 hqq_named_count;

const struct hqq_ops hqq_named_ops = {
    .family = HQQ_FAMILY_HQQ,
    .address_max = UINT32_MAX,
    .send = hqq_named_send,
    .receive = hqq_named_receive,
    .reserve = hqq_named_reserve,
    .borrow = hqq_named_borrow,
    .bind = hqq_named_bind,
    .connect = hqq_named_connect,
    .get_name = hqq_named_get_name,
    .shutdown = hqq_named_shutdown,
    .set_option = hqq_named_set_option,
    .get_option = hqq_named_get_option,
    .ioctl = hqq_named_ioctl,
    .set_deadline = hqq_named_set_deadline,
    .epoll_ctl = hqq_named_epoll_ctl,
    .note_flags = hqq_named_note_flags,
    .share = hqq_named_share,
    .leave = hqq_named_leave,
    .status = hqq_named_status,
};

/* ---- Memory ---------------------------------------------------------------------------------------------------- */

static struct hqq_pool pool = HQQ_POOL(struct hqq_named);

/* Those that are not in use; not the pool's to keep, which would write over their ops. */
static struct hqq_lock unused_lock;
static struct hqq_named *unused;

void hqq_named_reset_lock(void)
{
    hqq_lock_reset(&pool.lock);
    hqq_lock_reset(&unused_lock);
}

static struct hqq_named *allocate(void)
{
    const size_t from = offsetof(struct hqq_named, references);
    if (!hqq_lock_take(&unused_lock))
        return NULL;
    struct hqq_named *named = unused;
    if (named)
        unused = named->next_unused;
    hqq_lock_give(&unused_lock);
    if (named) {
        memset((char *)named + from, 0, sizeof(*named) - from);
    } else {
        named = hqq_pool_take(&pool);
        if (named)
            named->object.ops = &hqq_named_ops;
    }
    return named;
}

/* One that can't be given back now is lost, which is less than a deadlock. */
static void give_back(struct hqq_named *named)
{
    if (!hqq_lock_take(&unused_lock))
        return;
    named->next_unused = unused;
    unused = named;
    hqq_lock_give(&unused_lock);
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
    give_back(named);
}

void hqq_named_drop(struct hqq_named *named)
{
    /* Release by each, and acquire by the last, which reads what all of them have left: all use of the link comes before
     * its end. */
    if (hqq_sub32_release(&named->references, 1) == 1 && hqq_load32_acquire(&named->references) == 0)
        end(named);
}

bool hqq_named_enter(struct hqq_named *named, int fd)
{
    uint32_t references;
    do {
        references = hqq_load32_relaxed(&named->references);
        if (references == 0)
            return false;
    } while (!hqq_cas32_acquire(&named->references, references, references + 1));
    if (__builtin_expect(hqq_fd_get(fd) == &named->object, 1))
        return true;
    hqq_named_drop(named); /* closed meanwhile, and perhaps in use again for another descriptor */
    return false;
}

struct hqq_named *hqq_named_enter_fd(int fd)
{
    struct hqq_named *named = hqq_named_find(fd);
    return named && hqq_named_enter(named, fd) ? named : NULL;
}

/* ---- Descriptors ----------------------------------------------------------------------------------------------- */

int hqq_named_make(int type, int protocol, struct hqq_named **ret_named)
{
    if ((type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    if (protocol != 0)
        return -EPROTONOSUPPORT;
    struct hqq_named *named = allocate();
    if (!named)
        return -ENOMEM;
    int fd = hqq_libc.socket(AF_UNIX, type, 0);
    int error = fd < 0 ? errno : fd >= HQQ_FD_MAX ? EMFILE : !hqq_fd_prepare(fd) ? ENOMEM : 0;
    if (error != 0) {
        if (fd >= 0)
            hqq_libc.close(fd);
        give_back(named);
        return -error;
    }
    named->generation = hqq_process_generation();
    hqq_store32_relaxed(&named->is_nonblocking, (type & SOCK_NONBLOCK) != 0);
    hqq_store32_relaxed(&named->is_ours_only, hqq_config_is_preload());
    hqq_store_relaxed(&named->receive_timeout_ns, HQQ_FOREVER);
    hqq_store_relaxed(&named->send_timeout_ns, HQQ_FOREVER);
    hqq_store_relaxed(&named->read_deadline_ns, HQQ_FOREVER);
    hqq_store_relaxed(&named->write_deadline_ns, HQQ_FOREVER);
    hqq_store32_relaxed(&named->descriptors, 1);
    hqq_store32_relaxed(&named->references, 1);
    *ret_named = named;
    return fd;
}

void hqq_named_list(int fd, struct hqq_named *named)
{
    hqq_add32_relaxed(&hqq_named_count, 1);
    hqq_fd_set(fd, named);
}

void hqq_named_share(void *object, int fd, int duplicate)
{
    struct hqq_named *named = object;
    if (!hqq_fd_prepare(duplicate) || !hqq_named_enter(named, fd))
        return;
    hqq_add32_relaxed(&named->descriptors, 1);
    hqq_fd_set(duplicate, named); /* the reference of this call is the duplicate's from now on */
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

void hqq_named_leave(void *object, int fd, bool is_closing)
{
    struct hqq_named *named = object;
    int saved = errno;
    if (!hqq_fd_replace(fd, named, NULL))
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

void hqq_named_status(void *object, int fd, struct hqq_socket_status *status)
{
    struct hqq_named *named = object;
    if (!hqq_named_enter(named, fd))
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
