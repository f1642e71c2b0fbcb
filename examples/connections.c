/*
 * Connections: many conversations over one link, each with its own order, its own end, and its own share of memory.
 *
 * One process listens and accepts, the other dials. No thread is made: whoever waits in a call drives the link for all.
 * A reader that is slow holds up its own connection only, as each has credit for so many bytes (the window) and no
 * more; here the second connection goes on while nobody reads the first.
 *
 * The child dials twice and sends numbered lines, the parent receives and counts. Exit status 0 if all came in order.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/hqq.h>

#define SECOND UINT64_C(1000000000)

enum { LINES = 1000, GOODBYE = 42 };

static void check(int result, const char *what)
{
    if (result != 0) {
        fprintf(stderr, "%s: %s\n", what, hqq_strerror(result));
        exit(EXIT_FAILURE);
    }
}

static uint64_t soon(void)
{
    return hqq_clock_ns() + 10 * SECOND;
}

/* The child: two connections, the same on both. */
static void send_lines(struct hqq_advanced *advanced)
{
    struct hqq_connection *connections[2];
    char line[64];

    for (int i = 0; i < 2; i++)
        check(hqq_advanced_dial(advanced, soon(), &connections[i]), "dialling");
    for (int i = 0; i < 2; i++) {
        for (int number = 0; number < LINES; number++) {
            int length = snprintf(line, sizeof(line), "line %d", number);
            check(hqq_connection_send(connections[i], line, (size_t)length, soon()), "sending");
        }
        hqq_connection_close(connections[i], GOODBYE); /* behind what was sent; does not wait */
    }
    check(hqq_advanced_flush(advanced, soon()), "sending the rest");
}

/* The parent: lines until the child has closed the connection. */
static int receive_lines(struct hqq_advanced *advanced, struct hqq_connection *connection)
{
    struct hqq_received received;
    int number = 0, result;

    while ((result = hqq_connection_receive(connection, soon(), &received)) == 0) {
        char expected[64];
        int length = snprintf(expected, sizeof(expected), "line %d", number);

        if (received.length != (size_t)length || memcmp(received.data, expected, (size_t)length) != 0)
            check(HQQ_ERROR_INVALID_SIZE, "a line that was not expected");
        hqq_received_free(advanced, &received);
        number++;
    }
    if (result != HQQ_ERROR_CLOSED) /* the normal end, after all that came before */
        check(result, "receiving");
    printf("connection %llu: %d lines, closed by the other end for reason %llu\n",
           (unsigned long long)hqq_connection_id(connection), number,
           (unsigned long long)hqq_connection_close_reason(connection));
    return number;
}

int main(void)
{
    struct hqq_advanced_config config = HQQ_ADVANCED_CONFIG_INIT;
    struct hqq_connection *first, *second;
    struct hqq_advanced *advanced;
    struct hqq_link *link;
    int fd, status;

    config.window = 128 << 10; /* more than the lines of one connection cost: their bytes, and 64 for each */
    check(hqq_link_create_fd(NULL, &fd, &link), "making the link");
    pid_t child = fork();
    if (child == 0) {
        hqq_link_close(link); /* the parent's stays as it is */
        check(hqq_link_attach_fd(fd, NULL, &link), "opening the other end");
        check(hqq_advanced_open(link, &config, &advanced), "taking the link over");
        check(hqq_advanced_negotiate(advanced, soon()), "negotiating");
        send_lines(advanced);
        hqq_advanced_close(advanced);
        return EXIT_SUCCESS;
    }
    check(child < 0 ? -errno : 0, "fork");
    close(fd);

    check(hqq_advanced_open(link, &config, &advanced), "taking the link over");
    check(hqq_advanced_listen(advanced, 2), "listening"); /* before negotiation: nobody can dial too early */
    check(hqq_advanced_accept_negotiation(advanced, soon()), "negotiating");
    check(hqq_advanced_accept(advanced, soon(), &first), "accepting");
    check(hqq_advanced_accept(advanced, soon(), &second), "accepting");

    int lines = receive_lines(advanced, second); /* while the lines of the first wait */
    lines += receive_lines(advanced, first);
    hqq_connection_close(second, 0);
    hqq_connection_close(first, 0);
    hqq_advanced_close(advanced);
    if (waitpid(child, &status, 0) != child || status != 0)
        return EXIT_FAILURE;
    return lines == 2 * LINES ? EXIT_SUCCESS : EXIT_FAILURE;
}
