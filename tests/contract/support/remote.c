#include "support/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- Functions by name ----------------------------------------------------------------------------------------- */

#define FUNCTIONS_MAX 128
#define NAME_BYTES 64

static struct {
    const char *name;
    job_function *function;
} functions[FUNCTIONS_MAX];

static unsigned function_count;

static _Noreturn void fail_for_good(const char *why)
{
    fprintf(stderr, "contract: %s\n", why);
    abort();
}

void job_register(const char *name, job_function *function)
{
    if (function_count == FUNCTIONS_MAX || strlen(name) >= NAME_BYTES)
        fail_for_good("too many job functions, or too long a name");
    functions[function_count].name = name;
    functions[function_count++].function = function;
}

static const char *name_of(job_function *function)
{
    for (unsigned i = 0; i < function_count; i++) {
        if (functions[i].function == function)
            return functions[i].name;
    }
    fail_for_good("a job's function is not registered by JOB_FUNCTION");
}

static job_function *function_of(const char *name)
{
    for (unsigned i = 0; i < function_count; i++) {
        if (strcmp(functions[i].name, name) == 0)
            return functions[i].function;
    }
    fail_for_good("a job's function is not known there");
}

/* ---- The other process ----------------------------------------------------------------------------------------- */

/* One request or reply: less than PIPE_BUF, so whole. */
struct request {
    char name[NAME_BYTES];
};

