/*
 * Waiting for several sockets at once, as poll, select and epoll do it: look at the rings of each, spin a little, arm
 * them all, and let the kernel wait. What the kernel then finds readable may be a token only; so each is judged again.
 */
#ifndef HQQ_SOCKET_WATCH_H
#define HQQ_SOCKET_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "socket/endpoint.h"

#define HQQ_WATCHES 64

/* Those of the sockets waited for that are ours. More than fit are served by the kernel from then on. */
struct hqq_watch {
    size_t count;
    bool has_any_link;  /* else looking is not worth it */
    uint64_t asleep_ns; /* since when; 0: not */
    struct {
        struct hqq_endpoint *endpoint;
        int fd;
        uint32_t tag; /* the caller's: which of his it is */
        bool is_ready;
        bool is_asleep;
        bool is_readable; /* the kernel says */
        bool has_active;  /* at the last look there were rings to look at */
        bool is_edge;     /* it is told of arrivals alone, not of what is there still */
    } at[HQQ_WATCHES];
};

/* Adds a descriptor whose input is waited for, if it is ours. */
void hqq_watch_add(struct hqq_watch *watch, int fd, uint32_t tag);

/* Looks at each; returns how many are ready. */
size_t hqq_watch_look(struct hqq_watch *watch);

/* Looks again and again for a short time. True: look. */
bool hqq_watch_spin(struct hqq_watch *watch);

/* Arms all of them. False if something came meanwhile: look. True: sleep in the kernel, then call wake. */
bool hqq_watch_arm(struct hqq_watch *watch);

/* After the sleep; also as a handler of cancellation. */
void hqq_watch_wake(void *argument);

/* True if a receive on this one would find something now. */
bool hqq_watch_is_ready(struct hqq_watch *watch, size_t index);

#endif
