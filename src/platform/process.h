/*
 * Who a process is, in one word that another process can check: pid and start time, within one namespace. Used to
 * tell a peer that died from one that is slow. Relies on /proc; where that is missing or of another namespace the
 * identity is HQQ_PROCESS_UNKNOWN, and such a peer is never declared dead.
 *
 * Also: which copy of a forked process this is, at the cost of one load.
 */
#ifndef HQQ_PLATFORM_PROCESS_H
#define HQQ_PLATFORM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* An identity is pid << 39 | start time in clock ticks since boot (39 bits: 174 years), 61 bits in all. pid is below
 * 2^22, the kernel's own bound. */
#define HQQ_PROCESS_UNKNOWN UINT64_C(0)
#define HQQ_PROCESS_BITS 61
#define HQQ_PROCESS_START_BITS 39

/* This process; UNKNOWN if it can't be told. Looked up once and again after a fork; a vfork child that asks gets its
 * own. Async-signal-safe, no allocation. */
uint64_t hqq_process_self(void);

/* After UNKNOWN: -EMFILE, -ENFILE or -ENOMEM if it was only for want of that; 0 if it can't be told at all. */
int hqq_process_why_unknown(void);

/* Where identities mean the same: those of two processes can be compared if this number is the same for both. 0 if it
 * can't be told. In the low half the inode number of /proc/self/ns/pid, in the high half that of /proc/self/ns/time
 * (0 on a kernel without): start times are read with the reader's own offset. Two system calls; async-signal-safe. */
uint64_t hqq_process_namespace(void);

/* True only if the process of that identity, of this namespace, runs no more user code for certain: no such pid,
 * another start time, or a zombie with no thread left. A leader that exited while other threads run is alive; what
 * can't be read is alive; UNKNOWN is alive, and so is an ill-formed identity. A few system calls; async-signal-safe,
 * no allocation. */
bool hqq_process_is_dead(uint64_t identity);

/* The pid in an identity, which may be anything: below 2^25. */
static inline uint64_t hqq_process_pid(uint64_t identity)
{
    return identity >> HQQ_PROCESS_START_BITS;
}

/* True only if there is no process of that pid: one system call. Misses one that is dead and has not been waited for,
 * and one whose pid is in use again. */
bool hqq_process_is_missing(uint64_t identity);

/* A number that is never 0, the same in all threads of a process and different in a forked child, also one that ran no
 * atfork handler. A vfork child has its parent's. The first call maps a page (MADV_WIPEONFORK); 0 if that fails, and
 * the next call tries again. Lock-free and async-signal-safe. */
uint64_t hqq_process_generation(void);

/* Fast form for a generation that was got before: true if still the same process; false for 0. One load and a compare,
 * beside the page's address; async-signal-safe. */
bool hqq_process_is_generation(uint64_t generation);

#endif
