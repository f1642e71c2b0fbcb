/* Datagrams with control messages. Nothing here fails the test. */
#ifndef TESTS_CONTRACT_SUPPORT_CONTROL_H
#define TESTS_CONTRACT_SUPPORT_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "support/end.h"

#define FDS_MAX 256

/* sendmsg() of a text with descriptors, to a name (NULL: the peer). What it returns. */
ssize_t send_fds(int fd, const struct address *to, const char *text, const int *fds, size_t count);

/* What came with a datagram. */
struct received {
    ssize_t length; /* what recvmsg() returned */
    char text[64];
    int flags; /* msg_flags */
    int fds[FDS_MAX];
    size_t count;
    bool has_credentials;
    struct ucred credentials;
};

/* recvmsg() with room for that many bytes of control messages. */
struct received receive_with(int fd, int flags, size_t room);

/* Room for everything. */
struct received receive_all(int fd, int flags);

/* Whether both lead to the same open file, a pipe's end, say. */
bool is_same_file(int one, int other);

/* A pipe whose ends are closed when the test ends. */
void new_pipe(int pipes[2]);

#endif
