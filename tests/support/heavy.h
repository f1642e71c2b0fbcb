/*
 * What the heavy tests (stress, crash, hostile, multiprocess) share: arguments, numbers that a seed reproduces,
 * datagrams that prove themselves whole, children, hooks for labelled points, a watchdog, and a dump of a link's
 * state. A failure prints what it knows and ends the process with status 1. Relies on the testing build; asserts
 * nothing by itself.
 */
#ifndef TESTS_SUPPORT_HEAVY_H
#define TESTS_SUPPORT_HEAVY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <hqq/link.h>

#include "base/atomic.h" /* HQQ_UNDER_TSAN */

#define HEAVY_MS UINT64_C(1000000)
#define HEAVY_S UINT64_C(1000000000)

/* How much slower than plain code this build may be. */
#if defined(__SANITIZE_ADDRESS__) || defined(HQQ_UNDER_TSAN)
#define HEAVY_SLOWNESS 5
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HEAVY_SLOWNESS 5
#endif
#endif
#ifndef HEAVY_SLOWNESS
#define HEAVY_SLOWNESS 1
#endif

/* ---- Numbers ------------------------------------------------------------------------------------------------------
 * */

/* Spreads every bit of a number over all of the result. */
static inline uint64_t heavy_mix(uint64_t number)
{
    number += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

struct heavy_random {
    uint64_t state;
};

/* Streams of one seed are unlike each other. */
static inline struct heavy_random heavy_random(uint64_t seed, uint64_t stream)
{
    return (struct heavy_random){heavy_mix(seed) ^ heavy_mix(~stream)};
}

static inline uint64_t heavy_next(struct heavy_random *random)
{
    return heavy_mix(random->state += UINT64_C(0x632be59bd9b4e019));
}

/* 0 to bound - 1. */
static inline uint64_t heavy_below(struct heavy_random *random, uint64_t bound)
{
    return heavy_next(random) % bound;
}

static inline bool heavy_one_in(struct heavy_random *random, uint64_t bound)
{
    return heavy_below(random, bound) == 0;
}

/* ---- Arguments and results ----------------------------------------------------------------------------------------
 * */

struct heavy_options {
    const char *program;
    const char *mode; /* the argument that is no option; NULL if there is none */
    uint64_t seed;
    uint64_t seconds;
};

/* PROGRAM [MODE] [--seed=N] [--seconds=N]; without a seed one is made up. Prints what it came to. Exits 1 on anything
 * else. What it returns is the one set of options of the process and of its children. */
const struct heavy_options *heavy_start(int argc, char **argv, uint64_t seconds);

/* From here on failures name this mode and this seed: the arguments that begin with what comes now. The text is not
 * copied. */
void heavy_name_mode(const char *mode, uint64_t seed);

/* What to print beside a failure or a stall; NULL for nothing. Called in any thread, once. */
void heavy_on_failure(void (*dump)(void *arg), void *arg);

/* Says what is wrong, with mode and seed, dumps, and ends the process with status 1. From any thread or child. */
_Noreturn void heavy_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* heavy_fail() unless the result of a link function is that. */
void heavy_expect(const char *what, int result, int expected);

/* One line on standard output, flushed. */
void heavy_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- Datagrams that prove themselves
 * ------------------------------------------------------------------------------- */

enum heavy_element {
    HEAVY_TORN,   /* not what any producer wrote */
    HEAVY_FILLER, /* too short to say who wrote it */
    HEAVY_WHOLE,
};

#define HEAVY_ELEMENT_MIN 8

/* Fills length bytes that say who wrote them (below 256), its how manieth they are, how many bytes they are, and
 * whose every byte follows from that. Fewer than HEAVY_ELEMENT_MIN bytes say their number only. */
void heavy_element_fill(void *data, size_t length, unsigned producer, uint32_t number);

/* Checks all that. Each byte is read once. */
enum heavy_element heavy_element_check(const void *data, size_t length, unsigned *ret_producer, uint32_t *ret_number);

/* ---- Processes ----------------------------------------------------------------------------------------------------
 * */

/* fork() that never returns -1, and whose child is killed with its parent. Only while the process has one thread. */
pid_t heavy_fork(void);

/* Waits for a child: its exit status, or 128 plus the signal that killed it. */
int heavy_reap(pid_t child);

/* heavy_fail() unless the child exits with status 0. */
void heavy_reap_well(const char *what, pid_t child);

/* Zero memory that is shared with children forked later, between two pages that nobody may touch. length: any. */
void *heavy_shared(size_t length);
void heavy_shared_free(void *base, size_t length);

/* Descriptors that are open, mappings that are shared: what a link could leak. */
struct heavy_holdings {
    size_t descriptors, shared_mappings;
};
struct heavy_holdings heavy_holdings(void);

/* ---- Labelled points ----------------------------------------------------------------------------------------------
 * */

/* From now on every point yields or sleeps a few microseconds now and then. one_in: how seldom. Set before threads
 * start. */
void heavy_points_delay(uint64_t seed, unsigned one_in);

/* The process kills itself the nth time that it passes the point, after calling last_words, which may be NULL. */
void heavy_points_kill(const char *label, unsigned nth, void (*last_words)(void *arg), void *arg);

/* Points do nothing again. */
void heavy_points_clear(void);

/* ---- Watchdog -----------------------------------------------------------------------------------------------------
 * */

/* Fails the process if *progress stays the same for stall_ns (times HEAVY_SLOWNESS) until heavy_watch_end(). It is a
 * thread: fork before it begins or after it ended. */
void heavy_watch_begin(const _Atomic uint64_t *progress, uint64_t stall_ns);
void heavy_watch_end(void);

/* A number that the watchdog may watch where there is no better one. */
extern _Atomic uint64_t heavy_steps;

/* ---- State --------------------------------------------------------------------------------------------------------
 * */

/* Prints statistics, positions, the first slots, owners and bells of a link, read at that moment, to standard error. */
void heavy_dump_link(const char *name, const struct hqq_link *link);

#endif
