/* Which connections' messages are handed to the program in pieces. With the lock. */
#ifndef HQQ_ADVANCED_STREAM_H
#define HQQ_ADVANCED_STREAM_H

#include "advanced/state.h"

/* What takes the messages of a connection; its take is NULL if they are received whole. */
struct hqq_stream_taker hqq_stream_find(const struct hqq_advanced *advanced, uint64_t connection);

#endif
