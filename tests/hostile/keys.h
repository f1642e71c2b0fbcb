/*
 * Datagrams with descriptors beside them that look like the keys of a challenge, or like nothing: whoever may send to the socket can
 * send them. Each returns how many it sent.
 */
#ifndef TESTS_HOSTILE_KEYS_H
#define TESTS_HOSTILE_KEYS_H

#include "hostile/scene.h"

/* Of no channel, of every form, and descriptors of every kind, one and several, while the server waits for a challenge that never
 * comes: each datagram arrives, and is answered once. */
uint64_t key_junk(const struct scene *scene);

/* Of the sender's own channel, but not what an honest end sends: again, with other secrets; after its end, too. */
uint64_t key_replays(const struct scene *scene);

/* Of one channel, but from two sockets of different names; then the channel ends, and another one follows. */
uint64_t key_of_two_names(const struct scene *scene);

#endif
