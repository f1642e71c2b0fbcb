/*
 * One random sequence of calls on datagram sockets, made twice: by programs that are plain, and by the same programs
 * under the preload. Every answer must be the same. The driver generates steps (generate.c), leaves out what may differ
 * by the README's limits (model.c), has each step made by a plain actor and by a preloaded one (troupe.c, actor.c,
 * calls_*.c),
 * compares, and makes a sequence that differs short (differential.c). Steps are text as well (text.c), to be run again.
 * Uses libc alone.
 */
#ifndef TESTS_DIFFERENTIAL_DIFFERENTIAL_H
#define TESTS_DIFFERENTIAL_DIFFERENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define ACTORS 6 /* in a troupe: two or three from the beginning, the rest by forks */
#define PLAIN 2  /* this one never has the preload */
#define SLOTS 8  /* places for descriptors that an actor has */
#define NAMES 10 /* five paths, three abstract names, two of the paths in relative form */
#define PATHS 5  /* the first of them */
#define LONGEST 262144
#define ARGS 6

/* What a step does, and its arguments' names; the function is call_NAME. */
#define STEPS(X)                                                                                                       \
    X(socket, "slot", "flags")                                                                                         \
    X(close, "slot")                                                                                                   \
    X(bind, "slot", "name")                                                                                            \
    X(autobind, "slot")                                                                                                \
    X(connect, "slot", "name")                                                                                         \
    X(disconnect, "slot")                                                                                              \
    X(send, "slot", "length", "flags")                                                                                 \
    X(sendto, "slot", "length", "flags", "name")                                                                       \
    X(sendmsg, "slot", "length", "flags", "name", "vector", "control")                                                 \
    X(sendmmsg, "slot", "length", "flags", "name", "count")                                                            \
    X(write, "slot", "length")                                                                                         \
    X(writev, "slot", "length", "vector")                                                                              \
    X(recv, "slot", "room", "flags")                                                                                   \
    X(recvfrom, "slot", "room", "flags", "nameroom")                                                                   \
    X(recvmsg, "slot", "room", "flags", "vector", "control")                                                           \
    X(recvmmsg, "slot", "room", "flags", "count")                                                                      \
    X(read, "slot", "room")                                                                                            \
    X(readv, "slot", "room", "vector")                                                                                 \
    X(drain, "slot")                                                                                                   \
    X(badsend, "slot", "kind", "name")                                                                                 \
    X(badrecv, "slot", "kind")                                                                                         \
    X(poll, "slot", "events", "ms")                                                                                    \
    X(polltwo, "slot", "events", "other", "others")                                                                    \
    X(select, "slot", "other", "ms")                                                                                   \
    X(epoll, "slot")                                                                                                   \
    X(epollctl, "set", "what", "slot", "events")                                                                       \
    X(epollwait, "set", "ms")                                                                                          \
    X(shutdown, "slot", "how")                                                                                         \
    X(unlink, "name")                                                                                                  \
    X(rename, "name", "to")                                                                                            \
    X(chmod, "name", "mode")                                                                                           \
    X(dup, "slot", "to")                                                                                               \
    X(dup2, "slot", "to")                                                                                              \
    X(nonblock, "slot", "on", "how")                                                                                   \
    X(setsockopt, "slot", "option", "value")                                                                           \
    X(getsockopt, "slot", "option")                                                                                    \
    X(fionread, "slot")                                                                                                \
    X(getsockname, "slot")                                                                                             \
    X(getpeername, "slot")                                                                                             \
    X(fork, "actor")                                                                                                   \
    X(restart, "unused")                                                                                               \
    X(pause, "us")

enum step_kind {
#define X(name, ...) STEP_##name,
    STEPS(X)
#undef X
        STEP_KINDS
};

struct step {
    uint8_t kind, actor;
    bool is_asleep; /* its call is to be asleep before the next step, which is another actor's, is made */
    uint32_t stamp; /* what the datagrams of this step begin with: its number */
    int32_t arg[ARGS];
};

/* All that a program can see of a step. Unused parts are zero. */
struct result {
    int64_t value; /* what the call returned */
    int32_t error; /* errno where that was -1 */
    int32_t name_length;
    char name[32]; /* as both troupes have it */
    uint32_t flags;
    uint32_t stamp; /* of what was received */
    uint64_t hash;  /* of the buffer, in all its length */
    int32_t count;
    int32_t extra[16];
    uint32_t signals;  /* SIGPIPE */
    uint32_t is_early; /* it says that time has passed which had not */
};

extern const struct step_text {
    const char *name;
    const char *arg[ARGS];
} step_texts[STEP_KINDS];

