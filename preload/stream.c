/*
 * Hooks: streams. What stdio does with a descriptor can't be seen, so a socket that is made a stream is left to the
 * kernel; those that stdio opens itself have numbers that were another's before; and one that stdio is about to close is
 * forgotten first: afterwards the number may be another thread's already.
 */
#include "preload/hook.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static FILE *created_stream(FILE *stream)
{
    if (stream != NULL && hqq_preload_is_ready())
        hqq_socket_created(fileno(stream));
    return stream;
}

static FILE *closed_stream(FILE *stream)
{
    if (stream != NULL && hqq_preload_is_ready()) {
        int saved = errno;
        hqq_hook_created(fileno(stream)); /* -1 where there is no descriptor */
        errno = saved;
    }
    return stream;
}

HQQ_EXPORT FILE *fopen(const char *path, const char *mode)
{
    return created_stream(hqq_real.fopen(path, mode));
}

HQQ_EXPORT FILE *fopen64(const char *path, const char *mode)
{
    return created_stream(hqq_real.fopen(path, mode));
}

HQQ_EXPORT FILE *_IO_fopen(const char *path, const char *mode);
HQQ_EXPORT FILE *_IO_fopen(const char *path, const char *mode)
{
    return created_stream(hqq_real.fopen(path, mode));
}

HQQ_EXPORT FILE *freopen(const char *path, const char *mode, FILE *stream)
{
    return created_stream(hqq_real.freopen(path, mode, closed_stream(stream)));
}

HQQ_EXPORT FILE *freopen64(const char *path, const char *mode, FILE *stream)
{
    return created_stream(hqq_real.freopen(path, mode, closed_stream(stream)));
}

HQQ_EXPORT FILE *tmpfile(void)
{
    return created_stream(hqq_real.tmpfile());
}

HQQ_EXPORT FILE *tmpfile64(void)
{
    return created_stream(hqq_real.tmpfile());
}

HQQ_EXPORT DIR *opendir(const char *path)
{
    DIR *folder = hqq_real.opendir(path);
    if (folder != NULL && hqq_preload_is_ready())
        hqq_socket_created(dirfd(folder));
    return folder;
}

/* For how it is opened. */
static void demote_stream(int fd, const char *mode)
{
    bool is_both = strchr(mode, '+') != NULL;
    if (is_both || mode[0] == 'r')
        hqq_hook_demote(fd);
    if (is_both || mode[0] != 'r')
        hqq_hook_demote_sender(fd);
}

HQQ_EXPORT FILE *fdopen(int fd, const char *mode)
{
    demote_stream(fd, mode);
    return hqq_real.fdopen(fd, mode);
}

HQQ_EXPORT FILE *_IO_fdopen(int fd, const char *mode);
HQQ_EXPORT FILE *_IO_fdopen(int fd, const char *mode)
{
    demote_stream(fd, mode);
    return hqq_real.fdopen(fd, mode);
}

HQQ_EXPORT int fclose(FILE *stream)
{
    return HQQ_REAL(fclose)(closed_stream(stream));
}

HQQ_EXPORT int _IO_fclose(FILE *stream);
HQQ_EXPORT int _IO_fclose(FILE *stream)
{
    return HQQ_REAL(fclose)(closed_stream(stream));
}

HQQ_EXPORT FILE *popen(const char *command, const char *mode)
{
    hqq_hook_spawn();
    return created_stream(HQQ_REAL(popen)(command, mode));
}

HQQ_EXPORT FILE *_IO_popen(const char *command, const char *mode);
HQQ_EXPORT FILE *_IO_popen(const char *command, const char *mode)
{
    hqq_hook_spawn();
    return created_stream(HQQ_REAL(popen)(command, mode));
}

HQQ_EXPORT int pclose(FILE *stream)
{
    return HQQ_REAL(pclose)(closed_stream(stream));
}
