/*
 * The bare system call, for use where no function of libc may be: before the real ones are known, and for the
 * library's own calls, which must not come back through the hooks. No cancellation point; errno is left alone.
 */
#ifndef HQQ_PRELOAD_RAW_CALL_H
#define HQQ_PRELOAD_RAW_CALL_H

#include <errno.h>
#include <signal.h>

/* Bytes of a signal set, for the kernel; those of libc are longer. */
#define HQQ_RAW_SIGSET (_NSIG / 8)

/* The kernel's result: -errno on failure. Arguments that a call lacks are zero. They are loaded first: a sanitizer calls
 * a function at each load, which would use the registers that are filled already. */
static inline long hqq_raw_call(long number, const long arguments[6])
{
    const long a0 = arguments[0];
    const long a1 = arguments[1];
    const long a2 = arguments[2];
    const long a3 = arguments[3];
    const long a4 = arguments[4];
    const long a5 = arguments[5];
#if defined(__x86_64__) && defined(__LP64__)
    long result;
    register long fourth __asm__("r10") = a3;
    register long fifth __asm__("r8") = a4;
    register long sixth __asm__("r9") = a5;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a0), "S"(a1), "d"(a2), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__) && defined(__LP64__)
    register long eighth __asm__("x8") = number;
    register long first __asm__("x0") = a0;
    register long second __asm__("x1") = a1;
    register long third __asm__("x2") = a2;
    register long fourth __asm__("x3") = a3;
    register long fifth __asm__("x4") = a4;
    register long sixth __asm__("x5") = a5;
    __asm__ volatile("svc 0"
                     : "+r"(first)
                     : "r"(eighth), "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "memory");
    return first;
#elif defined(__riscv) && __riscv_xlen == 64
    register long seventh __asm__("a7") = number;
    register long first __asm__("a0") = a0;
    register long second __asm__("a1") = a1;
    register long third __asm__("a2") = a2;
    register long fourth __asm__("a3") = a3;
    register long fifth __asm__("a4") = a4;
    register long sixth __asm__("a5") = a5;
    __asm__ volatile("ecall"
                     : "+r"(first)
                     : "r"(seventh), "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "memory");
    return first;
#else
#error "how does this processor make a system call?"
#endif
}

/* The same in libc's manner: -1 and errno on failure. */
static inline long hqq_raw_settle(long number, const long arguments[6])
{
    long result = hqq_raw_call(number, arguments);
    if (result >= 0 || result < -4095)
        return result;
    errno = (int)-result;
    return -1;
}

#endif
