/*
 * Options, and the calls that change a descriptor's state: the kernel does them, and what matters for serving the
 * socket is remembered.
 */
#include "socket/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>

#include <hqq/socket.h>

#include "endpoint/changes.h"
#include "endpoint/endpoint.h"
#include "endpoint/ownership.h"
#include "endpoint/passed.h"
#include "runtime/fdtable.h"
#include "runtime/libc.h"
#include "runtime/reserved.h"
#include "socket/descriptor.h"
#include "socket/face.h"
#include "socket/init.h"

/* ---- Ancillary data --------------------------------------------------------------------------------------------- */

void hqq_options_see_received(const struct msghdr *message)
{
    if (__builtin_expect(message->msg_controllen != 0, 0))
        hqq_passed_each(message, hqq_descriptor_created);
}

/* ---- Socket options --------------------------------------------------------------------------------------------- */

int hqq_setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    struct hqq_object *object = hqq_fd_get(fd);
    if (object && object->ops->set_option)
        return hqq_face(object->ops->set_option(object, fd, level, option, value, length));
    return hqq_libc.setsockopt(fd, level, option, value, length);
}

int hqq_getsockopt(int fd, int level, int option, void *value, socklen_t *length)
{
    struct hqq_object *object = hqq_fd_get(fd);
    if (object && object->ops->get_option)
        return hqq_face(object->ops->get_option(object, fd, level, option, value, length));
    return hqq_libc.getsockopt(fd, level, option, value, length);
}

/* ---- fcntl, ioctl ---------------------------------------------------------------------------------------------- */

/* Where another process receives it reads there itself. */
static void note_input(int fd)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (endpoint && hqq_endpoint_is_own(endpoint) && hqq_load32_relaxed(&endpoint->is_receiver) != 0)
        hqq_changes_read_unseen(endpoint, fd);
}

static void note_duplicate(int fd, int duplicate)
{
    int saved = errno;
    if (hqq_ownership_is_borrowed()) {
        hqq_socket_given(fd);
        return;
    }
    hqq_descriptor_created(duplicate);
    struct hqq_object *object = hqq_fd_get(fd);
    if (object && object->ops->share)
        object->ops->share(object, fd, duplicate);
    if (duplicate == STDIN_FILENO) /* stdio may read it, unseen */
        note_input(fd);
    errno = saved;
}

int hqq_fcntl(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *); /* an int or a pointer: what the caller put there is passed on */
    va_end(arguments);
    int result = hqq_libc.fcntl(fd, command, argument);
    if (result < 0)
        return result;
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) {
        note_duplicate(fd, result);
    } else if (command == F_SETFL) {
        struct hqq_object *object = hqq_fd_get(fd);
        if (object && object->ops->note_flags)
            object->ops->note_flags(object, fd, (int)(intptr_t)argument);
    }
    return result;
}

int hqq_ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    struct hqq_object *object = hqq_fd_get(fd);
    if (__builtin_expect(object && object->ops->ioctl, 0))
        return hqq_face(object->ops->ioctl(object, fd, request, argument));
    return hqq_libc.ioctl(fd, request, argument);
}

/* ---- Duplicates ------------------------------------------------------------------------------------------------ */

int hqq_dup(int fd)
{
    int duplicate = hqq_libc.dup(fd);
    if (duplicate >= 0)
        note_duplicate(fd, duplicate);
    return duplicate;
}

/* wanted is about to become a duplicate of fd. */
static void make_way(int fd, int wanted)
{
    if (hqq_ownership_is_borrowed())
        return;
    hqq_reserved_make_way(wanted);
    hqq_descriptor_leave_if_valid(fd, wanted);
}

int hqq_dup3(int fd, int wanted, int flags)
{
    if (fd == wanted || (flags & ~O_CLOEXEC) != 0) /* an error, which the kernel is to tell */
        return hqq_libc.dup3(fd, wanted, flags);
    make_way(fd, wanted);
    int duplicate = hqq_libc.dup3(fd, wanted, flags);
    if (duplicate >= 0)
        note_duplicate(fd, duplicate);
    return duplicate;
}

int hqq_dup2(int fd, int wanted)
{
    if (fd == wanted)
        return hqq_libc.dup2(fd, wanted);
    make_way(fd, wanted);
    int duplicate = hqq_libc.dup2(fd, wanted);
    if (duplicate >= 0)
        note_duplicate(fd, duplicate);
    return duplicate;
}
