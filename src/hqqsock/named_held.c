/*
 * Datagrams of sockets of AF_HQQ in place: a reservation is a claim of a slot of the link, a loan is a slot that was taken
 * and not released. Either keeps the socket entered until it is over.
 */
#include <errno.h>

#include "standard/poll.h"
#include "standard/state.h"
#include "runtime/kinds.h"
#include "hqqsock/named.h"
#include "hqqsock/named_wait.h"

/* ---- Reservations ---------------------------------------------------------------------------------------------- */

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

int hqq_named_reserve(void *object, int fd, size_t length, int flags, struct hqq_reservation *reservation)
{
    struct hqq_slot slot;
    struct hqq_named *named = object;
    if (!hqq_named_enter(named, fd))
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

static struct hqq_slot slot_of(const struct hqq_reservation *reservation)
{
    return (struct hqq_slot){
        .data = reservation->data, .length = reservation->capacity, .position = reservation->position};
}

ssize_t hqq_named_commit(const struct hqq_reservation *reservation, size_t length)
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

void hqq_named_abandon(const struct hqq_reservation *reservation, bool is_own)
{
    struct hqq_slot slot = slot_of(reservation);
    if (is_own)
        (void)hqq_link_abort(hqq_named_link(reservation->holder), &slot, 0);
    hqq_named_drop(reservation->holder);
}

/* ---- Loans ----------------------------------------------------------------------------------------------------- */

int hqq_named_borrow(void *object, int fd, int flags, struct hqq_loan *loan)
{
    struct hqq_slot slot;
    struct hqq_named_wait wait;
    struct hqq_named *named = object;
    if (!hqq_named_enter(named, fd))
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
        if (is_end)
            result = -ESHUTDOWN;
        else if (result != 0)
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

void hqq_named_release(const struct hqq_loan *loan, bool is_own)
{
    struct hqq_link *link = hqq_named_link(loan->holder);
    union {
        const void *in;
        void *out;
    } constless = {.in = loan->data};
    struct hqq_slot slot = {.data = constless.out, .length = loan->length, .position = loan->position};
    if (is_own)
        (void)hqq_link_release(link, &slot);
    hqq_named_drop(loan->holder);
}
