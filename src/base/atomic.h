/*
 * Atomics: the one file that includes <stdatomic.h>. Everything else uses these names, which carry their order, and
 * says at each use with which edge of PROTOCOL.md's table it pairs. Words are naturally aligned 64-bit or 32-bit
 * words that may lie in memory shared with another process; lock-free is asserted.
 */
#ifndef HQQ_BASE_ATOMIC_H
#define HQQ_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "atomics must be lock-free to be shared");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the region is little-endian and is used in place");

#define HQQ_CACHE_LINE 64

/* Built with ThreadSanitizer, which follows atomics but neither fences nor inline assembly. */
#if defined(__SANITIZE_THREAD__)
#define HQQ_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HQQ_UNDER_TSAN 1
#endif
#endif

typedef _Atomic uint64_t hqq_atomic_u64;
typedef _Atomic uint32_t hqq_atomic_u32;

_Static_assert(sizeof(hqq_atomic_u64) == 8 && sizeof(hqq_atomic_u32) == 4, "atomics must be bare words");

/* A pointer; never in shared memory. */
typedef _Atomic(void *) hqq_atomic_pointer;

static inline void *hqq_load_pointer_acquire(const hqq_atomic_pointer *pointer)
{
    return atomic_load_explicit(pointer, memory_order_acquire);
}

static inline void hqq_store_pointer_release(hqq_atomic_pointer *pointer, void *value)
{
    atomic_store_explicit(pointer, value, memory_order_release);
}

static inline void *hqq_swap_pointer_acq_rel(hqq_atomic_pointer *pointer, void *value)
{
    return atomic_exchange_explicit(pointer, value, memory_order_acq_rel);
}

/* True if it was as expected and is desired now. */
static inline bool hqq_cas_pointer_release(hqq_atomic_pointer *pointer, void *expected, void *desired)
{
    return atomic_compare_exchange_strong_explicit(pointer, &expected, desired, memory_order_release,
                                                   memory_order_relaxed);
}

