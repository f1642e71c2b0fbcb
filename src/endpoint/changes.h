/*
 * What happens to a socket by other calls than those that send, receive and wait: the kernel has done it, and the endpoint follows.
 */
#ifndef HQQ_ENDPOINT_CHANGES_H
#define HQQ_ENDPOINT_CHANGES_H

#include <stdbool.h>
#include <sys/socket.h>

#include "endpoint/endpoint.h"

/* shutdown(2) has been done. */
void hqq_changes_shut_down(struct hqq_endpoint *endpoint, int how);

/* setsockopt(2) of SOL_SOCKET: before and after. */
void hqq_changes_before_option(struct hqq_endpoint *endpoint, int option);
void hqq_changes_after_option(struct hqq_endpoint *endpoint, int fd, int option);

/* The status flags of its open file description are these now. */
void hqq_changes_note_flags(struct hqq_endpoint *endpoint, int flags);

/* A descriptor of it is passed to another process, which may receive on it. */
void hqq_changes_passed(struct hqq_endpoint *endpoint);

/* A child of this process, with another program, has the descriptor too. */
void hqq_changes_inherited(struct hqq_endpoint *endpoint, int fd);

/* It is about to be read in ways that see the kernel's queue only; or to be sent by in ways that nobody sees. From then on
 * the kernel serves it. */
void hqq_changes_read_unseen(struct hqq_endpoint *endpoint, int fd);
void hqq_changes_sent_unseen(struct hqq_endpoint *endpoint);

/* The process is about to end, or another program to take its place, in which the socket lives on if it is kept. */
void hqq_changes_exit(struct hqq_endpoint *endpoint);
void hqq_changes_exec(struct hqq_endpoint *endpoint, bool is_kept);

#endif
