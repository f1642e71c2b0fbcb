/*
 * Which file a command is, and whether a preload library works in it. Looks at the file alone and runs nothing.
 */
#ifndef HQQ_TOOLS_RUN_PROGRAM_H
#define HQQ_TOOLS_RUN_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

#include "platform/elf.h"

struct run_program {
    char path[PATH_MAX];         /* of the command; empty if there is none */
    char interpreter[PATH_MAX];  /* of a script: what runs in the end; empty for a binary */
    int exit_status;             /* 0: it works; else 126 or 127 */
    char reason[PATH_MAX + 200]; /* if not, why */
};

/* Looks for the command as execvp(3) does. library is what is to be preloaded. */
void run_program_find(const char *command, const struct hqq_elf *library, struct run_program *ret_program);

#endif
