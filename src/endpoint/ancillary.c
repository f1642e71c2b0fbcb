#include "endpoint/ancillary.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "endpoint/socket_options.h"
#include "runtime/cursor.h"
#include "runtime/libc.h"

/* What the kernel tells of users that have no number: its defaults. */
#define NOBODY 65534

/* As put_cmsg() of the kernel: what is left of the room is told, cut off, and a bad address by nothing. */
static void put(struct msghdr *message, size_t *used, int type, const void *data, size_t length)
{
    size_t room = message->msg_control ? message->msg_controllen - *used : 0;
    if (room < sizeof(struct cmsghdr)) {
        message->msg_flags |= MSG_CTRUNC;
        return;
    }
    struct cmsghdr header = {.cmsg_len = CMSG_LEN(length), .cmsg_level = SOL_SOCKET, .cmsg_type = type};
    if (room < header.cmsg_len) {
        message->msg_flags |= MSG_CTRUNC;
        header.cmsg_len = room;
    }
    unsigned char *at = (unsigned char *)message->msg_control + *used;
    if (!hqq_app_write(at, &header, sizeof(header)) ||
        !hqq_app_write(at + CMSG_LEN(0), data, header.cmsg_len - CMSG_LEN(0)))
        return;
    *used += CMSG_SPACE(length) < room ? CMSG_SPACE(length) : room;
}

static void put_time(struct msghdr *message, size_t *used, int type, bool is_wide, long unit)
{
    struct timespec now = {0};
    hqq_libc.syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    const int64_t wide[2] = {now.tv_sec, now.tv_nsec / unit};
    const long narrow[2] = {(long)now.tv_sec, now.tv_nsec / unit};
    if (is_wide)
        put(message, used, type, wide, sizeof(wide));
    else
        put(message, used, type, narrow, sizeof(narrow));
}

void hqq_ancillary_tell(uint32_t options, struct msghdr *message)
{
    size_t used = 0;
    if (options & HQQ_OPTION_BIT(HQQ_OPTION_TIMESTAMP))
        put_time(message, &used, SO_TIMESTAMP, sizeof(time_t) > sizeof(long), 1000);
    if (options & HQQ_OPTION_BIT(HQQ_OPTION_TIMESTAMPNS))
        put_time(message, &used, SO_TIMESTAMPNS, sizeof(time_t) > sizeof(long), 1);
    if (options & HQQ_OPTION_BIT(HQQ_OPTION_TIMESTAMPNS_64_BIT)) /* then the other one reads as set too */
        put_time(message, &used, HQQ_SO_TIMESTAMPNS_64_BIT, true, 1);
    else if (options & HQQ_OPTION_BIT(HQQ_OPTION_TIMESTAMP_64_BIT))
        put_time(message, &used, HQQ_SO_TIMESTAMP_64_BIT, true, 1000);
    if (options & HQQ_OPTION_BIT(HQQ_OPTION_PASSCRED)) {
        const struct ucred nobody = {.pid = 0, .uid = NOBODY, .gid = NOBODY};
        put(message, &used, SCM_CREDENTIALS, &nobody, sizeof(nobody));
    }
    /* There is none of the sender's: only the lack of room for it is told. */
    if ((options & HQQ_OPTION_BIT(HQQ_OPTION_PASSSEC)) && !message->msg_control)
        message->msg_flags |= MSG_CTRUNC;
    if ((options & HQQ_OPTION_BIT(HQQ_OPTION_PASSPIDFD)) &&
        (!message->msg_control || message->msg_controllen - used < CMSG_LEN(sizeof(int))))
        message->msg_flags |= MSG_CTRUNC;
    message->msg_controllen = used;
}
