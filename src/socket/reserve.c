/*
 * Reserve, commit, abandon. On a ring of a pair of AF_UNIX sockets a reservation is a loan of the slots that the next
 * datagram would take, and not a claim: nothing of it shows in the ring before the commit, so there is nothing to recover
 * if this process dies, and the receiver never finds a hole. What keeps others of this process from claiming them is
 * pair->is_lent, which senders look at under their lock: they go through the kernel meanwhile. The lock itself is not
 * held, so a handler that sends is not held up either.
 *
 * On a named link, which has many producers and no kernel to fall back on, a reservation is a claim (hqq_link_reserve()).
 * Wherever else a datagram may go, it is memory from the heap.
 */
#include <errno.h>
#include <fcntl.h>

#include <talloc.h>

#include <hqq/socket.h>

#include "platform/process.h"
#include "socket/adopt.h"
#include "socket/face.h"
#include "socket/kinds.h"
#include "socket/libc.h"
#include "socket/named.h"
#include "socket/named_wait.h"
#include "socket/route.h"
#include "socket/send.h"
#include "standard/poll.h"
#include "standard/state.h"

/* ---- From the heap --------------------------------------------------------------------------------------------- */

/* What a socket keeps whatever its descriptor; 0 for what is no socket. */
static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t length = sizeof(cookie);
    int saved = errno;
    if (hqq_libc.getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) != 0)
        cookie = 0;
    errno = saved;
    return cookie;
}

static int reserve_heap(size_t length, struct hqq_reservation *reservation)
{
    void *data = talloc_size(NULL, length != 0 ? length : 1);
    if (!data)
        return -ENOMEM;
    reservation->kind = HQQ_HELD_IN_HEAP;
    reservation->data = reservation->holder = data;
    reservation->capacity = length;
    reservation->cookie = cookie_of(reservation->fd);
    return 0;
}

/* ---- In the ring of a pair ------------------------------------------------------------------------------------- */

/* True if so many slots that come next are free, and their buffers one piece. */
static bool has_room(const struct hqq_ring *ring, uint64_t position, uint64_t slots)
{
    if ((position & ring->mask) + slots > ring->count)
        return false;
    for (uint64_t i = 1; i <= slots; i++) {
        if (!hqq_ring_is_writable_ahead(ring, i))
            return false;
    }
    return true;
}

/* Under the send lock. The pair, if the next datagram may take its ring and nobody has been lent a part of that. */
static struct hqq_pair *find_pair(const struct hqq_endpoint *endpoint, int fd, size_t length)
{
    const struct hqq_route *route = hqq_endpoint_is_live(endpoint, fd) ? endpoint->peer : NULL;
    struct hqq_pair *pair = route && route->is_on_ring ? route->pair : NULL;
    if (!pair || length > hqq_pair_longest(pair) || hqq_load32_acquire(&pair->is_lent) != 0 || /* edge D9 */
        hqq_load32_relaxed(&endpoint->is_disturbed) != 0 ||
        hqq_door_kind(hqq_load32_relaxed(&pair->peer->door)) >= HQQ_DOOR_PARKED)
        return NULL;
    return pair;
}

static bool reserve_in_ring(struct hqq_endpoint *endpoint, int fd, size_t length, struct hqq_reservation *reservation)
{
    if (!hqq_endpoint_is_own(endpoint) || !hqq_lock_take(&endpoint->send_lock))
        return false;
    struct hqq_pair *pair = find_pair(endpoint, fd, length);
    uint64_t slots = pair ? hqq_pair_slots(&pair->tx, length) : 0;
    uint64_t position = pair ? hqq_load_relaxed(hqq_ring_w(&pair->tx)) : 0;
    bool is_lent = pair && has_room(&pair->tx, position, slots);
    if (is_lent) {
        hqq_store32_relaxed(&pair->is_lent, 1);
        hqq_add32_relaxed(&pair->references, 1);
        reservation->kind = HQQ_HELD_IN_RING;
        reservation->data = hqq_ring_buffer(&pair->tx, position);
        reservation->capacity = slots * pair->tx.buffer_size;
        reservation->position = position;
        reservation->cookie = endpoint->cookie;
        reservation->holder = pair;
    }
    hqq_lock_give(&endpoint->send_lock);
    return is_lent;
}

/* ---- On a named link ------------------------------------------------------------------------------------------- */

static int claim_slot(struct hqq_named *named, int fd, int flags, struct hqq_slot *ret_slot)
{
    struct hqq_link *link = hqq_named_link(named);
    struct hqq_named_wait wait;
    int result;
    hqq_named_wait_begin(&wait, named, fd, HQQ_WAIT_SPACE, flags);
    while ((result = hqq_link_try_reserve(link, ret_slot)) == HQQ_ERROR_WOULD_BLOCK) {
        int waited = hqq_named_wait(&wait);
        if (waited != 0)
            return waited == -ESHUTDOWN ? -EPIPE : waited;
    }
    hqq_named_wait_end(&wait);
    return result != 0 ? hqq_named_error(named, result) : 0;
}

static int reserve_slot(int fd, size_t length, int flags, struct hqq_reservation *reservation)
{
    struct hqq_slot slot;
    struct hqq_named *named = hqq_named_enter(fd);
    if (!named)
        return -EBADF;
    struct hqq_link *link = hqq_named_link(named);
    int result = !link                                                       ? -ENOTCONN
                 : hqq_load32_relaxed(&named->shut) & HQQ_NAMED_SHUT_WRITING ? -EPIPE
                 : length > hqq_link_buffer_size(link)                       ? -EMSGSIZE
                                                                             : 0;
    if (result == 0)
        result = claim_slot(named, fd, flags, &slot);
    if (result != 0) {
        hqq_named_drop(named);
        return result;
    }
    reservation->kind = HQQ_HELD_IN_LINK; /* and the socket stays entered until it is over */
    reservation->data = slot.data;
    reservation->capacity = slot.length;
    reservation->position = slot.position;
    reservation->holder = named;
    return 0;
}

