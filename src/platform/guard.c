#include "platform/guard.h"

#include <ucontext.h>

extern const char hqq_guard_begin[], hqq_guard_end[], hqq_guard_failed[];

/*
 * Leaves without a frame: wherever one of them faults, all that is needed to return stands in its place. The copy takes
 * 64 bytes at a time, then 16, and the last 16 once more; from 2 KiB on the processor's own copy is the fastest on x86-64.
 *
 * What stands before the first, between them and behind the second is the same for all processors.
 */
#define HEAD                                                                                                           \
    ".pushsection .text\n"                                                                                             \
    ".p2align 6\n"                                                                                                     \
    ".globl hqq_guard_begin, hqq_guard_copy_bytes, hqq_guard_touch, hqq_guard_failed, hqq_guard_end\n"                 \
    ".hidden hqq_guard_begin, hqq_guard_copy_bytes, hqq_guard_touch, hqq_guard_failed, hqq_guard_end\n"                \
    ".type hqq_guard_copy_bytes, %function\n"                                                                          \
    ".type hqq_guard_touch, %function\n"                                                                               \
    "hqq_guard_begin:\n"                                                                                               \
    "hqq_guard_copy_bytes:\n"
#define BETWEEN                                                                                                        \
    ".cfi_endproc\n"                                                                                                   \
    ".size hqq_guard_copy_bytes, . - hqq_guard_copy_bytes\n"                                                           \
    "hqq_guard_touch:\n"                                                                                               \
    ".cfi_startproc\n"
#define TAIL                                                                                                           \
    ".cfi_endproc\n"                                                                                                   \
    ".size hqq_guard_touch, . - hqq_guard_touch\n"                                                                     \
    "hqq_guard_end:\n"                                                                                                 \
    ".popsection\n"

#if defined(__x86_64__)
__asm__(HEAD ".cfi_startproc\n"
             "  cmpq $16, %rdx\n"
             "  jb 5f\n"
             "  cmpq $2048, %rdx\n"
             "  jae 4f\n"
             "  movups -16(%rsi,%rdx), %xmm4\n"
             "  leaq -16(%rdi,%rdx), %rcx\n"
             "  subq $64, %rdx\n"
             "  jb 2f\n"
             "1:\n"
             "  movups (%rsi), %xmm0\n"
             "  movups 16(%rsi), %xmm1\n"
             "  movups 32(%rsi), %xmm2\n"
             "  movups 48(%rsi), %xmm3\n"
             "  movups %xmm0, (%rdi)\n"
             "  movups %xmm1, 16(%rdi)\n"
             "  movups %xmm2, 32(%rdi)\n"
             "  movups %xmm3, 48(%rdi)\n"
             "  addq $64, %rsi\n"
             "  addq $64, %rdi\n"
             "  subq $64, %rdx\n"
             "  jae 1b\n"
             "2:\n"
             "  cmpq %rcx, %rdi\n"
             "  jae 3f\n"
             "  movups (%rsi), %xmm0\n"
             "  movups %xmm0, (%rdi)\n"
             "  addq $16, %rsi\n"
             "  addq $16, %rdi\n"
             "  jmp 2b\n"
             "3:\n"
             "  movups %xmm4, (%rcx)\n"
             "  xorl %eax, %eax\n"
             "  ret\n"
             "4:\n"
             "  movq %rdx, %rcx\n"
             "  rep movsb\n"
             "  xorl %eax, %eax\n"
             "  ret\n"
             "5:\n"
             "  cmpl $8, %edx\n"
             "  jae 8f\n"
             "  cmpl $4, %edx\n"
             "  jae 7f\n"
             "  testl %edx, %edx\n"
             "  je 6f\n"
             "  movzbl (%rsi), %eax\n"
             "  movzbl -1(%rsi,%rdx), %ecx\n"
             "  movb %al, (%rdi)\n"
             "  movb %cl, -1(%rdi,%rdx)\n"
             "  cmpl $3, %edx\n"
             "  jb 6f\n"
             "  movzbl 1(%rsi), %eax\n"
             "  movb %al, 1(%rdi)\n"
             "6:\n"
             "  xorl %eax, %eax\n"
             "  ret\n"
             "7:\n"
             "  movl (%rsi), %eax\n"
             "  movl -4(%rsi,%rdx), %ecx\n"
             "  movl %eax, (%rdi)\n"
             "  movl %ecx, -4(%rdi,%rdx)\n"
             "  xorl %eax, %eax\n"
             "  ret\n"
             "8:\n"
             "  movq (%rsi), %rax\n"
             "  movq -8(%rsi,%rdx), %rcx\n"
             "  movq %rax, (%rdi)\n"
             "  movq %rcx, -8(%rdi,%rdx)\n"
             "  xorl %eax, %eax\n"
             "  ret\n" BETWEEN "  movzbl (%rdi), %eax\n"
             "  movzbl (%rsi), %eax\n"
             "  xorl %eax, %eax\n"
             "  ret\n"
             "hqq_guard_failed:\n"
             "  movl $1, %eax\n"
             "  ret\n" TAIL);

