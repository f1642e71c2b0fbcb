/*
 * What the testing preload does at the library's labelled points: HQQ_TEST_PAUSES=N pauses at one in N of them, for a
 * random time up to 300 us or for a turn of the scheduler; HQQ_TEST_KILL=LABEL:N kills the process as it passes that
 * label for the Nth time; HQQ_TEST_HOLD=LABEL:N holds it up for a millisecond each Nth time, which is longer than any
 * spin of its peer.
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

/* A label, how often it was passed, and the passing that counts; 0: none does. */
struct mark {
    char label[64];
    hqq_atomic_u32 passings;
    uint32_t nth;
};

static struct mark killed, held;
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

/* Which passing of the mark this is; 0: of another label. */
static uint32_t passing_of(struct mark *mark, const char *label)
{
    return mark->nth != 0 && strcmp(label, mark->label) == 0 ? hqq_add32_relaxed(&mark->passings, 1) + 1 : 0;
}

static void pause_for(uint64_t span_ns)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    hqq_sys.sleep_until((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + span_ns);
}

static void at_point(const char *label)
{
    uint32_t passing = passing_of(&killed, label);
    if (passing != 0 && passing == killed.nth)
        raise(SIGKILL);
    passing = passing_of(&held, label);
    if (passing != 0 && passing % held.nth == 0)
        pause_for(1000000);
    if (one_in == 0 || next_random() % one_in != 0)
        return;
    uint32_t length = next_random() % 8;
    if (length == 0)
        hqq_sys.sched_yield();
    else
        pause_for(next_random() % 300000u);
}

static void set_mark(struct mark *mark, const char *setting)
{
    const char *colon = setting ? strchr(setting, ':') : NULL;
    if (!colon || (size_t)(colon - setting) >= sizeof(mark->label))
        return;
    memcpy(mark->label, setting, (size_t)(colon - setting));
    mark->nth = (uint32_t)strtoul(colon + 1, NULL, 10);
}

__attribute__((constructor)) static void start(void)
{
    const char *pauses = getenv("HQQ_TEST_PAUSES");
    if (pauses)
        one_in = (uint32_t)strtoul(pauses, NULL, 10);
    set_mark(&killed, getenv("HQQ_TEST_KILL"));
    set_mark(&held, getenv("HQQ_TEST_HOLD"));
    if (one_in != 0 || killed.nth != 0 || held.nth != 0)
        hqq_point_hook = at_point;
}
