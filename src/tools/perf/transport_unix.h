/* What the transports over sockets have in common. For the transport files only. */
#ifndef HQQ_PERF_TRANSPORT_UNIX_H
#define HQQ_PERF_TRANSPORT_UNIX_H

#include "tools/perf/end.h"

/* Takes this side's socket of the channel; its calls come back now and then to see whether there is still something to
 * wait for. */
int perf_socket_open(struct perf_end *end);

/* After a call that failed, by errno: 0 if it is to be made again. */
int perf_socket_judge(struct perf_end *end);

#endif
