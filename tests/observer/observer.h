/*
 * Who else may meet what is sent to a socket: plain programs, children, second descriptors, handlers. A campaign of senders that
 * have the library and come, go and die, and of one name that passes from hand to hand: whoever reads there sees the programs'
 * datagrams and nothing else, those of each sender in order. The parts: message.c, read.c, sender.c, holder.c; observer.c
 * drives them. Uses libc alone, so that it runs with the preload, partly with it, and without.
 */
#ifndef TESTS_OBSERVER_OBSERVER_H
#define TESTS_OBSERVER_OBSERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#define SENDERS 3
#define LONGEST 4000

/* What all processes share: a file in the folder, as some of them exec. */
struct figures {
    _Atomic uint32_t is_over;
    _Atomic uint32_t incarnation[SENDERS];            /* of the sender's socket */
    _Atomic uint64_t sent, received, received_unseen; /* unseen: by raw system calls, or without the library */
    _Atomic uint64_t oddities;  /* a descriptor, or the word that one was cut off, beside a datagram */
    _Atomic uint64_t late;      /* that a socket which changed hands gave after what was sent later */
    _Atomic uint64_t turns[16]; /* of the holder: rebinds, children, images and so on */
    _Atomic int holder;         /* the process that holds the name */
};

extern struct figures *figures;
extern char folder[64];
extern uint64_t random_state;

uint64_t below(uint64_t bound);
uint64_t now_ms(void);
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
struct sockaddr_un name_of(const char *text, int number);

/* ---- Datagrams (message.c) ---------------------------------------------------------------------------------------- */

struct message {
    uint64_t magic, number;
    uint32_t sender, incarnation, length, mixed;
};

size_t message_fill(void *data, int sender, uint32_t incarnation, uint64_t number, size_t length);

/* Fails unless it is one, whole. */
void message_check(const char *who, const void *data, size_t got, struct message *ret_message);

/* The lengths that there are. */
bool message_may_be(int length);

/* ---- Reading (read.c) --------------------------------------------------------------------------------------------- */

#define REMEMBERED 16 /* sockets of one sender */

/* One who reads, in one way: what it has read of each sender goes up. */
struct reader {
    const char *who;
    int fd;
    bool is_raw; /* by raw system calls */
    bool
        is_alone; /* nobody else has the socket, or had it before: then there is nothing odd, and a peek tells what comes */
    unsigned oddities;
    struct {
        uint32_t incarnation;
        uint64_t number;
    } last[SENDERS][REMEMBERED];
};

/* A few reads, each in a way of its own; waits at most some milliseconds. Returns how many datagrams there were. */
unsigned read_some(struct reader *reader);

/* One without waiting. False: there was none. Async-signal-safe. */
bool read_one(struct reader *reader);

/* ---- Processes ----------------------------------------------------------------------------------------------------- */

/* Sends until it is killed or all is over. */
void sender_run(int index);

/* Holds the name, or a socket that it was given, for a while; then hands it on in some way. Returns when all is over. */
void holder_run(int fd);

#define TURNS 8 /* that a holder takes */
extern const char *const turn_names[TURNS];

/* The turns of this process so far, a digit each, the latest last. */
extern char turn_history[64];

#endif
