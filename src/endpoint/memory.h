/*
 * The memory of channels: how it is given back before their sockets are closed. A channel goes only when nothing in its
 * rings is unread, so nothing is lost by it, or overtaken; what is sent next takes the kernel. One that holds something
 * stays, and no more is published to us by it. Never sleeps but for the locks of endpoints.
 */
#ifndef HQQ_ENDPOINT_MEMORY_H
#define HQQ_ENDPOINT_MEMORY_H

#include <stdbool.h>

#include "endpoint/endpoint.h"

/* Of all endpoints of this process, which locks its memory. False: some had to stay, though perhaps not for long. Does
 * nothing under a seccomp filter, or to what code holds that a handler has interrupted. */
bool hqq_memory_give_up(void);

/* Room for another channel of the endpoint, whose send lock is held: where the rule's memory is used up, channels end by
 * which nothing has gone for 100 ms, of any endpoint that nobody is at work on. False: there is none now. */
bool hqq_memory_make_room(struct hqq_endpoint *endpoint, const struct hqq_rule *rule);

#endif
