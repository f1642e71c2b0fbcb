/*
 * Tracing: one line on stderr for each decision worth telling, off unless asked for. Off, it costs a look at one word;
 * that word may lie in memory that another process writes, so that the level can be changed from outside. A line is
 * formatted on the stack and written by one system call; longer ones are cut, control characters become question marks.
 * Preserves errno; never allocates, locks, or is a cancellation point; raises no SIGPIPE. As async-signal-safe as
 * vsnprintf() is with the simple conversions: use %s %d %u %x and the like, no floating point.
 */
#ifndef HQQ_PLATFORM_TRACE_H
#define HQQ_PLATFORM_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/atomic.h"

enum hqq_log_level {
    HQQ_LOG_OFF = 0,
    HQQ_LOG_ERROR = 1, /* something of ours failed; the kernel path goes on */
    HQQ_LOG_WARN = 2,  /* worth a look: refused links, limits reached */
    HQQ_LOG_INFO = 3,  /* links come and go */
    HQQ_LOG_DEBUG = 4, /* every decision */
};

#define HQQ_LOG_LEVELS 5

/* hqq_log(HQQ_LOG_INFO, "link to %s opened", path): no newline. Writes "hqq[PID]: " and the line. */
#define hqq_log(level, ...) (hqq_log_is_on(level) ? hqq_log_line(__VA_ARGS__) : (void)0)

/* The address of the word that has the level; 0, and nothing is traced, until one was set. */
extern hqq_atomic_u64 hqq_log_level_at;

/* Pairs with the store in hqq_log_use_word(): who sees the address sees the level that was put there. What the word
 * holds may come from another process: any number above the highest level means that. */
static inline bool hqq_log_is_on(enum hqq_log_level level)
{
    const hqq_atomic_u32 *word = (const hqq_atomic_u32 *)(uintptr_t)hqq_load_acquire(&hqq_log_level_at);
    return word && hqq_load32_relaxed(word) >= (uint32_t)level;
}

/* What hqq_log() does where it is on. */
void hqq_log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line whatever the level: "hqq: " and the line. For settings that can't be used; nothing else is worth it. */
void hqq_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum hqq_log_level hqq_log_level(void);
void hqq_log_set_level(enum hqq_log_level level);

/* From now on this word has the level. It gets the present one, and must stay mapped for good. */
void hqq_log_use_word(hqq_atomic_u32 *word);

/* "error", ...; NULL beyond the highest. */
const char *hqq_log_level_name(uint32_t level);
/* False, and nothing is written, if there is no level of that name. */
bool hqq_log_level_parse(const char *name, enum hqq_log_level *ret_level);

/* How a line is written to descriptor 2: as write(2), -errno on failure, no cancellation point. The default is the
 * system call; tests replace it, and so may who hooks syscall(2). */
extern ssize_t (*hqq_log_write)(const void *line, size_t size);

#endif
