#include "support/control.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t send_fds(int fd, const struct address *to, const char *text, const int *fds, size_t count)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(FDS_MAX * sizeof(int))] = "";
    char data[64];
    size_t length = strlen(text);
    memcpy(data, text, length);
    struct iovec part = {.iov_base = data, .iov_len = length};
    struct address name = to ? *to : (struct address){.length = 0};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_name = to ? &name.name : NULL,
        .msg_namelen = name.length,
        .msg_control = control,
        .msg_controllen = CMSG_SPACE(count * sizeof(int)),
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    return sendmsg(fd, &message, 0);
}

struct received receive_with(int fd, int flags, size_t room)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(FDS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    struct received got = {.length = 0};
    struct iovec part = {.iov_base = got.text, .iov_len = sizeof(got.text) - 1};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = room > 0 ? control : NULL,
        .msg_controllen = room < sizeof(control) ? room : sizeof(control),
    };
    got.length = recvmsg(fd, &message, flags);
    if (got.length < 0)
        return got;
    got.flags = message.msg_flags;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at)) {
        size_t length = at->cmsg_len - CMSG_LEN(0);
        if (at->cmsg_type == SCM_RIGHTS) {
            got.count = length / sizeof(int);
            memcpy(got.fds, CMSG_DATA(at), got.count * sizeof(int));
        } else if (at->cmsg_type == SCM_CREDENTIALS) {
            got.has_credentials = true;
            memcpy(&got.credentials, CMSG_DATA(at), sizeof(got.credentials));
        }
    }
    return got;
}

struct received receive_all(int fd, int flags)
{
    return receive_with(fd, flags, SIZE_MAX);
}

bool is_same_file(int one, int other)
{
    struct stat a, b;
    return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

void new_pipe(int pipes[2])
{
    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    own(pipes[0]);
    own(pipes[1]);
}
