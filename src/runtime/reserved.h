/*
 * Reserved descriptors: those that the library holds for itself in a program that does not know of them. They lie near the
 * top of the first thousand, where programs do not look for their own, are close-on-exec, and stay ours where the program
 * closes everything, or puts a descriptor of its own at such a number.
 *
 * Each has a holder: the int that says its number, and the lock under which that int is read. Where a descriptor has to
 * move, the holder is told; nobody walks over what might hold one. Holders and their locks stay in memory for good.
 * Asking takes no lock. A forked child has the same descriptors at the same numbers, and the same holders in its copy; the
 * locks are its owner's to make new.
 */
#ifndef HQQ_RUNTIME_RESERVED_H
#define HQQ_RUNTIME_RESERVED_H

#include <stdbool.h>

#include "runtime/lock.h"

/* Reserved descriptors are below this. */
#define HQQ_RESERVED_MAX 1024

/* Moves fd to a number of ours, which *holder says from then on. The caller has the guard, or nobody else knows of the
 * holder. The number; or -errno (a negative fd is one), -EMFILE where there is no room: then fd is closed, and *holder as
 * it was. */
int hqq_reserved_take(int fd, int *holder, struct hqq_lock *guard);

/* Closes what the holder holds, if that is reserved, and sets it to -1. Under the guard. */
void hqq_reserved_close(int *holder);

/* True if this is one of ours. One that was closed behind our back, by a raw system call, is not any more. */
bool hqq_reserved_is(int fd);

/* The program is about to put a descriptor of its own at this number: what is reserved there moves away, and the number is
 * the program's. Nearly free where there is nothing. Takes the guard. */
void hqq_reserved_make_way(int fd);

#endif
