/*
 * A process that kills itself at each of the labelled points of the library, at the first, second and fifth passing.
 * Every label in the library must be in one of the tables here, and be reached by what they say.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/point.h"
#include "crash/others.h"
#include "crash/traffic.h"

static const unsigned passings[] = {1, 2, 5};
#define PASSINGS (sizeof(passings) / sizeof(passings[0]))

#define CALL(call) (1u << (call))
#define WRITES                                                                                                         \
    (CALL(TRAFFIC_WRITE) | CALL(TRAFFIC_TRY_WRITE) | CALL(TRAFFIC_WRITE_BATCH) | CALL(TRAFFIC_COMMIT) |                \
     CALL(TRAFFIC_ABORT) | CALL(TRAFFIC_WRITE_WITH))
#define READS                                                                                                          \
    (CALL(TRAFFIC_READ) | CALL(TRAFFIC_TRY_READ) | CALL(TRAFFIC_READ_BATCH) | CALL(TRAFFIC_BORROW) |                   \
     CALL(TRAFFIC_READ_WITH) | CALL(TRAFFIC_PEEK))
#define WAITS (CALL(TRAFFIC_WRITE) | CALL(TRAFFIC_WRITE_BATCH) | CALL(TRAFFIC_READ) | CALL(TRAFFIC_READ_BATCH))
#define REOPEN CALL(TRAFFIC_REOPEN)

/* By which calls a victim passes the label. */
static const struct {
    const char *label;
    unsigned calls;
} traffic[] = {
    {"produce.claimed", WRITES},   {"produce.filled", WRITES},
    {"produce.published", WRITES}, {"consume.claimed", READS},
    {"consume.copied", READS},     {"consume.released", READS},
    {"bell.armed", WAITS},         {"bell.asleep", WAITS},
    {"bell.woken", WAITS},         {"bell.ringing", WAITS | CALL(TRAFFIC_TRY_WRITE) | CALL(TRAFFIC_BORROW)},
    {"end.claimed", REOPEN},       {"end.closing", REOPEN},
};

static const char *const init[] = {"superblock.claimed", "superblock.identified", "superblock.formatted",
                                   "superblock.ready", "link.named"};
static const char *const recover[] = {"recover.begun", "recover.swept", "recover.done"};
static const char *const stopped[] = {"produce.claimed", "produce.filled", "consume.claimed",
                                      "consume.copied",  "bell.armed",     "bell.asleep",
                                      "bell.woken",      "bell.ringing",   "end.closing"};

static const struct heavy_options *options;
static unsigned scenes;

static void must_have_reached(bool reached, const char *label, unsigned nth, const char *how)
{
    if (!reached)
        heavy_fail("%s, passing %u, was not reached by %s", label, nth, how);
    scenes++;
}

static void die_in_traffic(const char *label, unsigned calls)
{
    for (unsigned call = 0; call < TRAFFIC_CALLS; call++) {
        for (unsigned variant = 0; (calls & CALL(call)) != 0 && variant < 2 * PASSINGS; variant++) {
            /* Patience goes with role and passing, so that all of them meet over the calls. */
            const struct traffic scene = {
                .label = label,
                .nth = passings[variant / 2],
                .role = variant % 2 == 0 ? HQQ_ROLE_PRIMARY : HQQ_ROLE_SECONDARY,
                .call = (enum traffic_call)call,
                .patience = (enum traffic_patience)((variant + call) % TRAFFIC_PATIENCES),
                .seed = options->seed + scenes,
            };
            /* Nobody rings for one who never sleeps. */
            struct traffic seen = scene;
            if (strcmp(label, "bell.ringing") == 0 && scene.patience == TRAFFIC_NEVER)
                seen.patience = TRAFFIC_FOREVER;
            must_have_reached(traffic_run(&seen), label, seen.nth, traffic_call_name(seen.call));
        }
    }
}

static void run_traffic(void)
{
    for (size_t i = 0; i < sizeof(traffic) / sizeof(traffic[0]); i++)
        die_in_traffic(traffic[i].label, traffic[i].calls);
}

static void run_init(void)
{
    for (size_t i = 0; i < sizeof(init) / sizeof(init[0]); i++) {
        for (unsigned variant = 0; variant < INIT_VARIANTS * PASSINGS; variant++) {
            unsigned nth = passings[variant / INIT_VARIANTS];
            if (strcmp(init[i], "link.named") == 0 && variant % INIT_VARIANTS != INIT_NAMED)
                continue;
            must_have_reached(init_run(init[i], nth, variant % INIT_VARIANTS), init[i], nth, "making a region");
        }
    }
}

static void run_recover(void)
{
    for (size_t i = 0; i < sizeof(recover) / sizeof(recover[0]); i++) {
        for (unsigned variant = 0; variant < RECOVER_VARIANTS * PASSINGS; variant++) {
            unsigned nth = passings[variant / RECOVER_VARIANTS];
            must_have_reached(recover_run(recover[i], nth, variant % RECOVER_VARIANTS), recover[i], nth, "recovering");
        }
    }
}

static void run_stopped(void)
{
    for (size_t i = 0; i < sizeof(stopped) / sizeof(stopped[0]); i++) {
        bool reached = false;
        for (unsigned variant = 0; variant < STOPPED_VARIANTS; variant++)
            reached |= stopped_run(stopped[i], variant);
        must_have_reached(reached, stopped[i], 2, "being stopped");
    }
}

static bool is_in_a_table(const char *label)
{
    bool found = false;
    for (size_t i = 0; i < sizeof(traffic) / sizeof(traffic[0]); i++)
        found |= strcmp(label, traffic[i].label) == 0;
    for (size_t i = 0; i < sizeof(init) / sizeof(init[0]); i++)
        found |= strcmp(label, init[i]) == 0;
    for (size_t i = 0; i < sizeof(recover) / sizeof(recover[0]); i++)
        found |= strcmp(label, recover[i]) == 0;
    return found;
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"traffic", run_traffic},
    {"init", run_init},
    {"recover", run_recover},
    {"stopped", run_stopped},
};

int main(int argc, char **argv)
{
    options = heavy_start(argc, argv, 0);
    for (const char *const *label = hqq_point_labels; *label; label++) {
        if (strncmp(*label, "channel.", strlen("channel.")) == 0 ||
            strncmp(*label, "endpoint.", strlen("endpoint.")) == 0)
            continue; /* tests/hunt/survive.c, for each of them: hunt/kill_at_every_label */
        if (strncmp(*label, "advanced.", strlen("advanced.")) == 0)
            continue; /* test_advanced.c */
        if (!is_in_a_table(*label))
            heavy_fail("no scene for the label %s", *label);
    }
    bool found = false;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (options->mode && strcmp(options->mode, modes[i].name) != 0)
            continue;
        found = true;
        scenes = 0;
        heavy_name_mode(modes[i].name, options->seed);
        uint64_t began = hqq_clock_ns();
        modes[i].run();
        heavy_say("ok    %s: %u scenes in %llu ms", modes[i].name, scenes,
                  (unsigned long long)((hqq_clock_ns() - began) / HEAVY_MS));
    }
    if (!found)
        heavy_fail("no such mode");
    return 0;
}
