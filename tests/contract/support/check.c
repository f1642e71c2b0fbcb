#include "support/check.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

static void fail_at(const char *text, const char *file, int line)
{
    print_error("%s\n", text);
    _fail(file, line);
}

static void report(const char *call, long result, int error, const char *wanted, const char *file, int line)
{
    char text[512];
    if (result == -1)
        snprintf(text, sizeof(text), "%.300s: -1 (%s), not %s", call, strerrorname_np(error), wanted);
    else if (result < 0 && result > -4096)
        snprintf(text, sizeof(text), "%.300s: %ld (%s), not %s", call, result, strerrorname_np((int)-result), wanted);
    else
        snprintf(text, sizeof(text), "%.300s: %ld, not %s", call, result, wanted);
    fail_at(text, file, line);
}

void check_result(const char *call, long result, long wanted, const char *file, int line)
{
    int error = errno;
    char text[64];
    snprintf(text, sizeof(text), "%ld", wanted);
    if (result != wanted)
        report(call, result, error, text, file, line);
}

void check_error(const char *call, long result, int wanted, const char *file, int line)
{
    int error = errno;
    if (result != -1 || error != wanted)
        report(call, result, error, strerrorname_np(wanted), file, line);
}

void check_receives(int fd, const char *text, const char *file, int line)
{
    char data[512];
    ssize_t got = recv(fd, data, sizeof(data), MSG_DONTWAIT);
    int error = errno;
    if (got != (ssize_t)strlen(text))
        report("receive", got, error, text, file, line);
    else if (memcmp(data, text, strlen(text)) != 0)
        fail_at("another datagram than expected", file, line);
}

void check_empty(int fd, const char *file, int line)
{
    char data[1];
    ssize_t got = recv(fd, data, sizeof(data), MSG_DONTWAIT | MSG_TRUNC | MSG_PEEK);
    int error = errno;
    if (got != -1 || error != EAGAIN)
        report("receive from an empty queue", got, error, "EAGAIN", file, line);
}

void check_revents(int fd, int events, int wanted, const char *file, int line)
{
    char text[128];
    struct pollfd one = {.fd = fd, .events = (short)events};
    int count = poll(&one, 1, 0);
    if (count == (wanted != 0) && one.revents == wanted)
        return;
    snprintf(text, sizeof(text), "poll: %d with revents %#x, not %#x", count, (unsigned)one.revents, (unsigned)wanted);
    fail_at(text, file, line);
}
