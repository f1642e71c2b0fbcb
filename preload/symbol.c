/*
 * Hooks: dlsym(). A program that asks libc itself for a function, by libc's handle, gets the hook: else it would receive by
 * a call that does not see what a ring holds. Python's ctypes does so, and whatever wraps a system call of its own accord.
 *
 * Where the answer depends on the caller (RTLD_NEXT, RTLD_DEFAULT) the real function must find the program's return
 * address: so the hook is a jump, in assembly. A function that another wrapper put before libc's is let be.
 */
#include "preload/hook.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "preload/next.h"

#include "runtime/config.h"

/* Not static: the assembly names it. */
void *hqq_symbol_find(void *handle, const char *name, const void *caller) __attribute__((visibility("hidden")));

#if defined(__x86_64__)
__asm__(".pushsection .text\n"
        ".globl dlsym\n"
        ".type dlsym, @function\n"
        "dlsym:\n"
        ".cfi_startproc\n"
        "  movq hqq_next_dlsym(%rip), %rax\n"
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
        "  call hqq_next_resolve\n"
        "  addq $8, %rsp\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  popq %rsi\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  popq %rdi\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  movq hqq_next_dlsym(%rip), %rax\n"
        "  jmp 1b\n"
        "3:\n"
        "  movq (%rsp), %rdx\n" /* who calls */
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
        "  adrp x16, hqq_next_dlsym\n"
        "  ldr x16, [x16, :lo12:hqq_next_dlsym]\n"
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
        "  bl hqq_next_resolve\n"
        "  ldp x0, x1, [sp, #16]\n"
        "  ldp x29, x30, [sp], #32\n"
        "  .cfi_adjust_cfa_offset -32\n"
        "  .cfi_restore x30\n"
        "  adrp x16, hqq_next_dlsym\n"
        "  ldr x16, [x16, :lo12:hqq_next_dlsym]\n"
        "  b 1b\n"
        "3:\n"
        "  mov x2, x30\n" /* who calls */
        "  b hqq_symbol_find\n"
        ".cfi_endproc\n"
        ".size dlsym, . - dlsym\n"
        ".popsection\n");
#else
#error "dlsym() is written for x86-64 and arm64"
#endif

/* This module, as dlsym() wants it: a look at it makes no other one stay, as a look at all of them may. */
static void *own_module(void)
{
    static hqq_atomic_pointer module;
    void *known = hqq_load_pointer_acquire(&module);
    Dl_info info;
    if (!known && dladdr(__ehdr_start, &info) != 0 && info.dli_fname) {
        known = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
        hqq_store_pointer_release(&module, known);
    }
    return known;
}

/* True if the code is of a library whose functions ours call: given a hook by a name it would call itself in a circle. */
static bool is_called_by_us(const void *caller)
{
    Dl_info of_caller, of_function;
    if (dladdr(caller, &of_caller) == 0)
        return false;
    for (size_t i = 0; i < sizeof(hqq_real.libc) / sizeof(void *); i++) {
        void *function;
        memcpy(&function, (const char *)&hqq_real.libc + i * sizeof(void *), sizeof(function));
        if (function && dladdr(function, &of_function) != 0 && of_function.dli_fbase == of_caller.dli_fbase)
            return true;
    }
    return false;
}

/* From a handle that does not depend on the caller. A failure below must not be what dlerror() tells of. */
void *hqq_symbol_find(void *handle, const char *name, const void *caller)
{
    void *found = hqq_next_dlsym(handle, name);
    if (!found || hqq_next_is_ours(found) || !hqq_preload_is_ready() || !hqq_config_is_enabled())
        return found;
    void *module = own_module();
    void *hook = module ? hqq_next_dlsym(module, name) : NULL;
    bool stands_for_it = hqq_next_is_ours(hook) && hqq_next_dlsym(RTLD_NEXT, name) == found && !is_called_by_us(caller);
    (void)dlerror();
    return stands_for_it ? hook : found;
}
