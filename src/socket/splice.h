/*
 * What splice(2) and sendfile(2) do with a socket of ours, of which the kernel sees its own queue only: the next datagram,
 * as far as length and the pipe's room go, becomes the pipe's; the rest of it is lost.
 */
#ifndef HQQ_SOCKET_SPLICE_H
#define HQQ_SOCKET_SPLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* False: the call is the kernel's to do, or to refuse; under a filter, or without memory, it has the socket from then
 * on. Else *ret_result is what it returns, with errno. waits: for room in the pipe; for a datagram it waits as the
 * socket says. A cancellation point; takes memory, but none of the heap. */
bool hqq_splice_to_pipe(int from, int to, size_t length, bool waits, ssize_t *ret_result);

#endif
