/*
 * Three processes around one server of sockets: the server, who is attacked; an honest client, who must be served all
 * the while; and the attacker, who is the test's own. They share a page of figures; whatever else they know of each
 * other came through sockets.
 */
#ifndef TESTS_HOSTILE_SCENE_H
#define TESTS_HOSTILE_SCENE_H

#include <stdbool.h>
#include <sys/un.h>

#include "support/heavy.h"

#define SCENE_LARGEST 9000u

/* How the server waits. */
enum scene_wait {
    SCENE_OWN,     /* by calls of the library */
    SCENE_FOREIGN, /* by poll() of libc, unseen */
    SCENE_WAITS,
};

struct scene_figures {
    _Atomic uint64_t secret;      /* what the honest client's datagrams are made of; the attacker does not look */
    _Atomic uint64_t steps;       /* rounds of the server: each looks at both of its sockets */
    _Atomic uint64_t served;      /* answers that the honest client has checked */
    _Atomic uint64_t honest_ring; /* its datagrams that took the ring */
    _Atomic uint64_t honest_answers_ring; /* and answers to it; only these do where the server waits unseen */
    _Atomic uint64_t spoilt;              /* datagrams that the server got from anybody else */
    _Atomic uint64_t spoilt_ring;         /* what the server got through rings, the honest client's too */
    _Atomic uint64_t longest_ns;          /* of the server's calls */
    _Atomic bool is_over, has_client_ended;
};

struct scene {
    char folder[32];
    struct scene_figures *figures;
    enum scene_wait wait;
    uint64_t seed;
    pid_t server, client;
};

/* A name in the scene's folder. */
struct sockaddr_un scene_name(const struct scene *scene, const char *name);

/* Starts server and client; returns once the client is being served. Before any thread is made. */
struct scene scene_new(enum scene_wait wait, uint64_t seed);

/* Waits until the server has made so many more rounds. Fails if it, or the client, ends or hangs. */
void scene_let_serve(const struct scene *scene, uint64_t rounds);

/* Ends both, and fails unless all went well: the client was served to the end, partly through a ring, and the server
 * holds no more than before. */
void scene_end(struct scene *scene);

/* How many of the honest client's datagrams took a ring, or of the answers to it where only these do. */
uint64_t scene_ring(const struct scene *scene);

/* The two bodies (server.c, client.c). */
int scene_serve(const struct scene *scene);
int scene_use(const struct scene *scene);

/* ---- What is sent ---------------------------------------------------------------------------------------------- */

struct scene_message {
    uint64_t secret;
    uint32_t number, length;
};

/* Fills a datagram of the honest client: each word is the secret, but for its head. length: a multiple of 8. */
void scene_fill(void *data, uint64_t secret, uint32_t number, uint32_t length);

/* Fails unless it is exactly that. */
void scene_check(const char *who, const void *data, size_t got, uint64_t secret, uint32_t number);

/* Fails if anything of it is the honest client's. */
void scene_check_foreign(const struct scene *scene, const char *who, const void *data, size_t got);

/* ---- Sockets --------------------------------------------------------------------------------------------------- */

/* A socket bound to a name, which is removed before; fails the test if that fails. */
int scene_socket(const struct scene *scene, const char *name);

#endif
