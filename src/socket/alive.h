/*
 * Whether the processes at the other ends still exist, for many links to one process at the price of one: a process
 * that was seen a moment ago by any thread, for any link, is not looked at again. Lock-free, async-signal-safe.
 */
#ifndef HQQ_SOCKET_ALIVE_H
#define HQQ_SOCKET_ALIVE_H

#include <stdbool.h>
#include <stdint.h>

/* hqq_process_is_missing(), as of at most 20 us ago. ticks: now, by hqq_ticks(). */
bool hqq_alive_is_missing(uint64_t identity, uint64_t ticks);

#endif