static uintptr_t counter_of(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
}

static void set_counter(ucontext_t *context, uintptr_t to)
{
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)to;
}
#elif defined(__aarch64__)
__asm__(HEAD ".cfi_startproc\n"
             "  hint #34\n" /* bti c */
             "  cmp x2, #16\n"
             "  b.lo 5f\n"
             "  add x3, x1, x2\n"
             "  ldur q4, [x3, #-16]\n"
             "  add x3, x0, x2\n"
             "  sub x3, x3, #16\n"
             "  subs x2, x2, #64\n"
             "  b.lo 2f\n"
             "1:\n"
             "  ldp q0, q1, [x1]\n"
             "  ldp q2, q3, [x1, #32]\n"
             "  stp q0, q1, [x0]\n"
             "  stp q2, q3, [x0, #32]\n"
             "  add x1, x1, #64\n"
             "  add x0, x0, #64\n"
             "  subs x2, x2, #64\n"
             "  b.hs 1b\n"
             "2:\n"
             "  cmp x0, x3\n"
             "  b.hs 3f\n"
             "  ldr q0, [x1], #16\n"
             "  str q0, [x0], #16\n"
             "  b 2b\n"
             "3:\n"
             "  str q4, [x3]\n"
             "  mov w0, #0\n"
             "  ret\n"
             "5:\n"
             "  cbz x2, 6f\n"
             "  ldrb w3, [x1], #1\n"
             "  strb w3, [x0], #1\n"
             "  sub x2, x2, #1\n"
             "  b 5b\n"
             "6:\n"
             "  mov w0, #0\n"
             "  ret\n" BETWEEN "  hint #34\n"
             "  ldrb w2, [x0]\n"
             "  ldrb w2, [x1]\n"
             "  mov w0, #0\n"
             "  ret\n"
             "hqq_guard_failed:\n"
             "  mov w0, #1\n"
             "  ret\n" TAIL);

static uintptr_t counter_of(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.pc;
}

static void set_counter(ucontext_t *context, uintptr_t to)
{
    context->uc_mcontext.pc = to;
}
#else
#error "hqq_guard_copy_bytes() is written for x86-64 and arm64"
#endif

bool hqq_guard_is_readable_slow(const void *address, size_t length)
{
    const char *at = address;
    for (; length > HQQ_GUARD_PAGE; at += HQQ_GUARD_PAGE, length -= HQQ_GUARD_PAGE) {
        if (hqq_guard_touch(at, at) != 0)
            return false;
    }
    return length == 0 || hqq_guard_touch(at, at + length - 1) == 0;
}

bool hqq_guard_repair(void *context)
{
    uintptr_t at = counter_of(context);
    if (at < (uintptr_t)hqq_guard_begin || at >= (uintptr_t)hqq_guard_end)
        return false;
    set_counter(context, (uintptr_t)hqq_guard_failed);
    return true;
}
