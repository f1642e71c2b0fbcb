/*
 * What the testing preload does at the library's labelled points: HQQ_TEST_PAUSES=N pauses at one in N of them, for a
 * random time up to 300 us or for a turn of the scheduler; HQQ_TEST_KILL=LABEL:N kills the process as it passes that
 * label for the Nth time.
 */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/point.h"
#include "platform/sys.h"

static uint32_t one_in;
static char kill_label[64];
static hqq_atomic_u32 passings;
static uint32_t kill_at;
static __thread uint32_t random_state __attribute__((tls_model("initial-exec")));

static uint32_t next_random(void)
{
    if (random_state == 0) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        random_state = (uint32_t)now.tv_nsec * 2654435761u | 1u;
    }
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

static void at_point(const char *label)
{
    if (kill_at != 0 && strcmp(label, kill_label) == 0 && hqq_add32_relaxed(&passings, 1) + 1 == kill_at)
        raise(SIGKILL);
    if (one_in == 0 || next_random() % one_in != 0)
        return;
    uint32_t length = next_random() % 8;
    if (length == 0) {
        hqq_sys.sched_yield();
    } else {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        uint64_t until = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + next_random() % 300000u;
        hqq_sys.sleep_until(until);
    }
}

__attribute__((constructor)) static void start(void)
{
    const char *pauses = getenv("HQQ_TEST_PAUSES");
    const char *killed = getenv("HQQ_TEST_KILL");
    if (pauses)
        one_in = (uint32_t)strtoul(pauses, NULL, 10);
    const char *colon = killed ? strchr(killed, ':') : NULL;
    if (colon && (size_t)(colon - killed) < sizeof(kill_label)) {
        memcpy(kill_label, killed, (size_t)(colon - killed));
        kill_at = (uint32_t)strtoul(colon + 1, NULL, 10);
    }
    if (one_in != 0 || kill_at != 0)
        hqq_point_hook = at_point;
}
