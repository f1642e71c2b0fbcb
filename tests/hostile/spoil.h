/*
 * A channel gone bad: whoever holds one end of its region, come by honestly, writes into it what it likes.
 */
#ifndef TESTS_HOSTILE_SPOIL_H
#define TESTS_HOSTILE_SPOIL_H

#include "endpoint/endpoint.h"
#include "hostile/attack.h"
#include "hostile/scene.h"

/* Which end the attacker has. */
enum spoil_role {
    SPOIL_OFFERER, /* it offered the channel to the server */
    SPOIL_OTHER,   /* the server offered it, to the trap */
};

struct spoiler {
    const struct scene *scene;
    enum spoil_role role;
    int fd;
    struct hqq_channel *channel; /* held, so that its memory stays while its ends end */
    struct attack attack;
    uint64_t opened;
};

/* Gets a socket, and a channel with the server that both ends use; in SCENE_FOREIGN one that is validated, as the server never
 * polls there. */
void spoil_open(struct spoiler *spoiler, const struct scene *scene, enum spoil_role role);
void spoil_close(struct spoiler *spoiler);

/* False once either side has done with the channel. */
bool spoil_is_open(const struct spoiler *spoiler);

/* A little honest traffic, so that the server comes by. */
void spoil_talk(struct spoiler *spoiler);

/* Words of the region that mean something, and values for them: each with each. */
size_t spoil_fields(void);
size_t spoil_values(void);

/* Writes that value there, lets the server serve, and puts back what was there. */
void spoil_word(struct spoiler *spoiler, size_t field, size_t value);

/* Writes a notify word of one side (0, the offerer's; 1) whose state, mark, limit and place are the number's: each with each. */
size_t spoil_notify_words(void);
void spoil_notify(struct spoiler *spoiler, size_t side, size_t number);

/* Publishes a datagram by the rules, but for that value in that word of its packet. word: below SPOIL_PACKET_WORDS. False: the server
 * left no occasion. */
#define SPOIL_PACKET_WORDS 8
bool spoil_packet(struct spoiler *spoiler, size_t word, size_t value, bool is_chunked);

/* For a while many of them, as fast as can be, at random, from another process. */
void spoil_storm(struct spoiler *spoiler, uint64_t seed, uint64_t duration_ns);

#endif
