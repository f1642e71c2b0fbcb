/* The counters of handlers. They start anew with each thread, and go on in a forked child. */
#include "runtime/handlers.h"

__thread hqq_atomic_u32 hqq_handlers_run;
__thread hqq_atomic_u32 hqq_handlers_interrupting;
