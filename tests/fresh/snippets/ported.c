/* A program for datagram sockets that knows nothing of this library: a child says hello to its parent. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    char text[64];
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    snprintf(name.sun_path, sizeof(name.sun_path), "/tmp/ported.%d", (int)getpid());
    if (bind(fd, (struct sockaddr *)&name, sizeof(name)) != 0)
        return 1;
    if (fork() == 0) {
        int sender = socket(AF_UNIX, SOCK_DGRAM, 0);
        return sendto(sender, "hello", 5, 0, (struct sockaddr *)&name, sizeof(name)) != 5;
    }
    ssize_t length = recv(fd, text, sizeof(text), 0);
    unlink(name.sun_path);
    printf("%.*s\n", length < 0 ? 0 : (int)length, text);
    return close(fd);
}
