/*
 * The little of an ELF file that says whether ld.so can preload a library into it. Reads a bounded part of the file, by
 * system calls that are no cancellation points; async-signal-safe.
 */
#ifndef HQQ_PLATFORM_ELF_H
#define HQQ_PLATFORM_ELF_H

#include <stdbool.h>

#define HQQ_ELF_LOADER_MAX 256

struct hqq_elf {
    bool is_elf;
    unsigned class, machine, type; /* as in <elf.h> */
    bool is_foreign;               /* of another word size or byte order than this program: no more is known */
    bool is_go;
    bool needs_asan;                 /* GCC's AddressSanitizer as a library, which has to be the first of all */
    char loader[HQQ_ELF_LOADER_MAX]; /* empty if it is statically linked, or if the path has no room here */
};

/* 0 or -errno; what is no ELF file is no error. */
int hqq_elf_read(int fd, struct hqq_elf *ret_elf);

/* As much of a script's first line as the kernel reads, and a NUL. */
#define HQQ_ELF_SCRIPT_LINE 257

/* The interpreter that a script names behind "#!", in line; NULL if it is none, or names none. */
const char *hqq_elf_interpreter(int fd, char line[HQQ_ELF_SCRIPT_LINE]);

/* What ld.so cannot bear of a library for this process in such a program. */
enum hqq_elf_flaw {
    HQQ_ELF_BEARS,       /* or it pays no attention, as it is static */
    HQQ_ELF_FOREIGN,     /* another word size or processor */
    HQQ_ELF_MUSL,        /* another libc */
    HQQ_ELF_ASAN_BEFORE, /* AddressSanitizer has to come before it */
};

enum hqq_elf_flaw hqq_elf_flaw(const struct hqq_elf *elf);

#endif
