/*
 * What the preload tells the socket layer, beside the calls themselves: when to start and end, that the process forks,
 * and what becomes of descriptors by calls that are not the layer's. The library itself calls hqq_socket_init() at its
 * first hqq_ call. All functions preserve errno and take nothing of stdio; none but hqq_socket_init() allocates.
 */
#ifndef HQQ_SOCKET_INIT_H
#define HQQ_SOCKET_INIT_H

#include <stdbool.h>

/* Reads what is configured and makes the tables. hqq_libc and hqq_sys are as they will stay. Called once; no function
 * of this header or of hqq/socket.h was called before, but threads may exist. */
void hqq_socket_init(bool is_preload);

/* The process is about to end: its links are told. Async-signal-safe. May be called more than once, by several threads,
 * and in a vfork child, where it does nothing. Other calls may follow: they take the kernel's way. */
void hqq_socket_exit(void);

/* The process is about to execute another program, which may fail: its channels are handed off to whoever has the
 * sockets then. In a vfork child it is as with hqq_socket_spawn(). Async-signal-safe. */
void hqq_socket_exec(void);
void hqq_socket_exec_failed(void);

/* A seccomp filter was set: from now on the kernel serves. Async-signal-safe. */
void hqq_socket_filtered(void);

/* A child of this process, of which no other call tells, is about to execute a program: sockets that it keeps are two
 * programs' from then on. Async-signal-safe. */
void hqq_socket_spawn(void);

/* Such a child, or one of vfork(), has a duplicate of the descriptor, or will have, which it keeps though the flag of
 * the original says otherwise. Async-signal-safe. */
void hqq_socket_given(int fd);

/* The process is about to lock the memory that it has: channels give up theirs. False: some could not, as something is
 * unread there; soon it may be otherwise. Waits for other threads, and does nothing in a vfork child. */
bool hqq_socket_lock_memory(void);

/* Around a fork, as pthread_atfork() calls them. */
void hqq_socket_fork_prepare(void);
void hqq_socket_fork_parent(void);
void hqq_socket_fork_child(void);

/* A descriptor of this number was just made, by a call other than those of hqq/socket.h: what is known of the number is
 * of an earlier one. Any number, negative ones are ignored; nothing happens in a vfork child, whose descriptors are not
 * its parent's. Nearly free; async-signal-safe. */
void hqq_socket_created(int fd);

/* The same of one that was fetched out of a process, by pidfd_getfd(2). */
void hqq_socket_fetched(int fd);

/* The same of an epoll set, which is known from its beginning. */
void hqq_socket_created_set(int fd);

/* Gives a socket to the kernel for good: it is about to be read in ways that see the kernel's queue only, into which goes
 * what rings hold; or it is about to be sent by, unseen. Ignore descriptors that are none of ours, and do nothing in a vfork
 * child. Async-signal-safe. */
void hqq_socket_demote(int fd);
void hqq_socket_demote_sender(int fd);

#endif
