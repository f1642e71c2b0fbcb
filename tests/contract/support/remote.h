/*
 * Calls made elsewhere: in another process that runs one call after the other for the test, or in a thread. Both are
 * told what to do by a job, and say how it ended; the test asserts. The other process shares the job's memory with the
 * test, is driven over pipes, and dies with it. It is a fork, or this program executed anew, or a plain one: a program
 * that makes the kernel's calls, whatever this one makes.
 */
#ifndef TESTS_CONTRACT_SUPPORT_REMOTE_H
#define TESTS_CONTRACT_SUPPORT_REMOTE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define JOB_BYTES (256 * 1024)

/* What a call is given and gives back; which fields it uses is the function's matter. */
struct job {
    int fd, number, flags;
    struct sockaddr_storage name; /* room for a path of 108 bytes and its NUL */
    socklen_t name_length;        /* 0: none */
    size_t length;                /* of data */
    unsigned char data[JOB_BYTES];
};

/* A function as a system call has it, but that it returns -errno. Runs in the other process or thread. */
typedef long job_function(struct job *job);

/* Makes a function known to processes that were executed, by its name. Every function that runs there needs it. */
#define JOB_FUNCTION(f)                                                                                                \
    __attribute__((constructor)) static void register_##f(void)                                                        \
    {                                                                                                                  \
        job_register(#f, f);                                                                                           \
    }

void job_register(const char *name, job_function *function);

enum remote_kind { REMOTE_FORK, REMOTE_EXEC, REMOTE_PLAIN };

struct remote {
    pid_t pid;
    int requests, asked, replies; /* ends of pipes: asked is the one that the other process reads */
    struct job *job;              /* shared by both */
};

/* Starts a process that waits for jobs. 0 or -1. */
int remote_start(struct remote *remote, enum remote_kind kind);

/* Whether a plain program can be had: CONTRACT_PLAIN_PROGRAM in the environment names one that was built from the same
 * source without renamed calls; where this program is such a one it is not needed. */
bool remote_plain_exists(void);

/* For main(): if the arguments say that this is such a process, runs the jobs and never returns. */
void remote_serve(int argc, char **argv);

/* Kills it, if it still runs, and waits for its end. */
void remote_end(struct remote *remote);

/* Runs function(job) there, or here if remote is NULL. The result, or -EPIPE if that process died. */
long job_run(struct remote *remote, job_function *function, struct job *job);

/* An empty job for a process, or for this one if remote is NULL: good until the end of the test, but that a process has
 * only one. */
struct job *job_new(struct remote *remote);

/* One job under way: in a thread of this process, or in the other process. */
struct task {
    struct remote *remote; /* NULL: a thread */
    struct job *job;
    job_function *function;
    pthread_t thread;
    _Atomic pid_t tid;
    long result;
    bool is_running;
    atomic_bool is_over; /* of a thread */
};

struct task *task_begin(struct remote *remote, job_function *function, struct job *job);

/* Waits until the call sleeps in the kernel. */
void task_await_sleep(const struct task *task);

/* Waits for the end of the call, and returns its result. */
long task_finish(struct task *task);

/* Whether a thread's call has returned. */
bool task_is_over(const struct task *task);

/* Begins and waits until it sleeps. */
struct task *task_asleep(struct remote *remote, job_function *function, struct job *job);

/* A thread that sleeps is to stay behind: woken, it gets no processor as long as this thread computes, as far as the
 * scheduler obeys. Until it is to keep up again. */
void task_hold_back(const struct task *task);
void task_let_on(const struct task *task);

/* At the end of a test: cancels the threads that a failed test left. */
void tasks_end(void);

/* Whether a thread of a process sleeps in a system call other than a read of descriptor but. */
bool is_asleep(pid_t process, pid_t thread, int but);

#endif
