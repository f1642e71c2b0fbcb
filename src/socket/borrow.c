/*
 * Borrow, release. A datagram in a ring is taken as a receive takes it, but its slots are not released before the loan
 * is: the sender finds them in use when it comes round to them, and goes through the kernel, as with any full ring. Loans
 * come back in any order. A datagram from the kernel is received into memory from the heap, and so is one that lies in
 * several slots of which the last are at the other end of the ring's buffers.
 *
 * A loan refers to the pair, or the named socket, so it outlives the descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include <talloc.h>

#include <hqq/socket.h>

#include "platform/process.h"
#include "ring/consume.h"
#include "socket/adopt.h"
#include "socket/face.h"
#include "socket/kinds.h"
#include "socket/libc.h"
#include "socket/named.h"
#include "socket/named_wait.h"
#include "socket/receive.h"
#include "standard/poll.h"

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

static void release_slots(struct hqq_pair *pair, uint64_t position, uint64_t slots)
{
    for (uint64_t i = 0; i < slots; i++)
        hqq_ring_release(&pair->rx, position + i);
}

/* A datagram that is not in one piece. The slots go back at once. */
static int copy_pieces(const struct hqq_lent *lent, size_t length, struct hqq_loan *loan)
{
    const struct hqq_ring *ring = &lent->pair->rx;
    int result = use_heap(length, loan);
    size_t at = 0;
    for (uint64_t i = 0; i < lent->slots && result == 0; i++) {
        size_t piece = length - at < ring->buffer_size ? length - at : ring->buffer_size;
        memcpy((unsigned char *)loan->holder + at, hqq_ring_buffer(ring, lent->position + i), piece);
        at += piece;
    }
    release_slots(lent->pair, lent->position, lent->slots); /* without memory it is lost, as taken by a bad receive */
    hqq_pair_drop(lent->pair);
    return result;
}

static int use_ring(const struct hqq_lent *lent, size_t length, struct hqq_loan *loan)
{
    const struct hqq_ring *ring = &lent->pair->rx;
    if ((lent->position & ring->mask) + lent->slots > ring->count)
        return copy_pieces(lent, length, loan);
    loan->kind = HQQ_HELD_IN_RING;
    loan->data = hqq_ring_buffer(ring, lent->position);
    loan->length = length;
    loan->position = lent->position;
    loan->slots = (uint32_t)lent->slots;
    loan->holder = lent->pair;
    return 0;
}

/* Under the receive lock, so that no thread comes between the look and the receive. */
static int take_one(struct hqq_endpoint *endpoint, int fd, struct hqq_loan *loan)
{
    struct hqq_lent lent;
    ssize_t length = hqq_receive_lend(endpoint, fd, &lent);
    if (length < 0)
        return (int)length;
    if (lent.pair)
        return use_ring(&lent, (size_t)length, loan);
    int result = use_heap((size_t)length + HEAP_SPARE, loan);
    if (result != 0)
        return result;
    struct iovec part = {.iov_base = loan->holder, .iov_len = loan->length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    return settle_heap(hqq_receive_now(endpoint, fd, &message, MSG_TRUNC), loan);
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
    if (!endpoint || hqq_load32_relaxed(&endpoint->is_kernel_only) != 0)
        return take_kernels(fd, flags, length, loan);
    if (!hqq_lock_take(&endpoint->receive_lock))
        return -EDEADLK;
    int result = hqq_endpoint_is_live(endpoint, fd) ? take_one(endpoint, fd, loan) : -EBADF;
    hqq_lock_give(&endpoint->receive_lock);
    return result;
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

/* ---- From a named link ----------------------------------------------------------------------------------------- */

static int borrow_slot(int fd, int flags, struct hqq_loan *loan)
{
    struct hqq_slot slot;
    struct hqq_named_wait wait;
    struct hqq_named *named = hqq_named_enter(fd);
    if (!named)
        return -EBADF;
    struct hqq_link *link = hqq_named_link(named);
    int result = link ? 0 : -ENOTCONN;
    int waited = 0;
    if (link) {
        hqq_named_wait_begin(&wait, named, fd, HQQ_WAIT_DATA, flags);
        while ((result = hqq_link_try_borrow(link, &slot)) == HQQ_ERROR_WOULD_BLOCK && waited == 0)
            waited = hqq_named_wait(&wait);
        hqq_named_wait_end(&wait);
        bool is_end = result != 0 && (waited == -ESHUTDOWN || result == HQQ_ERROR_CLOSED) &&
                      (hqq_load32_relaxed(&named->shut) & HQQ_NAMED_SHUT_READING) != 0 &&
                      hqq_load32_acquire(&named->is_closed) == 0;
        if (is_end) {
            hqq_named_drop(named);
            return use_heap(0, loan);
        }
        if (result != 0)
            result = waited != 0 ? waited : hqq_named_error(named, result);
    }
    if (result != 0) {
        hqq_named_drop(named);
        return result;
    }
    loan->kind = HQQ_HELD_IN_LINK; /* and the socket stays entered until it is over */
    loan->data = slot.data;
    loan->length = slot.length;
    loan->position = slot.position;
    loan->holder = named;
    hqq_named_settle(named, fd, false);
    return 0;
}

/* ---- The calls ------------------------------------------------------------------------------------------------- */

int hqq_borrow(int fd, int flags, struct hqq_loan *ret_loan)
{
    struct hqq_loan loan = {.generation = hqq_process_generation()};
    if (flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL))
        return hqq_face(-EOPNOTSUPP);
    int result = hqq_is_named(fd) ? borrow_slot(fd, flags, &loan) : borrow_from_socket(fd, flags, &loan);
    if (result == 0)
        *ret_loan = loan;
    return hqq_face(result);
}

static void release_slot(const struct hqq_loan *loan)
{
    struct hqq_link *link = hqq_named_link(loan->holder);
    union {
        const void *in;
        void *out;
    } constless = {.in = loan->data};
    struct hqq_slot slot = {.data = constless.out, .length = loan->length, .position = loan->position};
    (void)hqq_link_release(link, &slot);
}

/* In a child of a fork the pair, or the socket, is a copy; its slots are the parent's. */
int hqq_release(struct hqq_loan *loan)
{
    bool is_own = hqq_process_is_generation(loan->generation);
    switch (loan->kind) {
    case HQQ_HELD_IN_HEAP:
        talloc_free(loan->holder);
        break;
    case HQQ_HELD_IN_RING:
        if (is_own)
            release_slots(loan->holder, loan->position, loan->slots);
        hqq_pair_drop(loan->holder);
        break;
    case HQQ_HELD_IN_LINK:
        if (is_own)
            release_slot(loan);
        hqq_named_drop(loan->holder);
        break;
    default:
        return hqq_face(-EINVAL);
    }
    *loan = (struct hqq_loan){.kind = HQQ_HELD_NOT};
    return 0;
}
