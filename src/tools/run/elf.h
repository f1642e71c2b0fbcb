/* The little of an ELF file that says whether ld.so will preload into it. Reads a bounded part of the file. */
#ifndef HQQ_TOOLS_RUN_ELF_H
#define HQQ_TOOLS_RUN_ELF_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct run_elf {
    bool is_elf;
    unsigned class, machine, type; /* as in <elf.h> */
    bool is_foreign;               /* of another word size or byte order than this tool: no more is known */
    bool is_go;
    char interpreter[PATH_MAX]; /* the loader; empty if it is statically linked */
};

/* 0 or -errno; what is no ELF file is no error. */
int run_elf_read(int fd, struct run_elf *ret_elf);

#endif
