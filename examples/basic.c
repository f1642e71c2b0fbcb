/*
 * Two processes and one link: how to make it, hand it over, write, read, and notice the end.
 *
 * The parent makes a link in a memfd and forks. A link belongs to the process that opened it, so the child drops its
 * copy of the parent's and opens the other end for itself, from the descriptor. (Between programs that are not related
 * the descriptor is sent over a socket, or both ends agree on a name: hqq_link_create() and hqq_link_open().)
 *
 * The child answers every question until the parent has closed. Exit status 0 if each answer was the right one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/hqq.h>

#define SECOND UINT64_C(1000000000)

static const char *const questions[] = {"shared memory", "one slot for each datagram", "no system call"};

/* Every function of the library returns 0, a kind of error above 0, or -errno; hqq_strerror() knows them all. */
static void check(int result, const char *what)
{
    if (result != 0) {
        fprintf(stderr, "%s: %s\n", what, hqq_strerror(result));
        exit(EXIT_FAILURE);
    }
}

/* The child: reads until there is nobody left to read from, which is the normal end. */
static void answer(struct hqq_link *link)
{
    char text[64];
    size_t length;
    int result;

    while ((result = hqq_link_read(link, text, sizeof(text), &length)) == 0) {
        for (size_t i = 0; i < length / 2; i++) {
            char swapped = text[i];
            text[i] = text[length - 1 - i];
            text[length - 1 - i] = swapped;
        }
        check(hqq_link_write(link, text, length), "answering");
    }
    if (result != HQQ_ERROR_CLOSED)
        check(result, "waiting for a question");
}

static void ask(struct hqq_link *link, const char *question)
{
    char text[64];
    size_t length;

    check(hqq_link_write(link, question, strlen(question)), "asking");
    check(hqq_link_read(link, text, sizeof(text), &length), "waiting for the answer");
    printf("asked \"%s\", was told \"%.*s\"\n", question, (int)length, text);

    if (length != strlen(question) || text[0] != question[length - 1] || text[length - 1] != question[0]) {
        fprintf(stderr, "that was the wrong answer\n");
        exit(EXIT_FAILURE);
    }
}

int main(void)
{
    struct hqq_link_config config = HQQ_LINK_CONFIG_INIT;
    struct hqq_link *link;
    int fd, status;

    config.buffer_count = 16; /* at most 16 datagrams on their way, in each direction */
    config.buffer_size = 64;  /* of at most 64 bytes */
    check(hqq_link_create_fd(&config, &fd, &link), "making the link");

    pid_t child = fork();
    if (child == 0) {
        hqq_link_close(link); /* the parent's stays as it is */
        check(hqq_link_attach_fd(fd, NULL, &link), "opening the other end");
        check(hqq_link_set_read_timeout(link, 10 * SECOND), "setting a time-out");
        answer(link);
        hqq_link_close(link);
        return EXIT_SUCCESS;
    }
    check(child < 0 ? -errno : 0, "fork");
    close(fd); /* the link does not need it any more */

    check(hqq_link_set_read_timeout(link, 10 * SECOND), "setting a time-out");
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
        ask(link, questions[i]);

    struct hqq_link_stats stats;
    hqq_link_get_stats(link, &stats);
    printf("%llu datagrams written, %llu read\n", (unsigned long long)stats.messages_written,
           (unsigned long long)stats.messages_read);
    hqq_link_close(link); /* the child reads what is left, and then hears of it */

    if (waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "the child failed\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
