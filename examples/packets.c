/*
 * A server and a client over one named link, as sockets: AF_HQQ.
 *
 *  - hqq_bind() creates the link, hqq_connect() opens it; what goes through it are datagrams;
 *  - the descriptor is waited for by hqq_poll(), beside any other;
 *  - the client writes its questions where the server reads them (hqq_reserve(), hqq_borrow()), and the server its answers
 *    by hqq_send(): both come to the same datagrams;
 *  - a deadline bounds a whole conversation, however many calls it takes.
 *
 * The child asks for the sums of rows of numbers, and checks them. Exit status 0 if they were right.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/hqq.h>

#define SECOND UINT64_C(1000000000)

enum { QUESTIONS = 5, COLUMNS = 500 };

static void check(int is_right, const char *what)
{
    if (!is_right) {
        perror(what);
        exit(EXIT_FAILURE);
    }
}

static int open_socket(void)
{
    int fd = hqq_socket(AF_HQQ, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    check(fd >= 0, "hqq_socket");
    check(hqq_set_deadline(fd, hqq_clock_ns() + 10 * SECOND) == 0, "hqq_set_deadline");
    return fd;
}

/* Row number k is k, k + 1, k + 2, ... written where it will be read. */
static void ask(int fd, uint32_t number)
{
    struct hqq_reservation row;

    check(hqq_reserve(fd, COLUMNS * sizeof(uint32_t), 0, &row) == 0, "hqq_reserve");
    uint32_t *cells = row.data;
    for (uint32_t i = 0; i < COLUMNS; i++)
        cells[i] = number + i;
    check(hqq_commit(&row, COLUMNS * sizeof(uint32_t)) >= 0, "hqq_commit");
}

static int run_client(const struct sockaddr_hqq *name)
{
    int fd = open_socket();
    int wrong = 0;

    check(hqq_connect(fd, (const struct sockaddr *)name, sizeof(*name)) == 0, "hqq_connect");
    for (uint32_t number = 0; number < QUESTIONS; number++) {
        uint64_t sum = 0, expected = COLUMNS * (uint64_t)number + (uint64_t)COLUMNS * (COLUMNS - 1) / 2;

        ask(fd, number);
        check(hqq_recv(fd, &sum, sizeof(sum), 0) == sizeof(sum), "hqq_recv");
        printf("row %u: sum %llu\n", (unsigned)number, (unsigned long long)sum);
        wrong += sum != expected;
    }
    hqq_close(fd);
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* One question, read where it was written. 0 once the client has gone. */
static int answer(int fd)
{
    struct hqq_loan row;
    uint64_t sum = 0;

    if (hqq_borrow(fd, 0, &row) != 0) {
        check(errno == EPIPE, "hqq_borrow");
        return 0;
    }
    const uint32_t *cells = row.data;
    for (size_t i = 0; i < row.length / sizeof(*cells); i++)
        sum += cells[i];
    hqq_release(&row);
    check(hqq_send(fd, &sum, sizeof(sum), 0) == sizeof(sum), "hqq_send");
    return 1;
}

int main(void)
{
    struct sockaddr_hqq name = {.shqq_family = AF_HQQ};
    int fd = open_socket(), status;

    snprintf(name.shqq_name, sizeof(name.shqq_name), "hqq-example-%d", (int)getpid());
    check(hqq_bind(fd, (const struct sockaddr *)&name, sizeof(name)) == 0, "hqq_bind");

    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        hqq_close(fd); /* a copy; the link is the parent's */
        return run_client(&name);
    }
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    do {
        check(hqq_poll(&ready, 1, 10000) == 1, "hqq_poll");
    } while (answer(fd));
    hqq_close(fd); /* and with it goes the name */
    return waitpid(child, &status, 0) == child && status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
