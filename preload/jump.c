/*
 * Hooks: jumps out of frames. What calls of the library hold that are left by the jump is given back first, then comes
 * the real function. setjmp() and its kind stay libc's. pthread_exit(), cancellation and C++ exceptions unwind, and come
 * by cleanup handlers.
 */
#include "preload/hook.h"

#include <setjmp.h>
#include <stdint.h>

#include "runtime/frame.h"

#if defined(__x86_64__) && defined(__LP64__) && defined(__GLIBC__)
/* Where glibc keeps the stack pointer: the seventh register saved, turned by 17 bits and mixed with a secret of the
 * thread's descriptor. False if what is found there can't be a stack pointer. */
static bool stack_pointer_in(const struct __jmp_buf_tag *target, uintptr_t *ret_pointer)
{
    uintptr_t guard;
    uintptr_t word = (uintptr_t)target->__jmpbuf[6];
    __asm__("movq %%fs:0x30, %0" : "=r"(guard));
    word = (word >> 17 | word << 47) ^ guard;
    if (word % 8 != 0 || word < 4096 || word > INTPTR_MAX)
        return false;
    *ret_pointer = word;
    return true;
}
#else
/* Unknown here: the next call of the library finds what was left (hqq_frames_recover()). */
static bool stack_pointer_in(const struct __jmp_buf_tag *target, uintptr_t *ret_pointer)
{
    (void)target;
    (void)ret_pointer;
    return false;
}
#endif

static void leave_frames(const struct __jmp_buf_tag *target)
{
    uintptr_t pointer;
    if (hqq_frame_top && stack_pointer_in(target, &pointer))
        hqq_frames_leave_below(pointer);
}

HQQ_EXPORT void longjmp(jmp_buf target, int value)
{
    leave_frames(target);
    HQQ_REAL(longjmp)(target, value);
    __builtin_unreachable();
}

HQQ_EXPORT void _longjmp(jmp_buf target, int value)
{
    leave_frames(target);
    HQQ_REAL(_longjmp)(target, value);
    __builtin_unreachable();
}

HQQ_EXPORT void siglongjmp(sigjmp_buf target, int value)
{
    leave_frames(target);
    HQQ_REAL(siglongjmp)(target, value);
    __builtin_unreachable();
}

HQQ_EXPORT void __longjmp_chk(jmp_buf target, int value) __attribute__((noreturn));
HQQ_EXPORT void __longjmp_chk(jmp_buf target, int value)
{
    leave_frames(target);
    HQQ_REAL(__longjmp_chk)(target, value);
    __builtin_unreachable();
}
