/* What the hooks of signal handlers need of faults. */
#ifndef HQQ_PRELOAD_FAULT_H
#define HQQ_PRELOAD_FAULT_H

#include <signal.h>
#include <stdbool.h>

/* True if the signal is the fault of a guarded access, which fails once the handler returns. */
bool hqq_fault_repair(int signal, void *context);

/* The handler that stands where the program has SIG_DFL. */
void hqq_fault_default(int signal, siginfo_t *info, void *context);

/* From now on faults are repaired. Once, as the hooks open. */
void hqq_fault_begin(void);

#endif
