/* What scenes have in common: roles, addresses, and datagrams one by one. What goes wrong ends the run. */
#ifndef HQQ_TOOLS_SOCKETS_ROLES_H
#define HQQ_TOOLS_SOCKETS_ROLES_H

#include <sys/socket.h>

#include "tools/sockets/scene.h"

typedef void role_fn(const struct scene_run *run, uint32_t number);

/* A process for a role, placed on the processor of that end. */
void role_start(const struct scene_run *run, role_fn *play, uint32_t number, unsigned end);

/* The server that answers each datagram with itself. */
role_fn role_echo;

/* Until all roles have ended, well. */
void role_wait_for_all(void);

/* Until that many roles have come here. */
void role_meet(const struct scene_run *run, uint32_t count);

struct sockaddr_un role_address(const struct scene_run *run, const char *name, uint32_t number);

/* A socket that is bound there. */
int role_bind(const struct sockaddr_un *address);

/* Waits for somebody to be bound there. */
void role_connect(int fd, const struct sockaddr_un *to);

/* One datagram, by the way of waiting that the scene has in its calls. */
void role_send(const struct scene_run *run, int fd, const void *data);
void role_receive(const struct scene_run *run, int fd, void *data);

/* The same with the address of whoever sent it, to answer it. */
void role_receive_from(const struct scene_run *run, int fd, void *data, struct sockaddr_un *ret_from,
                       socklen_t *ret_length);
void role_send_to(const struct scene_run *run, int fd, const void *data, const struct sockaddr_un *to,
                  socklen_t length);

/* Memory for datagrams, zero. */
void *role_buffer(size_t bytes);

/* Fails unless this is the number that was due. */
void role_check(const struct scene_note *note, uint32_t due);

#endif
