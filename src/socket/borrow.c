/*
 * Borrow, release. A datagram in a ring is taken as a receive takes it, but its slots are not released before the loan
 * is: the sender finds them in use when it comes round to them, and goes through the kernel, as with any full ring.
 * Loans come back in any order. A datagram from the kernel is received into memory from the heap, and so is one that
 * lies in several slots of which the last are at the other end of the ring's buffers.
 *
 * A loan refers to the channel, or the named socket, so it outlives the descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include <talloc.h>

#include <hqq/socket.h>

#include "endpoint/borrow.h"
#include "hqqsock/named.h"
#include "platform/process.h"
#include "runtime/kinds.h"
#include "runtime/libc.h"
#include "socket/face.h"
#include "socket/lookup.h"

/* ---- From the heap --------------------------------------------------------------------------------------------- */

/* By the time of the receive another datagram than the one that was seen may come, and be longer: the memory is there
 * for it, but takes none before it is touched. */
#define HEAP_SPARE ((size_t)256 << 10)

static int use_heap(size_t length, struct hqq_loan *loan)
{
    void *block = talloc_size(NULL, length != 0 ? length : 1);
    if (!block)
        return -ENOMEM;
    loan->kind = HQQ_HELD_IN_HEAP;
    loan->data = loan->holder = block;
    loan->length = length;
    return 0;
}

/* What a receive into the block of a loan came to; loan->length is as much as it holds. */
static int settle_heap(ssize_t received, struct hqq_loan *loan)
{
    int result = received < 0 ? (int)received : (size_t)received > loan->length ? -EMSGSIZE : 0;
    if (result != 0)
        talloc_free(loan->holder);
    else
        loan->length = (size_t)received;
    return result;
}

/* ---- From an endpoint ------------------------------------------------------------------------------------------ */

/* A datagram that is not in one piece. The slots go back at once. */
static int copy_pieces(const struct hqq_borrowed *borrowed, size_t length, struct hqq_loan *loan)
{
    const struct hqq_ring *ring = &borrowed->channel->rx;
    int result = use_heap(length, loan);
    size_t at = 0;
    for (uint64_t i = 0; i < borrowed->slots && result == 0; i++) {
        size_t piece = length - at < ring->buffer_size ? length - at : ring->buffer_size;
        memcpy((unsigned char *)loan->holder + at, hqq_ring_buffer(ring, borrowed->position + i), piece);
        at += piece;
    }
    /* Without memory it is lost, as taken by a bad receive. */
    hqq_borrow_give_back(borrowed->channel, borrowed->position, borrowed->slots);
    hqq_channel_drop(borrowed->channel);
    return result;
}

static int use_ring(const struct hqq_borrowed *borrowed, size_t length, struct hqq_loan *loan)
{
    const struct hqq_ring *ring = &borrowed->channel->rx;
    if ((borrowed->position & ring->mask) + borrowed->slots > ring->count)
        return copy_pieces(borrowed, length, loan);
    loan->kind = HQQ_HELD_IN_RING;
    loan->data = hqq_ring_buffer(ring, borrowed->position);
    loan->length = length;
    loan->position = borrowed->position;
    loan->slots = (uint32_t)borrowed->slots;
    loan->holder = borrowed->channel;
    return 0;
}

/* The kernel's alone: the socket is none of ours, or was given to it. */
static int take_kernels(int fd, int flags, size_t length, struct hqq_loan *loan)
{
    int before;
    int result = use_heap(length + HEAP_SPARE, loan);
    if (result != 0)
        return result;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before); /* or what it took would be lost, and the block */
    ssize_t received = hqq_recv(fd, loan->holder, loan->length, (flags & ~MSG_PEEK) | MSG_DONTWAIT | MSG_TRUNC);
    result = settle_heap(received < 0 ? -errno : received, loan);
    (void)pthread_setcancelstate(before, NULL);
    return result;
}

static int try_to_take(struct hqq_endpoint *endpoint, int fd, int flags, size_t length, struct hqq_loan *loan)
{
    struct hqq_borrowed borrowed = {0};
    if (!endpoint || hqq_load32_relaxed(&endpoint->is_busy) == 0)
        return take_kernels(fd, flags, length, loan);
    ssize_t found = hqq_borrow_next(endpoint, fd, &borrowed);
    if (found < 0)
        return (int)found;
    return borrowed.channel ? use_ring(&borrowed, (size_t)found, loan) : take_kernels(fd, flags, (size_t)found, loan);
}

/* Waits by a peek, so that what wakes it is there still to be taken without a copy. */
static int borrow_from_socket(int fd, int flags, struct hqq_loan *loan)
{
    int result;
    do {
        ssize_t length = hqq_recv(fd, NULL, 0, flags | MSG_PEEK | MSG_TRUNC);
        if (length < 0)
            return -errno;
        result = try_to_take(hqq_endpoint_find(fd), fd, flags, (size_t)length, loan);
    } while (result == -EAGAIN); /* another thread was quicker; the next peek says whether to wait */
    return result;
}

/* ---- The calls ------------------------------------------------------------------------------------------------- */

static int borrow(int fd, int flags, struct hqq_loan *loan)
{
    struct hqq_object *object = hqq_fd_get(fd);
    if (!object || !object->ops->borrow)
        return borrow_from_socket(fd, flags, loan);
    int result = object->ops->borrow(object, fd, flags, loan);
    return result == -ESHUTDOWN ? use_heap(0, loan) : result;
}

int hqq_borrow(int fd, int flags, struct hqq_loan *ret_loan)
{
    struct hqq_loan loan = {.generation = hqq_process_generation()};
    if (flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL))
        return hqq_face(-EOPNOTSUPP);
    int result = borrow(fd, flags, &loan);
    if (result == 0)
        *ret_loan = loan;
    return hqq_face(result);
}

/* In a child of a fork the channel, or the socket, is a copy; its slots are the parent's. */
int hqq_release(struct hqq_loan *loan)
{
    bool is_own = hqq_process_is_generation(loan->generation);
    switch (loan->kind) {
    case HQQ_HELD_IN_HEAP:
        talloc_free(loan->holder);
        break;
    case HQQ_HELD_IN_RING:
        if (is_own)
            hqq_borrow_give_back(loan->holder, loan->position, loan->slots);
        hqq_channel_drop(loan->holder);
        break;
    case HQQ_HELD_IN_LINK:
        hqq_named_release(loan, is_own);
        break;
    default:
        return hqq_face(-EINVAL);
    }
    *loan = (struct hqq_loan){.kind = HQQ_HELD_NOT};
    return 0;
}
