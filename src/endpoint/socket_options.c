#include "endpoint/socket_options.h"

#include <stddef.h>
#include <sys/socket.h>

#include "runtime/libc.h"

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

/* What they add to a datagram is the kernel's to say; and a sender that asks for credentials gets a name with its next datagram. */
static const int kernels[] = {
    [HQQ_OPTION_PASSCRED] = SO_PASSCRED,
    [HQQ_OPTION_PASSSEC] = SO_PASSSEC,
    [HQQ_OPTION_PASSPIDFD] = SO_PASSPIDFD,
    [HQQ_OPTION_TIMESTAMP] = SO_TIMESTAMP,
    [HQQ_OPTION_TIMESTAMPNS] = SO_TIMESTAMPNS,
    [HQQ_OPTION_TIMESTAMPING] = SO_TIMESTAMPING,
    [HQQ_OPTION_TIMESTAMP_64_BIT] = HQQ_SO_TIMESTAMP_64_BIT,
    [HQQ_OPTION_TIMESTAMPNS_64_BIT] = HQQ_SO_TIMESTAMPNS_64_BIT,
    [HQQ_OPTION_TIMESTAMPING_64_BIT] = HQQ_SO_TIMESTAMPING_64_BIT,
};

#define KERNELS_COUNT (sizeof(kernels) / sizeof(kernels[0]))

bool hqq_socket_options_is_kernels(int option)
{
    for (size_t i = 0; i < KERNELS_COUNT; i++) {
        if (kernels[i] == option)
            return true;
    }
    return option == SO_PASSRIGHTS;
}

static int value_of(int fd, int option, int unset)
{
    int value = unset;
    socklen_t length = sizeof(value);
    return hqq_libc.getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : unset;
}

uint32_t hqq_socket_options_kernels(int fd)
{
    uint32_t set = 0;
    for (size_t i = 0; i < KERNELS_COUNT; i++) {
        if (value_of(fd, kernels[i], 0) != 0)
            set |= HQQ_OPTION_BIT(i);
    }
    if (value_of(fd, SO_PASSRIGHTS, 1) == 0) /* no descriptor reaches it, so no challenge does */
        set |= HQQ_OPTION_BIT(HQQ_OPTION_PASSRIGHTS_OFF);
    return set;
}

bool hqq_socket_options_forbids_looks(int option)
{
    return option == SO_PEEK_OFF || option == SO_ATTACH_FILTER || option == SO_ATTACH_BPF;
}

bool hqq_socket_options_forbid_looks(int fd)
{
    socklen_t filters = 0;
    return value_of(fd, SO_PEEK_OFF, -1) >= 0 ||
           (hqq_libc.getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &filters) == 0 && filters != 0);
}
