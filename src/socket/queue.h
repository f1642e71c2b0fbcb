/*
 * The kernel's queue of a socket, where datagrams and tokens come one after the other: looking at its head, popping it,
 * and doing what a token says. All under the receive lock, by calls that never wait. What was popped is judged by what
 * it is, not by what a look said, as processes that share the socket may pop in between.
 */
#ifndef HQQ_SOCKET_QUEUE_H
#define HQQ_SOCKET_QUEUE_H

#include <stdbool.h>

#include "socket/receive.h"
#include "socket/token.h"

/* Tokens that one look at the kernel's queue takes out of it: there may be no end of them. */
#define HQQ_TOKENS_MOST 256

enum hqq_queue_head {
    HQQ_QUEUE_EMPTY,
    HQQ_QUEUE_TOKEN,
    HQQ_QUEUE_DATA, /* or end of file */
    HQQ_QUEUE_ERROR,
    HQQ_QUEUE_END, /* shut down for reading, by us or another process */
};

/* What was popped. */
enum hqq_popped {
    HQQ_POPPED_DATA,
    HQQ_POPPED_TOKEN,
};

/* A pending error of the socket is reported once, to whoever looks first: *ret_error. */
enum hqq_queue_head hqq_queue_look(int fd, struct hqq_token *token, long *ret_error);

/* The same for those who only want to know: an error is left for a receive. */
enum hqq_queue_head hqq_queue_ask(int fd, struct hqq_token *token);

/* Pops the datagram at the head into the app's vectors. HQQ_POPPED_TOKEN: another process was quicker, and what came
 * after was a token. */
enum hqq_popped hqq_queue_pop(const struct hqq_receiving *receiving, ssize_t *ret_result);

/* Pops the token at the head. Nothing of it may show in the app's buffer; but as another process that shares the socket
 * may have taken it since it was seen, what comes is received whole. */
enum hqq_popped hqq_queue_pop_any(const struct hqq_receiving *receiving, ssize_t *ret_result);

/* Pops the token that is at the head, where there is no app's buffer to pop into. False if it was gone. */
bool hqq_queue_pop_token(struct hqq_endpoint *endpoint, int fd);

/*
 * Somebody may wait for this socket in the kernel, unseen, and a token may be all that tells him: another thread that
 * sleeps, or an app that waits by itself. So a token is not popped while its ring holds something. It is met at the
 * head, its link is armed anew, and only what is empty after that loses its token; what comes later brings another.
 * False: the token is to be left where it is.
 */
bool hqq_queue_may_pop(struct hqq_endpoint *endpoint, const struct hqq_token *token);

#endif
