/*
 * Hooks: dlsym(). A program that asks libc itself for a function, by libc's handle, gets the hook: else it would receive by
 * a call that does not see what a ring holds. Python's ctypes does so, and whatever wraps a system call of its own accord.
 *
 * Where the answer depends on the caller (RTLD_NEXT, RTLD_DEFAULT) the real function must find the program's return
 * address: so the hook is a jump, in assembly. A function that another wrapper put before libc's is let be.
 */
#include "preload/hook.h"

#include <dlfcn.h>
#include <stdint.h>

#include "runtime/config.h"

typedef void *dlsym_fn(void *handle, const char *name);

/* Not static: the assembly names them. */
#define HIDDEN __attribute__((visibility("hidden")))
extern dlsym_fn *hqq_symbol_real HIDDEN;
HIDDEN dlsym_fn hqq_symbol_find;
HIDDEN void hqq_symbol_resolve(void);

/* Where this module begins and ends. */
extern const char __ehdr_start[] HIDDEN;
extern const char _end[] HIDDEN;

dlsym_fn *hqq_symbol_real;

#if defined(__x86_64__)
__asm__(".pushsection .text\n"
        ".globl dlsym\n"
        ".type dlsym, @function\n"
        "dlsym:\n"
        ".cfi_startproc\n"
        "  movq hqq_symbol_real(%rip), %rax\n"
        "  testq %rax, %rax\n"
        "  je 2f\n"
        "1:\n"
        "  leaq 1(%rdi), %rcx\n" /* RTLD_NEXT is -1, RTLD_DEFAULT 0 */
        "  cmpq $1, %rcx\n"
        "  ja 3f\n"
        "  jmp *%rax\n"
        "2:\n"
        "  pushq %rdi\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  pushq %rsi\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  subq $8, %rsp\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  call hqq_symbol_resolve\n"
        "  addq $8, %rsp\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  popq %rsi\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  popq %rdi\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  movq hqq_symbol_real(%rip), %rax\n"
        "  jmp 1b\n"
        "3:\n"
        "  jmp hqq_symbol_find\n"
        ".cfi_endproc\n"
        ".size dlsym, . - dlsym\n"
        ".popsection\n");
#elif defined(__aarch64__)
__asm__(".pushsection .text\n"
        ".globl dlsym\n"
        ".type dlsym, %function\n"
        "dlsym:\n"
        ".cfi_startproc\n"
        "  hint #34\n" /* bti c */
        "  adrp x16, hqq_symbol_real\n"
        "  ldr x16, [x16, :lo12:hqq_symbol_real]\n"
        "  cbz x16, 2f\n"
        "1:\n"
        "  add x17, x0, #1\n" /* RTLD_NEXT is -1, RTLD_DEFAULT 0 */
        "  cmp x17, #1\n"
        "  b.hi 3f\n"
        "  br x16\n"
        "2:\n"
        "  stp x29, x30, [sp, #-32]!\n"
        "  .cfi_adjust_cfa_offset 32\n"
        "  .cfi_rel_offset x30, 8\n"
        "  stp x0, x1, [sp, #16]\n"
        "  bl hqq_symbol_resolve\n"
        "  ldp x0, x1, [sp, #16]\n"
        "  ldp x29, x30, [sp], #32\n"
        "  .cfi_adjust_cfa_offset -32\n"
        "  .cfi_restore x30\n"
        "  adrp x16, hqq_symbol_real\n"
        "  ldr x16, [x16, :lo12:hqq_symbol_real]\n"
        "  b 1b\n"
        "3:\n"
        "  b hqq_symbol_find\n"
        ".cfi_endproc\n"
        ".size dlsym, . - dlsym\n"
        ".popsection\n");
#else
#error "dlsym() is written for x86-64 and arm64"
#endif

static void *find_none(void *handle, const char *name)
{
    (void)handle;
    (void)name;
    return NULL;
}

/* By dlvsym(), which nobody hooks: libc's has had one of these versions. */
void hqq_symbol_resolve(void)
{
    static const char *const versions[] = {"GLIBC_2.34", "GLIBC_2.17", "GLIBC_2.2.5"};
    union {
        void *pointer;
        dlsym_fn *function;
    } real = {.pointer = NULL};
    for (size_t i = 0; i < sizeof(versions) / sizeof(*versions) && !real.pointer; i++)
        real.pointer = dlvsym(RTLD_NEXT, "dlsym", versions[i]);
    hqq_symbol_real = real.pointer ? real.function : find_none;
}

static bool is_hook(const void *function)
{
    return (uintptr_t)function >= (uintptr_t)__ehdr_start && (uintptr_t)function < (uintptr_t)_end;
}

/* From a handle that does not depend on the caller. A failure below must not be what dlerror() tells of. */
void *hqq_symbol_find(void *handle, const char *name)
{
    void *found = hqq_symbol_real(handle, name);
    if (!found || !hqq_preload_is_ready() || !hqq_config_is_enabled())
        return found;
    void *first = hqq_symbol_real(RTLD_DEFAULT, name);
    if (first == found)
        return found;
    if (is_hook(first) && hqq_symbol_real(RTLD_NEXT, name) == found)
        return first;
    (void)dlerror();
    return found;
}
