/*
 * What is measured, and the two sides that measure it: programs that know nothing of HQQ, and make plain calls of
 * socket(), send(), recv().
 */
#ifndef HQQ_TOOLS_SOCKETS_SCENE_H
#define HQQ_TOOLS_SOCKETS_SCENE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

enum scene_kind {
    SCENE_STREAM,     /* one way */
    SCENE_ROUND_TRIP, /* each datagram is answered before the next is sent */
    SCENE_SINGLE,     /* one way, each datagram by a socket that is made for it and closed */
    SCENE_PROGRAM,    /* one way, each datagram by a program that is started for it */
};

struct scene {
    const char *name;
    enum scene_kind kind;
    bool is_pinned_together;
    uint32_t bytes, count;
    uint32_t clients; /* sockets that send in turn; 0: one, connected and no crowd */
    uint32_t processes;
};

/* What a run tells. Of the set-up only with clients. */
struct scene_result {
    double each_ns;    /* a datagram or round trip, once all is settled */
    double burst_ns;   /* a datagram or round trip of the first turns */
    double opened_ns;  /* from the first datagram until every client had its link; 0: not told */
    uint32_t unopened; /* clients that had none at the end of the first turns */
};

/* Datagrams of each client that count as the set-up. */
#define SCENE_BURST_TURNS 16

struct sockaddr_un scene_address(const char *folder, const char *name, uint32_t number);

/* A socket that is bound there. */
int scene_bind(const struct sockaddr_un *address);

/* Both sides of one run; write one struct scene_result to the descriptor. settle: turns before those that count, in a
 * crowd. */
int scene_pair(const struct scene *scene, const char *folder, int results);

/* The program of SCENE_PROGRAM: sends that number to the socket at that path. */
int scene_once(const char *path, const char *number);

int scene_crowd(const struct scene *scene, const char *folder, int results, uint32_t settle);

#endif
