/* What README.md's snippet needs around it: a socket that sends to itself, and what the snippet calls. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <hqq/hqq.h>

static size_t compose(void *data, size_t capacity)
{
    if (capacity < 4)
        return 0;
    memcpy(data, "lent", 4);
    return 4;
}

static void look_at(const void *data, size_t length)
{
    printf("%.*s\n", (int)length, (const char *)data);
}

static void snippet(int fd, size_t size)
{
#include "socket.inc"
}

int main(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    char text[8];
    int fd = hqq_socket(AF_UNIX, SOCK_DGRAM, 0);

    snprintf(name.sun_path, sizeof(name.sun_path), "/tmp/lacking.%d", (int)getpid());
    if (hqq_bind(fd, (struct sockaddr *)&name, sizeof(name)) != 0 ||
        hqq_connect(fd, (struct sockaddr *)&name, sizeof(name)) != 0)
        return 1;
    hqq_set_read_deadline(fd, hqq_clock_ns());
    if (hqq_recv(fd, text, sizeof(text), 0) != -1 || errno != ETIMEDOUT)
        return 1;
    printf("late, ");
    snippet(fd, 4);
    hqq_close(fd);
    unlink(name.sun_path);
    return 0;
}
