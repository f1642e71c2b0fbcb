/*
 * Hooks: the end of a process that runs no destructors, and the end of a program by exec. Forks come by pthread_atfork()
 * (init.c); vfork() can't be wrapped.
 */
#include "preload/hook.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

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

static void before_exec(void)
{
    if (hqq_preload_is_ready())
        hqq_socket_exec();
}

static int failed(int result)
{
    if (hqq_preload_is_ready())
        hqq_socket_exec_failed();
    return result;
}

HQQ_EXPORT int execve(const char *path, char *const arguments[], char *const environment[])
{
    before_exec();
    return failed(hqq_real.execve(path, arguments, environment));
}

HQQ_EXPORT int execv(const char *path, char *const arguments[])
{
    return execve(path, arguments, environ);
}

HQQ_EXPORT int execvpe(const char *file, char *const arguments[], char *const environment[])
{
    before_exec();
    hqq_real_resolve();
    return failed(hqq_real.execvpe(file, arguments, environment));
}

HQQ_EXPORT int execvp(const char *file, char *const arguments[])
{
    return execvpe(file, arguments, environ);
}

HQQ_EXPORT int execveat(int folder, const char *path, char *const arguments[], char *const environment[], int flags)
{
    before_exec();
    return failed(hqq_real.execveat(folder, path, arguments, environment, flags));
}

HQQ_EXPORT int fexecve(int fd, char *const arguments[], char *const environment[])
{
    before_exec();
    hqq_real_resolve();
    return failed(hqq_real.fexecve(fd, arguments, environment));
}

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
