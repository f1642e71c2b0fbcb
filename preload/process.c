/*
 * Hooks: the end of a process that runs no destructors, and the end of a program by exec. Forks come by pthread_atfork()
 * (init.c); vfork() can't be wrapped.
 */
#include "preload/hook.h"

#include <stdarg.h>
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

HQQ_EXPORT int execve(const char *path, char *const arguments[], char *const environment[])
{
    before_exec();
    return hqq_real.execve(path, arguments, environment);
}

HQQ_EXPORT int execv(const char *path, char *const arguments[])
{
    return execve(path, arguments, environ);
}

HQQ_EXPORT int execvpe(const char *file, char *const arguments[], char *const environment[])
{
    before_exec();
    hqq_real_resolve();
    return hqq_real.execvpe(file, arguments, environment);
}

HQQ_EXPORT int execvp(const char *file, char *const arguments[])
{
    return execvpe(file, arguments, environ);
}

HQQ_EXPORT int execveat(int folder, const char *path, char *const arguments[], char *const environment[], int flags)
{
    before_exec();
    return hqq_real.execveat(folder, path, arguments, environment, flags);
}

HQQ_EXPORT int fexecve(int fd, char *const arguments[], char *const environment[])
{
    before_exec();
    hqq_real_resolve();
    return hqq_real.fexecve(fd, arguments, environment);
}

/* How many arguments there are, first among them, up to the NULL. */
static size_t count_arguments(va_list rest)
{
    size_t count = 1;
    while (va_arg(rest, char *))
        count++;
    return count;
}

/* The arguments as an array, which lies on the stack of the caller: exec must not allocate. */
static void collect(char *arguments[], size_t count, const char *first, va_list rest)
{
    union {
        const char *in;
        char *out;
    } constless = {.in = first};
    arguments[0] = constless.out;
    for (size_t i = 1; i <= count; i++)
        arguments[i] = va_arg(rest, char *);
}

HQQ_EXPORT int execl(const char *path, const char *first, ...)
{
    va_list rest;
    va_start(rest, first);
    size_t count = count_arguments(rest);
    va_end(rest);
    char *arguments[count + 1];
    va_start(rest, first);
    collect(arguments, count, first, rest);
    va_end(rest);
    return execve(path, arguments, environ);
}

HQQ_EXPORT int execlp(const char *file, const char *first, ...)
{
    va_list rest;
    va_start(rest, first);
    size_t count = count_arguments(rest);
    va_end(rest);
    char *arguments[count + 1];
    va_start(rest, first);
    collect(arguments, count, first, rest);
    va_end(rest);
    return execvpe(file, arguments, environ);
}

HQQ_EXPORT int execle(const char *path, const char *first, ...)
{
    va_list rest;
    va_start(rest, first);
    size_t count = count_arguments(rest);
    va_end(rest);
    char *arguments[count + 1];
    va_start(rest, first);
    collect(arguments, count, first, rest);
    char *const *environment = va_arg(rest, char *const *);
    va_end(rest);
    return execve(path, arguments, environment);
}
