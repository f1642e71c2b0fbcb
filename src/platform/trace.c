/*
 * Formats a line on the stack and hands it to descriptor 2, as that is: apps redirect it, close it, and may then have a
 * socket under that number, which gets nothing of ours.
 */
#include "platform/trace.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "platform/sys.h"

#define LINE_SIZE 896 /* in a frame of 1 KiB */

static const char *const names[HQQ_LOG_LEVELS] = {"off", "error", "warn", "info", "debug"};

hqq_atomic_u64 hqq_log_level_at;

/* The level until somebody has a better place for it. */
static hqq_atomic_u32 own_level;

/* Set while this thread writes a line: what is called for that may be traced itself. */
static __thread bool inside __attribute__((tls_model("initial-exec")));

/* ---- Levels ---------------------------------------------------------------------------------------------------- */

static hqq_atomic_u32 *level_word(void)
{
    hqq_atomic_u32 *word = (hqq_atomic_u32 *)(uintptr_t)hqq_load_acquire(&hqq_log_level_at);
    return word ? word : &own_level;
}

enum hqq_log_level hqq_log_level(void)
{
    uint32_t level = hqq_load32_relaxed(level_word());
    return level < HQQ_LOG_LEVELS ? (enum hqq_log_level)level : HQQ_LOG_DEBUG;
}

void hqq_log_set_level(enum hqq_log_level level)
{
    hqq_atomic_u32 *word = level_word();
    hqq_store32_relaxed(word, (uint32_t)level);
    hqq_store_release(&hqq_log_level_at, (uintptr_t)word); /* pairs with hqq_log_is_on() */
}

void hqq_log_use_word(hqq_atomic_u32 *word)
{
    hqq_store32_relaxed(word, (uint32_t)hqq_log_level());
    hqq_store_release(&hqq_log_level_at, (uintptr_t)word); /* pairs with hqq_log_is_on() */
}

const char *hqq_log_level_name(uint32_t level)
{
    return level < HQQ_LOG_LEVELS ? names[level] : NULL;
}

bool hqq_log_level_parse(const char *name, enum hqq_log_level *ret_level)
{
    for (unsigned level = 0; level < HQQ_LOG_LEVELS; level++) {
        if (strcmp(name, names[level]) == 0) {
            *ret_level = (enum hqq_log_level)level;
            return true;
        }
    }
    return false;
}

/* ---- Lines ----------------------------------------------------------------------------------------------------- */

/* Not write(): that is a cancellation point, and hooked by our own preload. */
static ssize_t write_to_stderr(const void *line, size_t size)
{
    ssize_t result = syscall(SYS_write, STDERR_FILENO, line, size);
    return result < 0 ? -errno : result;
}

ssize_t (*hqq_log_write)(const void *line, size_t size) = write_to_stderr;

/* A socket is stderr where it was so from the beginning (a service manager's journal), else it is the app's own
 * connection. The first line decides, before which the app has had little time to do such things. */
static bool stderr_is_ours(void)
{
    static hqq_atomic_u64 first; /* inode of the first socket, plus 1; 1: it was none */
    struct stat now;
    if (hqq_sys.fstat(STDERR_FILENO, &now) != 0)
        return false;
    bool is_socket = S_ISSOCK(now.st_mode);
    uint64_t expected = 0, mark = is_socket ? (uint64_t)now.st_ino + 1 : 1;
    if (hqq_cas_acq_rel(&first, &expected, mark))
        expected = mark;
    return !is_socket || expected == mark;
}

/* A reader of stderr that has gone is no reason to end the app: a SIGPIPE that this write raised is taken back. One
 * that was pending before, or that the app blocks, stays. */
static void write_quietly(const char *line, size_t size)
{
    sigset_t pipe_only, before, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    if (pthread_sigmask(SIG_BLOCK, &pipe_only, &before) != 0)
        return;
    sigemptyset(&pending);
    sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;

    if (hqq_log_write(line, size) == -EPIPE && !was_pending) {
        /* The system call, as sigtimedwait() is a cancellation point. 8: bytes of the kernel's signal set. */
        static const struct timespec at_once = {0, 0};
        syscall(SYS_rt_sigtimedwait, &pipe_only, NULL, &at_once, 8);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* text holds length bytes of LINE_SIZE already. */
__attribute__((format(printf, 3, 0))) static void finish(char text[LINE_SIZE], size_t length, const char *format,
                                                         va_list arguments)
{
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the callers have started it */
    int wanted = vsnprintf(text + length, LINE_SIZE - length, format, arguments);
    if (wanted > 0)
        length += (size_t)wanted;
    if (length > LINE_SIZE - 1)
        length = LINE_SIZE - 1;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < ' ' || c == 0x7f)
            text[i] = '?';
    }
    text[length++] = '\n';
    if (stderr_is_ours())
        write_quietly(text, length);
}

void hqq_log_line(const char *format, ...)
{
    char text[LINE_SIZE];
    va_list arguments;
    if (inside)
        return;
    int saved = errno;
    inside = true;
    int prefix = snprintf(text, sizeof(text), "hqq[%ld]: ", (long)getpid());
    errno = saved; /* for %m */
    va_start(arguments, format);
    finish(text, prefix > 0 ? (size_t)prefix : 0, format, arguments);
    va_end(arguments);
    inside = false;
    errno = saved;
}

void hqq_complain(const char *format, ...)
{
    char text[LINE_SIZE] = "hqq: ";
    va_list arguments;
    if (inside)
        return;
    int saved = errno;
    inside = true;
    va_start(arguments, format);
    finish(text, strlen(text), format, arguments);
    va_end(arguments);
    inside = false;
    errno = saved;
}
