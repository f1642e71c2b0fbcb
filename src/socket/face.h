/*
 * From results as they are inside, 0 or more and -errno, to those of the calls that <hqq/socket.h> has: -1 and errno.
 */
#ifndef HQQ_SOCKET_FACE_H
#define HQQ_SOCKET_FACE_H

#include <errno.h>
#include <sys/types.h>

static inline int hqq_face(int result)
{
    if (result >= 0)
        return result;
    errno = -result;
    return -1;
}

static inline ssize_t hqq_face_size(ssize_t result)
{
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

#endif
