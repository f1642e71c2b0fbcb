/* Epoll sets of one or a few sockets. A failure is one of the test's. */
#ifndef TESTS_CONTRACT_EPOLL_SET_H
#define TESTS_CONTRACT_EPOLL_SET_H

#include <stdint.h>

#include "support/remote.h"

/* A set with one descriptor, closed at the end of the test. */
int set_new(int fd, uint32_t events);

void set_add(int set, int fd, uint32_t events);
void set_add_as(int set, int fd, uint32_t events, uint64_t data);
void set_change(int set, int fd, uint32_t events);
void set_remove(int set, int fd);

/* The events of the one descriptor that is ready now, without waiting; 0 if none is; a failure if several are. */
uint32_t set_events(int set);

/* A thread that waits for one event, as its result, without end; one that does so by poll() of the set. */
struct task *set_waiter_asleep(int set);
struct task *set_poller_asleep(int set);

#endif
