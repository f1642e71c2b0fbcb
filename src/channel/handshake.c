#include "channel/handshake.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>

#include "runtime/libc.h"

void hqq_handshake_attach(struct msghdr *message, union hqq_handshake_control *control, int memory_fd)
{
    memset(control, 0, sizeof(*control));
    message->msg_control = control;
    message->msg_controllen = sizeof(*control);
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &memory_fd, sizeof(int));
}

/* Calls see() for each descriptor. */
static size_t each_descriptor(const struct msghdr *message, void (*see)(int fd, void *argument), void *argument)
{
    struct msghdr copy = *message;
    size_t total = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&copy); header; header = CMSG_NXTHDR(&copy, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS || header->cmsg_len < CMSG_LEN(0)) {
            total += 2; /* it is not the only thing that came */
            continue;
        }
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            see(fd, argument);
        }
        total += count;
    }
    return total;
}

static void note_first(int fd, void *first)
{
    if (*(int *)first < 0)
        *(int *)first = fd;
}

int hqq_handshake_descriptor(const struct msghdr *message, bool *ret_is_only)
{
    int first = -1;
    *ret_is_only = each_descriptor(message, note_first, &first) == 1;
    return first;
}

static void close_it(int fd, void *unused)
{
    (void)unused;
    hqq_sys.close(fd);
}

void hqq_handshake_close_descriptors(const struct msghdr *message)
{
    each_descriptor(message, close_it, NULL);
}

/* ---- Keys ------------------------------------------------------------------------------------------------------- */

struct key {
    uint64_t magic, id, secret;
};

#define KEY_MAGIC UINT64_C(0x4851515f4b455932) /* "HQQ_KEY2" */

int hqq_handshake_make_key(const struct hqq_channel *channel, uint64_t *ret_secret)
{
    struct key key = {.magic = KEY_MAGIC, .id = channel->id};
    if (getrandom(&key.secret, sizeof(key.secret), GRND_NONBLOCK) != sizeof(key.secret) || key.secret == 0)
        return -EAGAIN;
    int fd = hqq_sys.memfd_create("hqq-key", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return fd;
    long written = hqq_libc.syscall(SYS_pwrite64, fd, &key, sizeof(key), 0L);
    if (written != (long)sizeof(key)) {
        hqq_sys.close(fd);
        return -ENOSPC;
    }
    hqq_sys.add_seals(fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    *ret_secret = key.secret;
    return fd;
}

bool hqq_handshake_read_key(int fd, uint64_t *ret_id, uint64_t *ret_secret)
{
    struct key key;
    if (hqq_sys.get_seals(fd) < 0) /* only memory has seals, and reading that does not wait */
        return false;
    if (hqq_libc.syscall(SYS_pread64, fd, &key, sizeof(key), 0L) != (long)sizeof(key) || key.magic != KEY_MAGIC ||
        key.secret == 0)
        return false;
    *ret_id = key.id;
    *ret_secret = key.secret;
    return true;
}
