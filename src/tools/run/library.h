/* Where libhqq-preload.so is. */
#ifndef HQQ_TOOLS_RUN_LIBRARY_H
#define HQQ_TOOLS_RUN_LIBRARY_H

#include <limits.h>
#include <stdbool.h>

#include "platform/elf.h"

struct run_library {
    char path[PATH_MAX]; /* absolute */
    struct hqq_elf elf;
};

/* given: what --library says, or NULL. False: there is none, or none that can be loaded, which is said. */
bool run_library_find(const char *given, struct run_library *ret_library);

#endif
