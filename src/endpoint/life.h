/*
 * The life of endpoints: made, shared by numbers, ended; and all that there are. Above whatever an endpoint holds,
 * which ends with it.
 */
#ifndef HQQ_ENDPOINT_LIFE_H
#define HQQ_ENDPOINT_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "endpoint/endpoint.h"

/* A new endpoint for fd, in the table; one that another number leads to already, if it is the same socket. NULL: out of memory. */
struct hqq_endpoint *hqq_endpoint_make(int fd, const struct hqq_rule *rule);

/* The endpoint of the socket with this SO_COOKIE, or NULL. */
struct hqq_endpoint *hqq_endpoint_of_cookie(uint64_t cookie);

/* One more number of the same socket. */
void hqq_endpoint_share(struct hqq_endpoint *endpoint, int fd);

/* A number leads elsewhere from now on: it is about to be closed, or was. With the last one the endpoint ends. */
void hqq_endpoint_leave(struct hqq_endpoint *endpoint, int fd);

/* The size of its send buffer may have changed. */
void hqq_endpoint_note_buffer(struct hqq_endpoint *endpoint, int fd);

/* The kernel serves this socket, for a reason. Takes the receive lock. */
void hqq_endpoint_make_foreign(struct hqq_endpoint *endpoint, enum hqq_foreign why);

/* The same, and its queue is touched by the app's own calls alone, for good. */
void hqq_endpoint_give_to_kernel(struct hqq_endpoint *endpoint);

/* All endpoints, dead ones too, by their next. */
struct hqq_endpoint *hqq_endpoint_first(void);

/* Around a fork: no endpoint begins or ends. False: it could not be had in time. */
bool hqq_endpoint_lock_registry(uint64_t until_ns);
bool hqq_endpoint_has_registry(void);
void hqq_endpoint_unlock_registry(void);

/* In a child of a fork that tore it: the kernel serves the socket from now on. */
void hqq_endpoint_abandon(struct hqq_endpoint *endpoint);

/* In a child, where the threads that held locks are gone. */
void hqq_endpoint_reset_locks(void);

/* True in the preload: every wait of the app comes through our calls, unless something says otherwise. */
extern bool hqq_endpoint_waits_are_intercepted;

#endif
