/*
 * Options of a socket that decide how it can be served. Asks the kernel; knows no endpoint.
 */
#ifndef HQQ_ENDPOINT_SOCKET_OPTIONS_H
#define HQQ_ENDPOINT_SOCKET_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Of programs whose time has 64 bits on every processor: the names mean others, or the same, by how libc was configured. */
#define HQQ_SO_TIMESTAMP_64_BIT 63
#define HQQ_SO_TIMESTAMPNS_64_BIT 64
#define HQQ_SO_TIMESTAMPING_64_BIT 65

/* Options that only the kernel can serve, as it adds something to each datagram. */
enum hqq_option {
    HQQ_OPTION_PASSCRED,
    HQQ_OPTION_PASSSEC,
    HQQ_OPTION_PASSPIDFD,
    HQQ_OPTION_TIMESTAMP,
    HQQ_OPTION_TIMESTAMPNS,
    HQQ_OPTION_TIMESTAMPING,
    HQQ_OPTION_TIMESTAMP_64_BIT,
    HQQ_OPTION_TIMESTAMPNS_64_BIT,
    HQQ_OPTION_TIMESTAMPING_64_BIT,
    HQQ_OPTION_PASSRIGHTS_OFF,
    HQQ_OPTIONS,
};

#define HQQ_OPTION_BIT(option) (UINT32_C(1) << (option))

/* Which of them are set: bits. */
uint32_t hqq_socket_options_kernels(int fd);

/* True if an option is set after which a look of ours at the queue would show. */
bool hqq_socket_options_forbid_looks(int fd);

/* True if setting this option of SOL_SOCKET may change the answer. */
bool hqq_socket_options_is_kernels(int option);
bool hqq_socket_options_forbids_looks(int option);

#endif