static struct job *map_job(int memory)
{
    struct job *job = mmap(NULL, sizeof(*job), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    return job == MAP_FAILED ? NULL : job;
}

static _Noreturn void serve(int requests, int replies, struct job *job)
{
    struct request request;
    while (read(requests, &request, sizeof(request)) == (ssize_t)sizeof(request)) {
        long result = function_of(request.name)(job);
        if (write(replies, &result, sizeof(result)) != (ssize_t)sizeof(result))
            break;
    }
    _exit(0);
}

#define SERVE "--serve"

void remote_serve(int argc, char **argv)
{
    if (argc != 5 || strcmp(argv[1], SERVE) != 0)
        return;
    struct job *job = map_job(atoi(argv[4]));
    if (!job)
        fail_for_good("no memory shared with the test");
    serve(atoi(argv[2]), atoi(argv[3]), job);
}

static const char *plain_program(void)
{
    const char *path = getenv("CONTRACT_PLAIN_PROGRAM");
#ifndef HQQ_RENAME_H
    if (!path)
        path = "/proc/self/exe";
#endif
    return path;
}

bool remote_plain_exists(void)
{
    return plain_program() != NULL;
}

static _Noreturn void execute(enum remote_kind kind, int requests, int replies, int memory)
{
    char numbers[3][16];
    const int fds[] = {requests, replies, memory};
    for (int i = 0; i < 3; i++) {
        fcntl(fds[i], F_SETFD, 0);
        snprintf(numbers[i], sizeof(numbers[i]), "%d", fds[i]);
    }
    const char *path = "/proc/self/exe";
    if (kind == REMOTE_PLAIN) {
        path = plain_program();
        unsetenv("LD_PRELOAD");
    }
    execl(path, "contract", SERVE, numbers[0], numbers[1], numbers[2], (char *)NULL);
    _exit(1);
}

int remote_start(struct remote *remote, enum remote_kind kind)
{
    int down[2], up[2];
    pid_t parent = getpid();
    int memory = memfd_create("job", MFD_CLOEXEC);
    if (memory < 0 || ftruncate(memory, sizeof(*remote->job)) != 0)
        return -1;
    remote->job = map_job(memory);
    if (!remote->job || pipe2(down, O_CLOEXEC) != 0 || pipe2(up, O_CLOEXEC) != 0)
        return -1;
    fflush(NULL);
    remote->pid = fork();
    if (remote->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        close(down[1]);
        close(up[0]);
        if (kind != REMOTE_FORK)
            execute(kind, down[0], up[1], memory);
        serve(down[0], up[1], remote->job);
    }
    close(memory);
    close(up[1]);
    remote->requests = down[1];
    remote->asked = down[0];
    remote->replies = up[0];
    return remote->pid > 0 ? 0 : -1;
}

void remote_end(struct remote *remote)
{
    if (remote->pid <= 0)
        return;
    kill(remote->pid, SIGKILL);
    while (waitpid(remote->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    remote->pid = 0;
    close(remote->requests);
    close(remote->asked);
    close(remote->replies);
    munmap(remote->job, sizeof(*remote->job));
}

static void begin(const struct remote *remote, job_function *function)
{
    struct request request = {""};
    snprintf(request.name, sizeof(request.name), "%s", name_of(function));
    if (write(remote->requests, &request, sizeof(request)) != (ssize_t)sizeof(request))
        abort();
}

static long finish(const struct remote *remote)
{
    long result;
    ssize_t got;
    do {
        got = read(remote->replies, &result, sizeof(result));
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof(result) ? result : -EPIPE;
}

long job_run(struct remote *remote, job_function *function, struct job *job)
{
    if (!remote)
        return function(job);
    begin(remote, function);
    return finish(remote);
}

/* ---- Sleep ----------------------------------------------------------------------------------------------------- */

/* Of /proc: the number of the system call a sleeper is in and its arguments, or "running". */
bool is_asleep(pid_t process, pid_t thread, int but)
{
    char path[64], text[256];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)process, (int)thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (length <= 0)
        return false;
    text[length] = '\0';
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || number < 0)
        return false;
    return number != SYS_read || strtol(end, NULL, 16) != but;
}

void task_await_sleep(const struct task *task)
{
    const struct timespec pause = {.tv_nsec = 200 * 1000};
    pid_t tid;
    while ((tid = atomic_load(&task->tid)) == 0 ||
           !is_asleep(task->remote ? tid : getpid(), tid, task->remote ? task->remote->asked : -1))
        nanosleep(&pause, NULL);
}

/* ---- Tasks ----------------------------------------------------------------------------------------------------- */

#define TASKS_MAX 64

static struct task tasks[TASKS_MAX];
static struct job jobs[TASKS_MAX];
static unsigned tasks_used, jobs_used;

struct job *job_new(struct remote *remote)
{
    if (jobs_used == TASKS_MAX)
        abort();
    struct job *job = remote ? remote->job : &jobs[jobs_used++];
    memset(job, 0, offsetof(struct job, data));
    return job;
}

static void *run_task(void *arg)
{
    struct task *task = arg;
    atomic_store(&task->tid, gettid());
    task->result = task->function(task->job);
    atomic_store(&task->is_over, true);
    return NULL;
}

struct task *task_begin(struct remote *remote, job_function *function, struct job *job)
{
    if (tasks_used == TASKS_MAX)
        abort();
    struct task *task = &tasks[tasks_used++];
    task->remote = remote;
    task->job = job;
    task->function = function;
    task->is_running = true;
    atomic_store(&task->is_over, false);
    atomic_store(&task->tid, remote ? remote->pid : 0);
    if (remote)
        begin(remote, function);
    else if (pthread_create(&task->thread, NULL, run_task, task) != 0)
        abort();
    return task;
}

long task_finish(struct task *task)
{
    task->is_running = false;
    if (task->remote)
        return finish(task->remote);
    pthread_join(task->thread, NULL);
    return task->result;
}

struct task *task_asleep(struct remote *remote, job_function *function, struct job *job)
{
    struct task *task = task_begin(remote, function, job);
    task_await_sleep(task);
    return task;
}

bool task_is_over(const struct task *task)
{
    return atomic_load(&task->is_over);
}

/* ---- A slow thread --------------------------------------------------------------------------------------------- */

static cpu_set_t usual_cpus;
static bool is_held_to_a_cpu;

void task_hold_back(const struct task *task)
{
    const struct sched_param none = {0};
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET((size_t)sched_getcpu(), &here);
    is_held_to_a_cpu = sched_getaffinity(0, sizeof(usual_cpus), &usual_cpus) == 0;
    sched_setaffinity(0, sizeof(here), &here);
    sched_setaffinity(task->tid, sizeof(here), &here);
    sched_setscheduler(task->tid, SCHED_IDLE, &none);
}

static void use_any_cpu(void)
{
    if (is_held_to_a_cpu)
        sched_setaffinity(0, sizeof(usual_cpus), &usual_cpus);
    is_held_to_a_cpu = false;
}

void task_let_on(const struct task *task)
{
    const struct sched_param none = {0};
    sched_setscheduler(task->tid, SCHED_OTHER, &none);
    sched_setaffinity(task->tid, sizeof(usual_cpus), &usual_cpus);
    use_any_cpu();
}

/* ---- End of a test --------------------------------------------------------------------------------------------- */

void tasks_end(void)
{
    use_any_cpu();
    for (unsigned i = 0; i < tasks_used; i++) {
        if (tasks[i].is_running && !tasks[i].remote) {
            pthread_cancel(tasks[i].thread);
            pthread_join(tasks[i].thread, NULL);
        }
    }
    tasks_used = 0;
    jobs_used = 0;
}
