#include "platform/barrier.h"

#include <linux/membarrier.h>

#include "platform/sys.h"

bool hqq_barrier_register(void)
{
    int commands = hqq_sys.membarrier(MEMBARRIER_CMD_QUERY);
    return commands > 0 && (commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED) != 0 &&
           hqq_sys.membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) == 0;
}

bool hqq_barrier_everywhere(void)
{
    return hqq_sys.membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED) == 0;
}
