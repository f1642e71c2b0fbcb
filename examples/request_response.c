/*
 * Calls: what the other end does for us, many under way at once, and errors as answers.
 *
 * The server has a handler for each method. Handlers run in hqq_advanced_process(), or in the thread of
 * hqq_advanced_start(); one that cannot answer at once keeps the request and answers later. The client calls and waits,
 * or begins several calls and collects the answers in whatever order it likes.
 *
 * The parent serves, the child calls. Exit status 0 if each answer was the right one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/hqq.h>

#define SECOND UINT64_C(1000000000)

enum { SQUARE = 1, ROOT = 2, NEGATIVE = 17, CALLS = 8 }; /* two methods, a status of ROOT, calls under way */

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

/* What comes from the other end is checked before it is used. */
static int64_t argument(const struct hqq_request *request)
{
    int64_t number = 0;
    if (hqq_request_length(request) == sizeof(number))
        memcpy(&number, hqq_request_data(request), sizeof(number));
    return number;
}

static void square(struct hqq_request *request, void *arg)
{
    int64_t number = argument(request), answer = number * number;
    (void)arg;
    (void)hqq_request_respond(request, 0, &answer, sizeof(answer), 0); /* posted if it does not fit at once */
}

static void root(struct hqq_request *request, void *arg)
{
    int64_t number = argument(request), answer = 0;
    (void)arg;
    while ((answer + 1) * (answer + 1) <= number)
        answer++;
    if (number < 0)
        (void)hqq_request_respond_error(request, NEGATIVE, "negative", 8, 0);
    else
        (void)hqq_request_respond(request, 0, &answer, sizeof(answer), 0);
}

static void serve(struct hqq_advanced *advanced)
{
    int result;
    check(hqq_advanced_handle(advanced, SQUARE, square, NULL), "setting a handler");
    check(hqq_advanced_handle(advanced, ROOT, root, NULL), "setting a handler");
    check(hqq_advanced_accept_negotiation(advanced, soon()), "negotiating");
    while ((result = hqq_advanced_process(advanced, soon())) == 0)
        continue;
    if (result != HQQ_ERROR_CLOSED) /* the client is done */
        check(result, "serving");
}

static void call(struct hqq_advanced *advanced)
{
    struct hqq_pending *pending[CALLS];
    struct hqq_received answer;
    uint64_t status;
    int64_t value;

    check(hqq_advanced_negotiate(advanced, soon()), "negotiating");
    for (int64_t i = 0; i < CALLS; i++)
        check(hqq_pending_begin(advanced, NULL, SQUARE, &i, sizeof(i), soon(), &pending[i]), "calling");
    for (int64_t i = CALLS - 1; i >= 0; i--) { /* the last one first: answers wait for whom they are for */
        check(hqq_pending_wait(pending[i], soon(), &status, &answer), "waiting for an answer");
        memcpy(&value, answer.data, sizeof(value));
        hqq_received_free(advanced, &answer);
        printf("%lld squared is %lld\n", (long long)i, (long long)value);
        check(value == i * i ? 0 : HQQ_ERROR_INVALID_SIZE, "a wrong answer");
    }

    value = -4;
    int result = hqq_advanced_call(advanced, ROOT, &value, sizeof(value), soon(), &status, &answer);
    check(result == HQQ_ERROR_REMOTE && status == NEGATIVE ? 0 : HQQ_ERROR_INVALID_OP, "an error was expected");
    printf("the root of -4: error %d, \"%.*s\"\n", (int)status, (int)answer.length, (char *)answer.data);
    hqq_received_free(advanced, &answer);
}

int main(void)
{
    struct hqq_advanced *advanced;
    struct hqq_link *link;
    int fd, status = 0;

    check(hqq_link_create_fd(NULL, &fd, &link), "making the link");
    pid_t child = fork();
    check(child < 0 ? -errno : 0, "fork");
    if (child == 0) {
        hqq_link_close(link); /* the parent's stays as it is */
        check(hqq_link_attach_fd(fd, NULL, &link), "opening the other end");
    }
    check(hqq_advanced_open(link, NULL, &advanced), "taking the link over");
    child == 0 ? call(advanced) : serve(advanced);
    hqq_advanced_close(advanced);
    return child == 0 || (waitpid(child, &status, 0) == child && status == 0) ? EXIT_SUCCESS : EXIT_FAILURE;
}
