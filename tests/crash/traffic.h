/*
 * Death in the middle of traffic: a victim with one thread makes one kind of call again and again until it passes the
 * label for the nth time; a survivor with a reader and a writer goes on. Then: all that the victim published has been
 * read, whole and in order; both threads of the survivor have been told that the peer died; every slot that the
 * victim held is free; and a successor at the victim's end finds a link that works.
 */
#ifndef TESTS_CRASH_TRAFFIC_H
#define TESTS_CRASH_TRAFFIC_H

#include "crash/scene.h"

/* What a victim does over and over. */
enum traffic_call {
    TRAFFIC_WRITE,
    TRAFFIC_TRY_WRITE,
    TRAFFIC_WRITE_BATCH,
    TRAFFIC_COMMIT,
    TRAFFIC_ABORT,
    TRAFFIC_WRITE_WITH,
    TRAFFIC_READ,
    TRAFFIC_TRY_READ,
    TRAFFIC_READ_BATCH,
    TRAFFIC_BORROW,
    TRAFFIC_READ_WITH,
    TRAFFIC_PEEK,
    TRAFFIC_REOPEN, /* opens the link, writes, closes it */
    TRAFFIC_CALLS,
};

#define TRAFFIC_FIRST_READ TRAFFIC_READ

/* How the survivor waits. */
enum traffic_patience {
    TRAFFIC_FOREVER,
    TRAFFIC_SHORT, /* with time-outs shorter than the time between two looks at the peer */
    TRAFFIC_NEVER, /* by the calls that don't wait */
    TRAFFIC_PATIENCES,
};

struct traffic {
    const char *label;
    unsigned nth;
    enum hqq_role role; /* the victim's */
    enum traffic_call call;
    enum traffic_patience patience; /* the survivor's */
    uint64_t seed;
};

const char *traffic_call_name(enum traffic_call call);

/* Makes calls until the process dies or over is set; exits SCENE_NOT_REACHED if it makes very many. */
_Noreturn void traffic_victim(const struct scene *scene, const struct traffic *traffic);

/* The survivor's two threads, from here until both know that the peer is gone. */
struct survivor {
    const struct scene *scene;
    const struct traffic *traffic;
    struct hqq_link *link;
    uint64_t read;               /* datagrams */
    int read_ended, write_ended; /* results */
    uint64_t read_ended_ns, write_ended_ns;
};
void traffic_survive(struct survivor *survivor);

/* The whole of it. True if the label was reached; false if this call never gets there. */
bool traffic_run(const struct traffic *traffic);

#endif
