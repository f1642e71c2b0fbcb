/*
 * Hooks: streams. What stdio does with a descriptor can't be seen, so a socket that is made a stream is left to the
 * kernel; and those that stdio opens itself have numbers that were another's before.
 */
#include "preload/hook.h"

#include <dirent.h>
#include <stdio.h>

static FILE *created_stream(FILE *stream)
{
    if (stream != NULL && hqq_preload_is_ready())
        hqq_socket_created(fileno(stream));
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
    return created_stream(hqq_real.freopen(path, mode, stream));
}

HQQ_EXPORT FILE *freopen64(const char *path, const char *mode, FILE *stream)
{
    return created_stream(hqq_real.freopen(path, mode, stream));
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

HQQ_EXPORT FILE *fdopen(int fd, const char *mode)
{
    hqq_hook_demote(fd);
    return hqq_real.fdopen(fd, mode);
}

HQQ_EXPORT FILE *_IO_fdopen(int fd, const char *mode);
HQQ_EXPORT FILE *_IO_fdopen(int fd, const char *mode)
{
    hqq_hook_demote(fd);
    return hqq_real.fdopen(fd, mode);
}
