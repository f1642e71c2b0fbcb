#include "support/named.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "hqqsock/named.h"
#include "standard/state.h"

struct sockaddr_hqq named_address(void)
{
    static unsigned number;
    struct sockaddr_hqq address = {.shqq_family = AF_HQQ};
    snprintf(address.shqq_name, sizeof(address.shqq_name), "hqq-test-%d-%u", (int)getpid(), number++);
    return address;
}

int named_socket(void)
{
    int fd = hqq_socket(AF_HQQ, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    return fd;
}

int named_bound(const struct sockaddr_hqq *address, uint64_t count, uint64_t size)
{
    int fd = named_socket();
    assert_int_equal(hqq_setsockopt(fd, SOL_HQQ, HQQ_SO_BUFFER_COUNT, &count, sizeof(count)), 0);
    assert_int_equal(hqq_setsockopt(fd, SOL_HQQ, HQQ_SO_BUFFER_SIZE, &size, sizeof(size)), 0);
    assert_int_equal(hqq_bind(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
    return fd;
}

int named_connected(const struct sockaddr_hqq *address)
{
    int fd = named_socket();
    assert_int_equal(hqq_connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
    return fd;
}

struct named_pair named_pair_open(void)
{
    struct named_pair pair = {.address = named_address()};
    pair.bound = named_bound(&pair.address, NAMED_COUNT, NAMED_SIZE);
    pair.connected = named_connected(&pair.address);
    return pair;
}

void named_pair_close(struct named_pair *pair)
{
    if (pair->connected >= 0)
        hqq_close(pair->connected);
    if (pair->bound >= 0)
        hqq_close(pair->bound);
    pair->connected = pair->bound = -1;
}

void named_fill(int fd)
{
    for (int i = 0; i < NAMED_COUNT; i++)
        assert_int_equal(hqq_send(fd, "full", 4, MSG_DONTWAIT), 4);
    assert_int_equal(hqq_send(fd, "full", 4, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

void named_look_seldom(int fd)
{
    struct hqq_named *named = hqq_named_enter_fd(fd);
    assert_non_null(named);
    hqq_named_link(named)->peer_check_ns = NAMED_SELDOM_NS;
    hqq_named_drop(named);
}
