/* The state of mlockall(). */
#include "runtime/memlock.h"

hqq_atomic_u32 hqq_memlock_state;
