/* Sockets of AF_HQQ for tests: names that no other test has, and both ends of a link in one process. Nothing here waits;
 * what goes wrong fails the test. */
#ifndef TESTS_SUPPORT_NAMED_H
#define TESTS_SUPPORT_NAMED_H

#include <stdint.h>

#include <hqq/socket.h>

/* A name of this process's own, another one each time. */
struct sockaddr_hqq named_address(void);

/* A new socket; one that is bound to the address, with so many slots of such a size; one that is connected to it. */
int named_socket(void);
int named_bound(const struct sockaddr_hqq *address, uint64_t count, uint64_t size);
int named_connected(const struct sockaddr_hqq *address);

/* A link of COUNT slots of SIZE bytes, and the sockets at its ends. */
#define NAMED_COUNT 4
#define NAMED_SIZE 64

struct named_pair {
    struct sockaddr_hqq address;
    int bound, connected;
};

struct named_pair named_pair_open(void);
void named_pair_close(struct named_pair *pair);

/* Fills one direction. */
void named_fill(int fd);

/* Nothing of a wait at the socket is found by a look after the peer before NAMED_SELDOM_NS have passed, but by what wakes it.
 * What takes less than NAMED_PROMPT_NS was no look's doing, and may have been held up by a busy machine. */
#define NAMED_SELDOM_NS UINT64_C(30000000000)
#define NAMED_PROMPT_NS UINT64_C(15000000000)
void named_look_seldom(int fd);

#endif
