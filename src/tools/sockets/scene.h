/*
 * What is measured: scenes, played by programs that know nothing of HQQ and make plain calls of socket(), send(),
 * recv(). A scene is played by the side: a process that was started for it, with the preload or without, and forks its
 * roles. Each datagram carries its number, which whoever receives it checks.
 */
#ifndef HQQ_TOOLS_SOCKETS_SCENE_H
#define HQQ_TOOLS_SOCKETS_SCENE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/atomic.h"

#define SCENE_FIGURES 8
#define SCENE_CURVE_MS 256
#define SCENE_PAIRS_MAX 8

/* Datagrams of each client that count as the set-up of a crowd. */
#define SCENE_BURST_TURNS 16

enum scene_place {
    SCENE_APART,    /* a processor for each of both ends */
    SCENE_TOGETHER, /* one for both */
    SCENE_FREE,     /* two for all, wherever the scheduler likes */
};

enum scene_wait {
    SCENE_BLOCK,  /* in the call itself */
    SCENE_POLLED, /* nowhere: calls with MSG_DONTWAIT, again and again */
    SCENE_POLL,
    SCENE_SELECT,
    SCENE_EPOLL,
};

struct scene_run;

/* Plays it; leaves the result in run->shared. */
typedef void scene_play_fn(const struct scene_run *run);

struct scene {
    scene_play_fn *play;
    uint32_t bytes;
    enum scene_place place;
    enum scene_wait wait;
    uint32_t batch;                                     /* datagrams a call; 0: sendto() and its like */
    uint32_t rate;                                      /* datagrams a second; 0: as fast as it goes */
    uint32_t pairs;                                     /* of processes */
    uint32_t sockets;                                   /* bound in one process */
    uint32_t clients, processes;                        /* of one server */
    uint32_t least_ms;                                  /* the shortest run that tells anything */
    const char *program;                                /* started again and again */
    bool is_fifo, is_connected, is_single, is_answered; /* single: a socket for each datagram */
    bool has_no_paths;                                  /* preloaded, but no path is named to it */
};

/* What a run tells; which figure is what, the scene's file says and the table of rows repeats. */
struct scene_result {
    double figures[SCENE_FIGURES];
    double curve[SCENE_CURVE_MS]; /* mean round trip of each millisecond since the start, ns; 0: there was none */
};

/* Figures that many scenes have. */
enum {
    SCENE_EACH = 0, /* ns a datagram, or a round trip, or a call */
    SCENE_RATE = 1, /* round trips a second, of all pairs */
    SCENE_P50 = 0,
    SCENE_P99 = 1,
};

/* What the roles share, by fork. */
struct scene_shared {
    struct scene_result result;
    double rates[SCENE_PAIRS_MAX];
    double bytes[2];      /* of memory, that roles add up */
    hqq_atomic_u32 ready; /* roles that have begun, or steps that are done */
};

struct scene_run {
    const struct scene *scene;
    const char *row, *folder;
    uint64_t warm_ns, duration_ns;
    uint32_t settle; /* turns of a crowd before those that count */
    struct scene_shared *shared;
};

/* The first bytes of a datagram. */
struct scene_note {
    uint32_t number;
    uint32_t flags; /* SCENE_LAST */
    uint64_t sent_ns;
};

#define SCENE_LAST 1u

scene_play_fn scene_stream, scene_round_trip, scene_sleepers, scene_paced, scene_waiter, scene_sets, scene_forks,
    scene_crowd, scene_set_up, scene_calls, scene_starts, scene_memory;

/* Programs that scenes start: the sender of scene_waiter, which is never preloaded; and what sends count datagrams to
 * a path, numbered from first on, from a socket that is connected if there are several. */
int scene_sender(const struct scene_run *run);
int scene_once(const char *path, uint32_t first, uint32_t count, bool is_last);

#endif
