/*
 * From a descriptor to what serves it, at the entry of a call: one load where it is known. NULL is libc's.
 */
#ifndef HQQ_SOCKET_LOOKUP_H
#define HQQ_SOCKET_LOOKUP_H

#include "endpoint/adopt.h"
#include "endpoint/ownership.h"
#include "runtime/fdtable.h"
#include "runtime/filter.h"
#include "runtime/frame.h"
#include "runtime/started.h"

/* That is about to receive. */
static inline struct hqq_object *hqq_lookup_receiver(int fd)
{
    struct hqq_object *object = hqq_fd_get(fd);
    if (__builtin_expect(!object, 0))
        return hqq_start() ? hqq_adopt_unknown(fd) : NULL;
    if (!object->ops->receive || __builtin_expect(hqq_ownership_is_vfork_child(), 0))
        return NULL;
    hqq_frames_recover();
    if (hqq_filter_is_set() && object->ops->is_kernels && object->ops->is_kernels(object))
        return NULL;
    return object;
}

/* That serves sends without an address. */
static inline struct hqq_object *hqq_lookup_server(int fd)
{
    struct hqq_object *object = hqq_fd_server(fd);
    return object && hqq_filter_is_set() && object->ops->is_kernels ? NULL : object;
}

/* That is about to send to an address (NULL: where it is connected), which is looked at only where the descriptor is a datagram
 * socket of AF_UNIX. */
static inline struct hqq_object *hqq_lookup_sender(int fd, const struct sockaddr *address, socklen_t length)
{
    struct hqq_object *object = hqq_fd_get(fd);
    if (__builtin_expect(object && object->ops->send, 1)) {
        if (__builtin_expect(hqq_ownership_is_vfork_child(), 0) || (hqq_filter_is_set() && object->ops->is_kernels))
            return NULL;
        hqq_frames_recover();
        return object;
    }
    if (hqq_filter_is_set())
        return NULL;
    if (!object)
        return hqq_start() ? hqq_adopt_for_address(fd, address, length) : NULL;
    return object->ops->adopt && address ? object->ops->adopt(fd, address, length) : NULL;
}

#endif
