#include "endpoint/passed.h"

#include <string.h>

#include "endpoint/ownership.h"
#include "runtime/cursor.h"
#include "runtime/fdtable.h"

void hqq_passed_each(const struct msghdr *message, void (*see)(int fd))
{
    struct msghdr copy = *message;
    if (hqq_is_unreadable(copy.msg_control, copy.msg_controllen))
        return;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&copy); header; header = CMSG_NXTHDR(&copy, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS || header->cmsg_len < CMSG_LEN(0))
            continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            see(fd);
        }
    }
}

static void see_passed(int fd)
{
    struct hqq_object *object = hqq_fd_get(fd);
    if (object && object->ops->pass)
        object->ops->pass(object);
}

void hqq_passed_see(const struct msghdr *message)
{
    if (!hqq_ownership_is_borrowed())
        hqq_passed_each(message, see_passed);
}
