/*
 * Sockets of the test, in this process or in another. Functions that return a long return what the system call does, or
 * -errno; the others fail the test.
 */
#ifndef TESTS_CONTRACT_SUPPORT_END_H
#define TESTS_CONTRACT_SUPPORT_END_H

#include <stdbool.h>
#include <stddef.h>

#include "support/address.h"
#include "support/contract.h"

struct end {
    struct remote *at; /* NULL: this process */
    int fd;
    struct address address; /* length 0: not bound */
    bool is_connected;
};

/* A new datagram socket. flags: SOCK_NONBLOCK, SOCK_CLOEXEC. */
struct end end_new(struct remote *at, int flags);

/* The same, bound to a new path in the scratch directory, or to an abstract name. */
struct end end_bound(struct remote *at, int flags);
struct end end_bound_abstract(struct remote *at, int flags);

long end_bind(struct end *end, const struct address *address);
long end_connect(struct end *end, const struct address *address);
long end_dissolve(struct end *end); /* connect() to AF_UNSPEC */
long end_shutdown(const struct end *end, int how);
long end_set(const struct end *end, int level, int option, int value);
long end_close(const struct end *end);

/* to: NULL for send(). Never waits for longer than the socket's options say. */
long end_send(const struct end *end, const struct address *to, const void *data, size_t length, int flags);
long end_say(const struct end *end, const struct address *to, const char *text); /* its bytes without the NUL */
long end_receive(const struct end *end, void *data, size_t capacity, int flags);

/* poll() without waiting: revents, or -errno. */
long end_revents(const struct end *end, int events);

/* Says text to an end, with no wait, the way that the sender would usually: to its peer, or by name. It must go. */
void end_tell(const struct end *from, const struct end *to, const char *text);

/* The next datagram, without waiting, is that text. */
void end_hears(const struct end *end, const char *text);

/* Calls that may sleep, to be begun by task_begin(end->at, ...). */
struct job *end_job(const struct end *end);
job_function job_receive; /* length: capacity, and of what came; flags; name: the sender's */
job_function job_send;    /* length, data, flags, name */
job_function job_poll;    /* number: events; the result is revents, waited for without end */
job_function job_write;   /* length, data */

/* job_send with that text to that name (NULL: none). */
struct job *end_job_say(const struct end *end, const struct address *to, const char *text, int flags);

/* Sends numbered datagrams without waiting, from first, until the receiver (NULL: the peer) is full; how many went. */
int end_fill(const struct end *from, const struct address *to, int first);

/* Receives numbered datagrams without waiting until there are none; they must be those from first. How many. */
int end_drain(const struct end *end, int first);

#endif