/* A plain word of untrusted memory, read exactly once: the compiler may neither repeat nor invent a load. */
static inline uint64_t hqq_load_relaxed(const hqq_atomic_u64 *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline uint64_t hqq_load_acquire(const hqq_atomic_u64 *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static inline void hqq_store_relaxed(hqq_atomic_u64 *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline void hqq_store_release(hqq_atomic_u64 *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

/* On failure *expected is what was found; may fail spuriously. */
static inline bool hqq_cas_relaxed(hqq_atomic_u64 *word, uint64_t *expected, uint64_t desired)
{
    return atomic_compare_exchange_weak_explicit(word, expected, desired, memory_order_relaxed, memory_order_relaxed);
}

/* On failure *expected is what was found; never fails spuriously. */
static inline bool hqq_cas_acq_rel(hqq_atomic_u64 *word, uint64_t *expected, uint64_t desired)
{
    return atomic_compare_exchange_strong_explicit(word, expected, desired, memory_order_acq_rel, memory_order_acquire);
}

/* A compare-and-swap of a word that no other thread writes, but a signal handler of this one may: exact against that, without
 * the price of a locked instruction. Other threads see it as a release, as any store of x86-64; elsewhere it is one. */
static inline bool hqq_cas_own(hqq_atomic_u64 *word, uint64_t expected, uint64_t desired)
{
#if defined(__x86_64__) && !defined(HQQ_UNDER_TSAN)
    void *plain = word;
    bool is_done;
    __asm__ volatile("cmpxchgq %3, %0"
                     : "+m"(*(uint64_t *)plain), "+a"(expected), "=@ccz"(is_done)
                     : "r"(desired)
                     : "memory");
    return is_done;
#else
    return hqq_cas_acq_rel(word, &expected, desired);
#endif
}

static inline uint64_t hqq_add_relaxed(hqq_atomic_u64 *word, uint64_t by)
{
    return atomic_fetch_add_explicit(word, by, memory_order_relaxed);
}

static inline uint64_t hqq_add_release(hqq_atomic_u64 *word, uint64_t by)
{
    return atomic_fetch_add_explicit(word, by, memory_order_release);
}

static inline uint32_t hqq_load32_relaxed(const hqq_atomic_u32 *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void hqq_store32_relaxed(hqq_atomic_u32 *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline uint32_t hqq_add32_relaxed(hqq_atomic_u32 *word, uint32_t by)
{
    return atomic_fetch_add_explicit(word, by, memory_order_relaxed);
}

static inline uint32_t hqq_load32_acquire(const hqq_atomic_u32 *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static inline uint32_t hqq_add32_release(hqq_atomic_u32 *word, uint32_t by)
{
    return atomic_fetch_add_explicit(word, by, memory_order_release);
}

static inline uint32_t hqq_sub32_release(hqq_atomic_u32 *word, uint32_t by)
{
    return atomic_fetch_sub_explicit(word, by, memory_order_release);
}

/* True if the word was as expected and is desired now. */
static inline bool hqq_cas32_acquire(hqq_atomic_u32 *word, uint32_t expected, uint32_t desired)
{
    return atomic_compare_exchange_strong_explicit(word, &expected, desired, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline uint32_t hqq_swap32_acq_rel(hqq_atomic_u32 *word, uint32_t value)
{
    return atomic_exchange_explicit(word, value, memory_order_acq_rel);
}

/* True if the word was as expected and is desired now. */
static inline bool hqq_cas32_release(hqq_atomic_u32 *word, uint32_t expected, uint32_t desired)
{
    return atomic_compare_exchange_strong_explicit(word, &expected, desired, memory_order_release,
                                                   memory_order_relaxed);
}

static inline void hqq_store32_release(hqq_atomic_u32 *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

static inline uint32_t hqq_or32_relaxed(hqq_atomic_u32 *word, uint32_t bits)
{
    return atomic_fetch_or_explicit(word, bits, memory_order_relaxed);
}

static inline uint32_t hqq_sub32_relaxed(hqq_atomic_u32 *word, uint32_t by)
{
    return atomic_fetch_sub_explicit(word, by, memory_order_relaxed);
}

/* Adds to a counter that this thread alone writes. Exact also when a signal handler of the same thread does it in
 * between, and untorn for readers in other threads; not for counters with two writing threads. */
static inline void hqq_count_own(hqq_atomic_u64 *counter, uint64_t by)
{
#if defined(__x86_64__) && !defined(HQQ_UNDER_TSAN)
    /* One instruction, so no signal handler comes between its load and its store; without the lock prefix, which
     * would wait for every earlier store to leave the store buffer. */
    void *plain = counter;
    __asm__ volatile("addq %1, %0" : "+m"(*(uint64_t *)plain) : "er"(by) : "cc");
#else
    hqq_add_relaxed(counter, by);
#endif
}

/* A full fence: every earlier store is visible to all before any later load is done. */
static inline void hqq_fence_full(void)
{
#if defined(HQQ_UNDER_TSAN)
    /* ThreadSanitizer does not know fences, and the compiler says so: this one it does not see. */
#if defined(__x86_64__)
    __asm__ volatile("mfence" ::: "memory");
#else
    __asm__ volatile("dmb ish" ::: "memory");
#endif
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* Keeps the compiler from moving an earlier store behind a later load. The processor may still do so, unless another
 * thread stops it by membarrier(2). */
static inline void hqq_fence_compiler(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

/* Every earlier load is done before any later one. */
static inline void hqq_fence_acquire(void)
{
#if !defined(HQQ_UNDER_TSAN) /* what is loaded is atomic, so ThreadSanitizer has nothing to miss */
    atomic_thread_fence(memory_order_acquire);
#endif
}

/* Tells the processor that this is a spin loop. */
static inline void hqq_cpu_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

/* Fetches the line at address for writing soon. A hint: never faults. */
static inline void hqq_prefetch_write(const void *address)
{
#if defined(__x86_64__)
    /* Not __builtin_prefetch: for plain x86-64 that fetches the line shared, to be fetched again for the store. */
    __asm__ volatile("prefetchw %0" ::"m"(*(const char *)address));
#else
    __builtin_prefetch(address, 1, 3);
#endif
}

static inline void hqq_prefetch_read(const void *address)
{
    __builtin_prefetch(address, 0, 3);
}

#endif
