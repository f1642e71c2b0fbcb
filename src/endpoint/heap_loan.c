#include "endpoint/heap_loan.h"

#include <errno.h>

#include <talloc.h>

#include "runtime/kinds.h"
#include "runtime/libc.h"

uint64_t hqq_heap_loan_cookie(int fd)
{
    uint64_t cookie = 0;
    socklen_t length = sizeof(cookie);
    int saved = errno;
    if (hqq_libc.getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) != 0)
        cookie = 0;
    errno = saved;
    return cookie;
}

int hqq_heap_loan_reserve(size_t length, struct hqq_reservation *reservation)
{
    void *data = talloc_size(NULL, length != 0 ? length : 1);
    if (!data)
        return -ENOMEM;
    reservation->kind = HQQ_HELD_IN_HEAP;
    reservation->data = reservation->holder = data;
    reservation->capacity = length;
    reservation->cookie = hqq_heap_loan_cookie(reservation->fd);
    return 0;
}
