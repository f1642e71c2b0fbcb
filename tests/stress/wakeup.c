#include "stress/wakeup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct hqq_link *dumped[2];
static unsigned dumped_count;

static void dump(void *arg)
{
    const struct wakeup *wakeup = arg;
    fprintf(stderr, "  %llu noticed\n", (unsigned long long)wakeup->steps);
    for (unsigned i = 0; i < dumped_count; i++)
        heavy_dump_link(hqq_link_role(dumped[i]) == HQQ_ROLE_PRIMARY ? "primary" : "secondary", dumped[i]);
}

struct wakeup *wakeup_new(uint64_t count, uint64_t size)
{
    uint64_t bytes;
    heavy_expect("layout_size", hqq_layout_size(count, size, &bytes), 0);
    struct wakeup *wakeup = heavy_shared(sizeof(*wakeup));
    *wakeup = (struct wakeup){.count = count, .size = size, .bytes = bytes, .base = heavy_shared(bytes)};
    int result = sem_init(&wakeup->noticed, 1, 0);
    for (unsigned i = 0; i < WAKEUP_SLEEPERS_MAX; i++)
        result |= sem_init(&wakeup->go[i], 1, 0);
    if (result != 0)
        heavy_fail("sem_init");
    dumped_count = 0;
    heavy_on_failure(dump, wakeup);
    return wakeup;
}

void wakeup_delete(struct wakeup *wakeup)
{
    heavy_on_failure(NULL, NULL);
    dumped_count = 0;
    sem_destroy(&wakeup->noticed);
    for (unsigned i = 0; i < WAKEUP_SLEEPERS_MAX; i++)
        sem_destroy(&wakeup->go[i]);
    heavy_shared_free(wakeup->base, wakeup->bytes);
    heavy_shared_free(wakeup, sizeof(*wakeup));
}

struct hqq_link *wakeup_attach(const struct wakeup *wakeup, enum hqq_role role)
{
    const struct hqq_link_config config = {
        .buffer_count = wakeup->count,
        .buffer_size = wakeup->size,
        .spin_ns = HQQ_SPIN_NEVER,
        .peer_check_ns = 3600 * HEAVY_S,
        .attach_timeout_ns = 20 * HEAVY_S,
        .role = role,
    };
    struct hqq_link *link;
    heavy_expect("attach", hqq_link_attach(wakeup->base, wakeup->bytes, &config, &link), 0);
    if (dumped_count < 2)
        dumped[dumped_count++] = link;
    return link;
}

void wakeup_notice(struct wakeup *wakeup)
{
    atomic_fetch_add(&wakeup->steps, 1);
    sem_post(&wakeup->noticed);
}

void wakeup_await(struct wakeup *wakeup, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        while (sem_wait(&wakeup->noticed) != 0) {
        }
    }
}

void sleepers_start(struct sleeper *sleepers, unsigned first, unsigned count, void *(*run)(void *), bool reads,
                    struct wakeup *wakeup, struct hqq_link *link)
{
    for (unsigned i = first; i < first + count; i++) {
        sleepers[i] = (struct sleeper){.wakeup = wakeup, .link = link, .index = i, .reads = reads};
        if (pthread_create(&sleepers[i].thread, NULL, run, &sleepers[i]) != 0)
            heavy_fail("no thread");
    }
}

void sleepers_join(struct sleeper *sleepers, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        pthread_join(sleepers[i].thread, NULL);
}

void wakeup_pause(struct heavy_random *random, uint64_t longest_ns)
{
    if (heavy_one_in(random, 3))
        return;
    uint64_t until = hqq_clock_ns() + heavy_below(random, longest_ns);
    while (hqq_clock_ns() < until) {
    }
}
