#include "support/heavy.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct heavy_options options; /* as given */
static struct heavy_options named;   /* as what runs now would be repeated */
static void (*failure_dump)(void *arg);
static void *failure_arg;
static atomic_flag failed = ATOMIC_FLAG_INIT;

/* ---- Arguments and results ----------------------------------------------------------------------------------------
 * */

static bool take_number(const char *argument, const char *option, uint64_t *ret_number)
{
    size_t length = strlen(option);
    if (strncmp(argument, option, length) != 0)
        return false;
    char *end;
    errno = 0;
    uint64_t number = strtoull(argument + length, &end, 0);
    if (argument[length] == '\0' || *end != '\0' || errno != 0)
        return false;
    *ret_number = number;
    return true;
}

const struct heavy_options *heavy_start(int argc, char **argv, uint64_t seconds)
{
    const char *slash = strrchr(argv[0], '/');
    options = (struct heavy_options){
        .program = slash ? slash + 1 : argv[0],
        .seed = heavy_mix(hqq_clock_ns() ^ (uint64_t)getpid() << 32) % 1000000000,
        .seconds = seconds,
    };
    for (int i = 1; i < argc; i++) {
        if (take_number(argv[i], "--seed=", &options.seed) || take_number(argv[i], "--seconds=", &options.seconds))
            continue;
        if (argv[i][0] == '-' || options.mode) {
            fprintf(stderr, "usage: %s [MODE] [--seed=N] [--seconds=N]\n", options.program);
            exit(1);
        }
        options.mode = argv[i];
    }
    named = options;
    heavy_say("start %s mode=%s seed=%llu seconds=%llu", options.program, options.mode ? options.mode : "all",
              (unsigned long long)options.seed, (unsigned long long)options.seconds);
    return &options;
}

void heavy_name_mode(const char *mode, uint64_t seed)
{
    named.mode = mode;
    named.seed = seed;
}

void heavy_on_failure(void (*dump)(void *arg), void *arg)
{
    failure_dump = dump;
    failure_arg = arg;
}

void heavy_fail(const char *format, ...)
{
    /* The first failure is the one to see; what fails because of it waits to be ended with it. */
    while (atomic_flag_test_and_set(&failed))
        pause();
    va_list arguments;
    fprintf(stderr, "FAIL  %s %s --seed=%llu (pid %d): ", options.program ? options.program : "?",
            named.mode ? named.mode : "", (unsigned long long)named.seed, (int)getpid());
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    if (failure_dump)
        failure_dump(failure_arg);
    fflush(NULL);
    _exit(1);
}

void heavy_expect(const char *what, int result, int expected)
{
    if (result != expected)
        heavy_fail("%s: %d (%s), not %d (%s)", what, result, hqq_strerror(result), expected, hqq_strerror(expected));
}

void heavy_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

/* ---- Datagrams that prove themselves
 * ------------------------------------------------------------------------------- */

/* Header: producer in the top byte, number in the next four, a check of the three facts in the last three. */
static uint64_t header_of(unsigned producer, uint32_t number, size_t length)
{
    uint64_t key = (uint64_t)producer << 56 | (uint64_t)number << 24;
    return key | heavy_mix(key ^ length) >> 40;
}

static uint64_t word_at(uint64_t header, size_t at)
{
    return heavy_mix(header + at);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

void heavy_element_fill(void *data, size_t length, unsigned producer, uint32_t number)
{
    unsigned char *bytes = data;
    if (length < HEAVY_ELEMENT_MIN) {
        memset(bytes, (int)(0xa0 + length), length);
        return;
    }
    uint64_t header = header_of(producer, number, length);
    memcpy(bytes, &header, sizeof(header));
    for (size_t at = sizeof(header); at < length; at += sizeof(uint64_t)) {
        uint64_t word = word_at(header, at);
        memcpy(bytes + at, &word, smaller(sizeof(word), length - at));
    }
}

enum heavy_element heavy_element_check(const void *data, size_t length, unsigned *ret_producer, uint32_t *ret_number)
{
    const unsigned char *bytes = data;
    if (length < HEAVY_ELEMENT_MIN) {
        for (size_t i = 0; i < length; i++) {
            if (bytes[i] != 0xa0 + length)
                return HEAVY_TORN;
        }
        return HEAVY_FILLER;
    }
    uint64_t header;
    memcpy(&header, bytes, sizeof(header));
    unsigned producer = (unsigned)(header >> 56);
    uint32_t number = (uint32_t)(header >> 24);
    if (header != header_of(producer, number, length))
        return HEAVY_TORN;
    for (size_t at = sizeof(header); at < length; at += sizeof(uint64_t)) {
        uint64_t word = word_at(header, at);
        if (memcmp(bytes + at, &word, smaller(sizeof(word), length - at)) != 0)
            return HEAVY_TORN;
    }
    *ret_producer = producer;
    *ret_number = number;
    return HEAVY_WHOLE;
}

/* ---- Watchdog -----------------------------------------------------------------------------------------------------
 * */

_Atomic uint64_t heavy_steps;

static struct {
    const _Atomic uint64_t *progress;
    uint64_t stall_ns;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_on;
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / HEAVY_S), .tv_nsec = (long)(ns % HEAVY_S)};
}

static void *watch_run(void *arg)
{
    (void)arg;
    uint64_t last = atomic_load(watch.progress);
    uint64_t since = hqq_clock_ns();
    pthread_mutex_lock(&watch.lock);
    while (watch.is_on) {
        uint64_t now = hqq_clock_ns();
        uint64_t current = atomic_load(watch.progress);
        if (current != last) {
            last = current;
            since = now;
        } else if (now - since >= watch.stall_ns) {
            heavy_fail("no progress for %llu ms at step %llu", (unsigned long long)(watch.stall_ns / HEAVY_MS),
                       (unsigned long long)current);
        }
        struct timespec next = timespec_of(now + 50 * HEAVY_MS);
        pthread_cond_timedwait(&watch.ended, &watch.lock, &next);
    }
    pthread_mutex_unlock(&watch.lock);
    return NULL;
}

void heavy_watch_begin(const _Atomic uint64_t *progress, uint64_t stall_ns)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watch.ended, &attributes);
    pthread_condattr_destroy(&attributes);
    watch.progress = progress;
    watch.stall_ns = stall_ns * HEAVY_SLOWNESS;
    watch.is_on = true;
    if (pthread_create(&watch.thread, NULL, watch_run, NULL) != 0)
        heavy_fail("no thread for the watchdog");
}

void heavy_watch_end(void)
{
    pthread_mutex_lock(&watch.lock);
    watch.is_on = false;
    pthread_cond_signal(&watch.ended);
    pthread_mutex_unlock(&watch.lock);
    pthread_join(watch.thread, NULL);
    pthread_cond_destroy(&watch.ended);
}
