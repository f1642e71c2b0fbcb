/* What the transports over a link have in common: the link. For the transport_hqq files only. */
#ifndef HQQ_PERF_TRANSPORT_HQQ_H
#define HQQ_PERF_TRANSPORT_HQQ_H

#include "tools/perf/end.h"

/* Shared memory for a link of the channel's shape. 0, -errno or enum hqq_error. */
int perf_link_create(struct perf_channel *channel);

/* This side's end of it. A link belongs to the process that made it, so both attach after the fork. */
int perf_link_open(struct perf_end *end);

/* Leaves the link's counts in the result of this side. */
void perf_link_close(struct perf_end *end);

#endif
