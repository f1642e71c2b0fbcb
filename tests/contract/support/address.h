/* Socket addresses that no other test has. A failure is one of the test's. */
#ifndef TESTS_CONTRACT_SUPPORT_ADDRESS_H
#define TESTS_CONTRACT_SUPPORT_ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A name as the kernel reports it. Longer than sockaddr_un: a path of 108 bytes is reported with a NUL. */
struct address {
    struct sockaddr_storage name;
    socklen_t length;
};

/* A path in the scratch directory; a name for the abstract space, unique by that of the scratch directory. */
struct address address_path(const char *file);
struct address address_abstract(const char *label);

/* An abstract name of exactly these bytes. */
struct address address_bytes(const void *bytes, size_t length);

/* The whole path of a file in the scratch directory; of a path's address. The first is good until the next call. */
const char *scratch_path(const char *file);
const char *address_text(const struct address *address);

const struct sockaddr *address_of(const struct address *address);

/* What getsockname() says, and what getpeername() says. */
struct address address_own(int fd);
struct address address_peer(int fd);

void assert_address(const struct address *got, const struct address *wanted);

#endif
