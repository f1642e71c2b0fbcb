/*
 * Reserve, commit, abandon. Where a datagram may take a ring a reservation is a loan of its next slots (endpoint/loan.h); on a named link,
 * which has many producers and no kernel to fall back on, it is a claim (hqq_link_reserve()). Wherever else a datagram may go, it is
 * memory from the heap.
 */
#include <errno.h>
#include <fcntl.h>

#include <talloc.h>

#include <hqq/socket.h>

#include "endpoint/heap_loan.h"
#include "endpoint/loan.h"
#include "hqqsock/named.h"
#include "platform/process.h"
#include "runtime/kinds.h"
#include "runtime/libc.h"
#include "socket/face.h"
#include "socket/lookup.h"

/* ---- Reserve ----------------------------------------------------------------------------------------------------- */

static int reserve(int fd, size_t length, int flags, struct hqq_reservation *reservation)
{
    struct hqq_object *object = hqq_lookup_sender(fd, NULL, 0);
    if (object && object->ops->reserve)
        return object->ops->reserve(object, fd, length, flags, reservation);
    if (hqq_libc.fcntl(fd, F_GETFD) < 0)
        return -EBADF;
    return hqq_heap_loan_reserve(length, reservation);
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
    if (hqq_heap_loan_cookie(reservation->fd) !=
        reservation->cookie) /* it was closed, and the number may be another socket's */
        return -EBADF;
    ssize_t sent = hqq_send(reservation->fd, reservation->data, length, reservation->flags);
    if (sent < 0)
        return -errno;
    talloc_free(reservation->holder);
    return sent;
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
        return hqq_loan_commit(reservation, length);
    case HQQ_HELD_IN_LINK:
        return hqq_named_commit(reservation, length);
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

/* In a child of a fork the channel, or the socket, is a copy; its slots are the parent's. */
int hqq_abandon(struct hqq_reservation *reservation)
{
    switch (reservation->kind) {
    case HQQ_HELD_IN_HEAP:
        talloc_free(reservation->holder);
        break;
    case HQQ_HELD_IN_RING:
        hqq_loan_abandon(reservation);
        break;
    case HQQ_HELD_IN_LINK:
        hqq_named_abandon(reservation, hqq_process_is_generation(reservation->generation));
        break;
    default:
        return hqq_face(-EINVAL);
    }
    finish(reservation);
    return 0;
}
