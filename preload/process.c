/*
 * Hooks: the end of a process that runs no destructors, and the end of a program by exec. Forks come by pthread_atfork()
 * (init.c); vfork() can't be wrapped.
 */
#include "preload/hook.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "preload/child.h"
#include "runtime/cursor.h"

static void end(int status) __attribute__((noreturn));
static void end(int status)
{
    if (hqq_preload_is_ready())
        hqq_socket_exit();
    hqq_real.exit_at_once(status);
    __builtin_unreachable();
}

HQQ_EXPORT void _exit(int status)
{
    end(status);
}

HQQ_EXPORT void _Exit(int status)
{
    end(status);
}

/* ---- exec: libc's own variants do not call one another through the names that are hooked here ------------------- */

struct exec {
    const char *program;
    char *const *arguments;
    int folder, flags;
};

/* Before our constructor has run. */
static void resolve_early(void)
{
    if (!hqq_real.execvpe)
        hqq_real_resolve();
}

/* Sockets are handed off before, and taken back if there is no other program after all. */
static int execute_in(const struct hqq_child *child, char *const environment[], hqq_child_start_fn *start,
                      struct exec *exec)
{
    bool is_ready = hqq_preload_is_ready();
    if (is_ready)
        hqq_socket_exec();
    int result = hqq_child_start(child, environment, start, exec);
    if (is_ready)
        hqq_socket_exec_failed();
    return result;
}

static int start_execve(void *call, char *const environment[])
{
    const struct exec *exec = call;
    return hqq_real.execve(exec->program, exec->arguments, environment);
}

static int start_execvpe(void *call, char *const environment[])
{
    const struct exec *exec = call;
    return hqq_real.execvpe(exec->program, exec->arguments, environment);
}

static int start_execveat(void *call, char *const environment[])
{
    const struct exec *exec = call;
    return hqq_real.execveat(exec->folder, exec->program, exec->arguments, environment, exec->flags);
}

static int start_fexecve(void *call, char *const environment[])
{
    const struct exec *exec = call;
    return hqq_real.fexecve(exec->folder, exec->arguments, environment);
}

HQQ_EXPORT int execve(const char *path, char *const arguments[], char *const environment[])
{
    const struct hqq_child child = {.path = path, .folder = AT_FDCWD, .fd = -1};
    struct exec exec = {.program = path, .arguments = arguments};
    return execute_in(&child, environment, start_execve, &exec);
}

HQQ_EXPORT int execv(const char *path, char *const arguments[])
{
    return execve(path, arguments, environ);
}

HQQ_EXPORT int execvpe(const char *file, char *const arguments[], char *const environment[])
{
    const struct hqq_child child = {.name = file, .fd = -1};
    struct exec exec = {.program = file, .arguments = arguments};
    resolve_early();
    return execute_in(&child, environment, start_execvpe, &exec);
}

HQQ_EXPORT int execvp(const char *file, char *const arguments[])
{
    return execvpe(file, arguments, environ);
}

HQQ_EXPORT int execveat(int folder, const char *path, char *const arguments[], char *const environment[], int flags)
{
    bool is_readable = !hqq_is_unreadable(path, 1);
    bool is_fd = is_readable && (flags & AT_EMPTY_PATH) != 0 && *path == '\0';
    const struct hqq_child child = {
        .path = is_readable && !is_fd ? path : NULL, .folder = folder, .fd = is_fd ? folder : -1};
    struct exec exec = {.program = path, .arguments = arguments, .folder = folder, .flags = flags};
    return execute_in(&child, environment, start_execveat, &exec);
}

HQQ_EXPORT int fexecve(int fd, char *const arguments[], char *const environment[])
{
    const struct hqq_child child = {.fd = fd};
    struct exec exec = {.arguments = arguments, .folder = fd};
    resolve_early();
    return execute_in(&child, environment, start_fexecve, &exec);
}

/* ---- Children that are made inside libc, and go through no hook: posix_spawn, system ------------------------------ */

struct spawn {
    int (*real)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[],
                char *const[]);
    pid_t *ret_pid;
    const char *program;
    const posix_spawn_file_actions_t *actions;
    const posix_spawnattr_t *attributes;
    char *const *arguments;
};

static int start_spawn(void *call, char *const environment[])
{
    const struct spawn *spawn = call;
    hqq_hook_spawn();
    return spawn->real(spawn->ret_pid, spawn->program, spawn->actions, spawn->attributes, spawn->arguments,
                       environment);
}

HQQ_EXPORT int posix_spawn(pid_t *ret_pid, const char *path, const posix_spawn_file_actions_t *actions,
                           const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[])
{
    /* Actions may change the folder first. */
    bool is_looked_at = !actions || hqq_is_unreadable(path, 1) || *path == '/';
    const struct hqq_child child = {.path = is_looked_at ? path : NULL, .folder = AT_FDCWD, .fd = -1};
    resolve_early();
    struct spawn spawn = {hqq_real.posix_spawn, ret_pid, path, actions, attributes, arguments};
    return hqq_child_start(&child, environment, start_spawn, &spawn);
}

HQQ_EXPORT int posix_spawnp(pid_t *ret_pid, const char *file, const posix_spawn_file_actions_t *actions,
                            const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[])
{
    const struct hqq_child child = {.name = file, .fd = -1};
    resolve_early();
    struct spawn spawn = {hqq_real.posix_spawnp, ret_pid, file, actions, attributes, arguments};
    return hqq_child_start(&child, environment, start_spawn, &spawn);
}

/* The child has the duplicate, whatever the flag of the original is. */
HQQ_EXPORT int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int fd, int wanted)
{
    int result = HQQ_REAL(posix_spawn_file_actions_adddup2)(actions, fd, wanted);
    if (result == 0 && hqq_preload_is_ready())
        hqq_socket_given(fd);
    return result;
}

HQQ_EXPORT int system(const char *command)
{
    if (command != NULL)
        hqq_hook_spawn();
    return HQQ_REAL(system)(command);
}

/* ---- exec with its arguments in a list ---------------------------------------------------------------------------- */

typedef int (*execute)(const char *, char *const[], char *const[]);

/* exec with its arguments in a list, which becomes an array on the stack, as exec must not allocate; behind its NULL the
 * environment, if it is given. */
static int execute_list(execute how, const char *program, const char *first, bool has_environment, va_list rest)
{
    union {
        const char *in;
        char *out;
    } constless = {.in = first};
    va_list again;
    size_t count = 1;
    va_copy(again, rest);
    while (va_arg(again, char *))
        count++;
    va_end(again);
    char *arguments[count + 1];
    arguments[0] = constless.out;
    for (size_t i = 1; i <= count; i++)
        arguments[i] = va_arg(rest, char *);
    return how(program, arguments, has_environment ? va_arg(rest, char *const *) : environ);
}

HQQ_EXPORT int execl(const char *path, const char *first, ...)
{
    va_list rest;
    va_start(rest, first);
    int result = execute_list(execve, path, first, false, rest);
    va_end(rest);
    return result;
}

HQQ_EXPORT int execlp(const char *file, const char *first, ...)
{
    va_list rest;
    va_start(rest, first);
    int result = execute_list(execvpe, file, first, false, rest);
    va_end(rest);
    return result;
}

HQQ_EXPORT int execle(const char *path, const char *first, ...)
{
    va_list rest;
    va_start(rest, first);
    int result = execute_list(execve, path, first, true, rest);
    va_end(rest);
    return result;
}
