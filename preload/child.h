/*
 * Programs that this one starts: ld.so cannot load this library into all of them. One that would fail, or complain,
 * because of it is started without it in LD_PRELOAD, and everything else in its environment as it was.
 */
#ifndef HQQ_PRELOAD_CHILD_H
#define HQQ_PRELOAD_CHILD_H

/* The call that starts the program, with the environment that it gets. */
typedef int hqq_child_start_fn(void *call, char *const environment[]);

/* Where the program is: path as execve() takes it, from folder on (AT_FDCWD); or name as execvp() does; or, if neither
 * is there, the open file fd. -1 there: it is not looked at. */
struct hqq_child {
    const char *path, *name;
    int folder, fd;
};

/* Calls start once. Async-signal-safe, and for vfork children. An environment that is changed is a copy, in pages of
 * its own. */
int hqq_child_start(const struct hqq_child *child, char *const environment[], hqq_child_start_fn *start, void *call);

/* Notes what this library is called. Once, as the hooks open. */
void hqq_child_begin(void);

#endif