/* ---- What actors and driver share (actor.c, troupe.c) ------------------------------------------------------------ */

enum box_state { BOX_IDLE, BOX_ASKED, BOX_DONE };

struct box {
    _Atomic uint32_t state; /* a futex */
    _Atomic int pid;
    _Atomic uint32_t is_inside; /* the call of a step that is to sleep */
    struct step step;
    struct result result;
};

struct stage {
    char folder[64];
    struct box box[ACTORS];
};

_Noreturn void actor_run(struct stage *stage, int number);

struct troupe {
    struct stage *stage;
    int memory;
    const char *preload; /* NULL: none */
    char folder[64], report[64];
    const char *polling;
    int link_after;
};

void troupe_begin(struct troupe *troupe, int actors, const char *polling, int link_after);
void troupe_end(struct troupe *troupe);
/* Kills an actor, and begins another in its place. */
void troupe_restart(struct troupe *troupe, int actor);

void troupe_ask(struct troupe *troupe, const struct step *step);
/* Asks, and waits until the call is asleep or over. */
void troupe_ask_asleep(struct troupe *troupe, const struct step *step);
bool troupe_is_over(struct troupe *troupe, int actor, int patience_ms);
bool troupe_sleeps(const struct troupe *troupe, int actor);
void troupe_interrupt(struct troupe *troupe, int actor);
/* NULL: there is none, as the actor has died or hangs. */
const struct result *troupe_answer(struct troupe *troupe, int actor);

/* ---- Calls (calls_*.c): run in the actor ------------------------------------------------------------------------- */

extern struct stage *stage;
extern int self;
extern int slots[SLOTS];
extern char bytes_out[LONGEST + 64], bytes_in[LONGEST + 64];

typedef void call_function(const struct step *step, struct result *result);
#define X(name, ...) call_function call_##name;
STEPS(X)
#undef X

void result_set(struct result *result, int64_t value);
/* The name of that number as an address; its length. */
socklen_t name_make(int name, struct sockaddr_un *address);
void name_show(struct result *result, const struct sockaddr_un *address, socklen_t length);

/* ---- The model (model.c): what the driver knows of the sockets, by the plain troupe's answers -------------------- */

#define SOCKETS_MAX 2048
#define QUEUE_MAX 1024

struct object {
    bool is_socket, is_open, is_nonblocking, has_receive_timeout, has_send_timeout, is_read_shut, is_odd;
    int users; /* slots */
    int name;  /* bound to; -1: none */
    int peer;  /* object; 0: none */
    int send_room;
    int unread_bytes; /* sent by it */
    int peek_offset;
    unsigned takers;    /* actors that have received on it since it came to be shared */
    int first, count;   /* of the queue */
    bool has_been_used; /* is bound, connected or has sent */
    bool is_split;      /* two processes came to have it before that, and do not know of each other's sends */
    struct unread {
        int sender, actor, bytes;
    } queue[QUEUE_MAX];
};

struct model {
    int slot[ACTORS][SLOTS]; /* object; 0: none */
    int at[NAMES];           /* object; 0: none, -1: a file that no socket has */
    bool has_moved[ACTORS];  /* what a name leads to has changed since, by somebody else */
    bool exists[ACTORS], is_forked;
    int limit; /* of unread datagrams of a socket */
    int objects;
    struct object object[SOCKETS_MAX];
};

void model_begin(struct model *model, int actors, int limit);
/* Whether the README lets the answers differ: then the step is left out. */
bool model_allows(struct model *model, const struct step *step);
/* How long the preloaded troupe may take to notice what has happened before. */
bool model_wants_pause(struct model *model, const struct step *step);
void model_note(struct model *model, const struct step *step, const struct result *plain);
/* False: what follows this step, if not its answers, may differ. */
bool model_can_compare(const struct step *step, bool is_interrupted, const struct result *plain,
                       const struct result *preloaded);

/* ---- Generating (generate.c) ------------------------------------------------------------------------------------- */

uint64_t below(uint64_t bound);
void random_seed(uint64_t seed);

struct generator {
    int actors; /* from the beginning */
    int warmed_from, warmed_to;
    int from, to;      /* sockets that mostly talk, so that channels open and are used; 0: none */
    int waiting, next; /* steps that are to come first */
    struct step queue[4096];
    struct model *model;
};

void generate_begin(struct generator *generator, struct model *model, int actors);
void generate_next(struct generator *generator, struct step *ret_step);

/* ---- Text (text.c) ----------------------------------------------------------------------------------------------- */

void step_print(const struct step *step, char *text, size_t bytes);
bool step_parse(const char *text, struct step *ret_step);
void result_print(const struct step *step, const struct result *result, char *text, size_t bytes);

#endif
