/*
 * Hooks: what moves data inside libc's own threads or inside the kernel, where hooks don't see it. A socket that is
 * given to one of these is left to the kernel from then on, but where a receive does the same.
 */
#include "preload/hook.h"

#include <aio.h>
#include <fcntl.h>
#include <sys/sendfile.h>

#include "socket/splice.h"

/* A datagram of a socket goes into a pipe by a receive. What no socket can do, or a filter would not let us, is the kernel's to
 * answer. */
HQQ_EXPORT ssize_t splice(int from, off_t *from_offset, int to, off_t *to_offset, size_t length, unsigned flags)
{
    const unsigned known = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;
    ssize_t result;
    if (hqq_preload_is_ready() && from_offset == NULL && to_offset == NULL && (flags & ~known) == 0 &&
        hqq_splice_to_pipe(from, to, length, (flags & SPLICE_F_NONBLOCK) == 0, &result))
        return result;
    hqq_hook_demote_sender(to);
    return hqq_real.splice(from, from_offset, to, to_offset, length, flags);
}

HQQ_EXPORT ssize_t tee(int from, int to, size_t length, unsigned flags)
{
    return hqq_real.tee(from, to, length, flags);
}

HQQ_EXPORT ssize_t sendfile(int to, int from, off_t *offset, size_t length)
{
    ssize_t result;
    if (hqq_preload_is_ready() && offset == NULL && hqq_splice_to_pipe(from, to, length, true, &result))
        return result;
    hqq_hook_demote_sender(to);
    return hqq_real.sendfile(to, from, offset, length);
}

HQQ_EXPORT ssize_t sendfile64(int to, int from, off64_t *offset, size_t length)
{
    return sendfile(to, from, offset, length);
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
    hqq_hook_demote_sender(operation->aio_fildes);
    return hqq_real.aio_write(operation);
}

HQQ_EXPORT int aio_write64(struct aiocb64 *operation)
{
    hqq_hook_demote_sender(operation->aio_fildes);
    return hqq_real.aio_write((struct aiocb *)operation);
}

static void demote_for(int opcode, int fd)
{
    if (opcode == LIO_READ)
        hqq_hook_demote(fd);
    else if (opcode == LIO_WRITE)
        hqq_hook_demote_sender(fd);
}

HQQ_EXPORT int lio_listio(int mode, struct aiocb *const list[], int count, struct sigevent *event)
{
    for (int i = 0; i < count; i++)
        if (list[i] != NULL)
            demote_for(list[i]->aio_lio_opcode, list[i]->aio_fildes);
    return hqq_real.lio_listio(mode, list, count, event);
}

HQQ_EXPORT int lio_listio64(int mode, struct aiocb64 *const list[], int count, struct sigevent *event)
{
    for (int i = 0; i < count; i++)
        if (list[i] != NULL)
            demote_for(list[i]->aio_lio_opcode, list[i]->aio_fildes);
    return hqq_real.lio_listio(mode, (struct aiocb *const *)list, count, event);
}
