/* Tables with a fixed number of places: a long life uses up more than there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <hqq/socket.h>

#include "support/child.h"
#include "support/heavy.h"

static char folder[] = "/tmp/hqq-tables-XXXXXX";

static struct sockaddr_un name_of(const char *name, unsigned number)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s-%u", folder, name, number);
    return address;
}

static const struct sockaddr *generic(const struct sockaddr_un *address)
{
    return (const struct sockaddr *)(const void *)address;
}

static int bound(const char *name)
{
    struct sockaddr_un address = name_of(name, 0);
    int fd = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unlink(address.sun_path);
    return fd >= 0 && hqq_bind(fd, generic(&address), sizeof(address)) == 0 ? fd : -1;
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(name_of("one", 0).sun_path);
    unlink(name_of("other", 0).sun_path);
    return rmdir(folder);
}

static int receive_in_two_processes(void *arg)
{
    char byte;
    struct hqq_socket_status status;
    (void)arg;
    hqq_close(bound("one")); /* the library has begun, so it sees the fork */
    pid_t child = heavy_fork();
    if (child == 0)
        _exit(0);
    heavy_reap(child);
    for (int i = 0; i < 3000; i++) {
        int fd = bound("one");
        if (fd < 0)
            return 3;
        hqq_close(fd);
    }
    int fd = bound("one");
    hqq_recv(fd, &byte, 1, MSG_DONTWAIT);
    child = heavy_fork();
    if (child != 0)
        return heavy_reap(child);
    hqq_recv(fd, &byte, 1, MSG_DONTWAIT);
    return hqq_socket_status(fd, &status) == 0 && status.reason == HQQ_SOCKET_SHARED ? 0 : 4;
}

static void two_processes_that_receive_notice_each_other_after_thousands_of_sockets(void **state)
{
    (void)state;
    assert_int_equal(child_run(receive_in_two_processes, NULL), 0);
}

static int send_to_thousands(void *arg)
{
    char byte = 0;
    struct hqq_socket_status status;
    (void)arg;
    int one = bound("one"), other = bound("other");
    for (unsigned i = 1; i <= 5000; i++) {
        struct sockaddr_un nobody = name_of("nobody", i);
        hqq_sendto(one, &byte, 1, MSG_DONTWAIT, generic(&nobody), sizeof(nobody));
    }
    struct sockaddr_un to = name_of("other", 0);
    uint64_t until = hqq_clock_ns() + 5 * HEAVY_S * HEAVY_SLOWNESS; /* offers are looked for once a millisecond */
    do {
        if (hqq_sendto(one, &byte, 1, 0, generic(&to), sizeof(to)) != 1 || hqq_recv(other, &byte, 1, 0) != 1)
            return 3;
    } while (hqq_socket_status(one, &status) == 0 && status.sent_ring == 0 && hqq_clock_ns() < until);
    return status.sent_ring > 0 ? 0 : 4;
}

static void a_socket_gets_links_after_it_has_sent_to_thousands_of_names(void **state)
{
    (void)state;
    assert_int_equal(child_run(send_to_thousands, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_processes_that_receive_notice_each_other_after_thousands_of_sockets),
        cmocka_unit_test(a_socket_gets_links_after_it_has_sent_to_thousands_of_names),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
