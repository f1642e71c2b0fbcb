/*
 * Hooks: what moves data inside libc's own threads or inside the kernel, where hooks don't see it. A socket that is
 * given to one of these is left to the kernel from then on.
 */
#include "preload/hook.h"

#include <aio.h>
#include <fcntl.h>
#include <sys/sendfile.h>

HQQ_EXPORT ssize_t splice(int from, off_t *from_offset, int to, off_t *to_offset, size_t length, unsigned flags)
{
    hqq_hook_demote(from);
    hqq_hook_demote(to);
    return hqq_real.splice(from, from_offset, to, to_offset, length, flags);
}

HQQ_EXPORT ssize_t tee(int from, int to, size_t length, unsigned flags)
{
    hqq_hook_demote(from);
    hqq_hook_demote(to);
    return hqq_real.tee(from, to, length, flags);
}

HQQ_EXPORT ssize_t sendfile(int to, int from, off_t *offset, size_t length)
{
    hqq_hook_demote(from);
    hqq_hook_demote(to);
    return hqq_real.sendfile(to, from, offset, length);
}

HQQ_EXPORT ssize_t sendfile64(int to, int from, off64_t *offset, size_t length)
{
    hqq_hook_demote(from);
    hqq_hook_demote(to);
    return hqq_real.sendfile(to, from, offset, length);
}

HQQ_EXPORT int aio_read(struct aiocb *operation)
{
    hqq_hook_demote(operation->aio_fildes);
    return hqq_real.aio_read(operation);
}

HQQ_EXPORT int aio_read64(struct aiocb64 *operation)
{
    hqq_hook_demote(operation->aio_fildes);
    return hqq_real.aio_read((struct aiocb *)operation);
}

HQQ_EXPORT int aio_write(struct aiocb *operation)
{
    hqq_hook_demote(operation->aio_fildes);
    return hqq_real.aio_write(operation);
}

HQQ_EXPORT int aio_write64(struct aiocb64 *operation)
{
    hqq_hook_demote(operation->aio_fildes);
    return hqq_real.aio_write((struct aiocb *)operation);
}

HQQ_EXPORT int lio_listio(int mode, struct aiocb *const list[], int count, struct sigevent *event)
{
    for (int i = 0; i < count; i++)
        if (list[i] != NULL)
            hqq_hook_demote(list[i]->aio_fildes);
    return hqq_real.lio_listio(mode, list, count, event);
}

HQQ_EXPORT int lio_listio64(int mode, struct aiocb64 *const list[], int count, struct sigevent *event)
{
    for (int i = 0; i < count; i++)
        if (list[i] != NULL)
            hqq_hook_demote(list[i]->aio_fildes);
    return hqq_real.lio_listio(mode, (struct aiocb *const *)list, count, event);
}