/* ---- Reserve --------------------------------------------------------------------------------------------------- */

static int reserve(int fd, size_t length, int flags, struct hqq_reservation *reservation)
{
    if (hqq_is_named(fd))
        return reserve_slot(fd, length, flags, reservation);
    struct hqq_endpoint *endpoint = hqq_adopt_to_send(fd, NULL, 0);
    if (endpoint && length > hqq_load_relaxed(&endpoint->longest))
        return -EMSGSIZE;
    if (endpoint && reserve_in_ring(endpoint, fd, length, reservation))
        return 0;
    if (!endpoint && hqq_libc.fcntl(fd, F_GETFD) < 0)
        return -EBADF;
    return reserve_heap(length, reservation);
}

int hqq_reserve(int fd, size_t length, int flags, struct hqq_reservation *ret_reservation)
{
    struct hqq_reservation reservation = {.fd = fd, .flags = flags, .generation = hqq_process_generation()};
    int result = reserve(fd, length, flags, &reservation);
    if (result == 0)
        *ret_reservation = reservation;
    return hqq_face(result);
}

/* ---- Commit ---------------------------------------------------------------------------------------------------- */

static ssize_t commit_heap(const struct hqq_reservation *reservation, size_t length)
{
    if (cookie_of(reservation->fd) != reservation->cookie) /* it was closed, and the number may be another socket's */
        return -EBADF;
    ssize_t sent = hqq_send(reservation->fd, reservation->data, length, reservation->flags);
    if (sent < 0)
        return -errno;
    talloc_free(reservation->holder);
    return sent;
}

/* The descriptor may be another socket's by now, and even the endpoint: the cookie is not. */
static ssize_t commit_in_ring(const struct hqq_reservation *reservation, size_t length)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_find(reservation->fd);
    struct hqq_pair *pair = reservation->holder;
    struct iovec part = {.iov_base = reservation->data, .iov_len = length};
    const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (!endpoint || endpoint->cookie != reservation->cookie)
        return -EBADF;
    ssize_t sent =
        hqq_send_reserved(endpoint, reservation->fd, &message, reservation->flags, pair, reservation->position);
    if (sent < 0)
        return -errno;
    hqq_pair_drop(pair);
    return sent;
}

static struct hqq_slot slot_of(const struct hqq_reservation *reservation)
{
    return (struct hqq_slot){
        .data = reservation->data, .length = reservation->capacity, .position = reservation->position};
}

static ssize_t commit_slot(const struct hqq_reservation *reservation, size_t length)
{
    struct hqq_named *named = reservation->holder;
    struct hqq_link *link = hqq_named_link(named);
    struct hqq_slot slot = slot_of(reservation);
    if (hqq_load32_acquire(&named->is_closed) != 0)
        return -EBADF;
    int result = hqq_link_guard(link);
    if (result == 0)
        result = hqq_link_peer_gone(link);
    if (result == 0)
        result = length != 0 ? hqq_link_commit(link, &slot, length) : hqq_link_abort(link, &slot, 0);
    if (result != 0)
        return hqq_named_error(named, result);
    hqq_named_drop(named);
    return (ssize_t)length;
}

static ssize_t commit(const struct hqq_reservation *reservation, size_t length)
{
    if (reservation->kind == HQQ_HELD_NOT)
        return -EINVAL;
    if (length > reservation->capacity)
        return -EMSGSIZE;
    if (!hqq_process_is_generation(reservation->generation))
        return -ECHILD;
    switch (reservation->kind) {
    case HQQ_HELD_IN_HEAP:
        return commit_heap(reservation, length);
    case HQQ_HELD_IN_RING:
        return commit_in_ring(reservation, length);
    case HQQ_HELD_IN_LINK:
        return commit_slot(reservation, length);
    default:
        return -EINVAL;
    }
}

static void finish(struct hqq_reservation *reservation)
{
    reservation->data = reservation->holder = NULL;
    reservation->kind = HQQ_HELD_NOT;
}

ssize_t hqq_commit(struct hqq_reservation *reservation, size_t length)
{
    ssize_t sent = commit(reservation, length);
    if (sent >= 0)
        finish(reservation);
    return hqq_face_size(sent);
}

/* ---- Abandon --------------------------------------------------------------------------------------------------- */

/* In a child of a fork the pair, or the socket, is a copy; its slots are the parent's. */
int hqq_abandon(struct hqq_reservation *reservation)
{
    bool is_own = hqq_process_is_generation(reservation->generation);
    struct hqq_slot slot = slot_of(reservation);
    switch (reservation->kind) {
    case HQQ_HELD_IN_HEAP:
        talloc_free(reservation->holder);
        break;
    case HQQ_HELD_IN_RING:
        hqq_store32_release(&((struct hqq_pair *)reservation->holder)->is_lent, 0); /* edge D9 */
        hqq_pair_drop(reservation->holder);
        break;
    case HQQ_HELD_IN_LINK:
        if (is_own)
            (void)hqq_link_abort(hqq_named_link(reservation->holder), &slot, 0);
        hqq_named_drop(reservation->holder);
        break;
    default:
        return hqq_face(-EINVAL);
    }
    finish(reservation);
    return 0;
}
