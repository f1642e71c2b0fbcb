/*
 * Options of a socket that decide how it can be served. Asks the kernel; knows no endpoint.
 */
#ifndef HQQ_ENDPOINT_SOCKET_OPTIONS_H
#define HQQ_ENDPOINT_SOCKET_OPTIONS_H

#include <stdbool.h>

/* True if an option is set that only the kernel can serve, as it adds something to each datagram; or one after which a look of ours at
 * the queue would show. */
bool hqq_socket_options_need_kernel(int fd);
bool hqq_socket_options_forbid_looks(int fd);

/* True if setting this option of SOL_SOCKET may change the answer. */
bool hqq_socket_options_is_kernels(int option);
bool hqq_socket_options_forbids_looks(int option);

#endif
