/* Stress of a link, see link.h: runs the mode that is named, or all of the table; as many rounds of each as fit the
 * time. */
#include "stress/link.h"

#include <string.h>

#define CAMPAIGN "campaign"
#define ALL_WRITES STRESS_WRITES_ALL
#define ALL_READS STRESS_READS_ALL
#define SINGLE_READS (STRESS_READ | STRESS_READ_SHORT | STRESS_READ_FROM)

/* name, producers, consumers, writes, reads, trouble, slots, buffer size, datagrams of each producer in a round */
static const struct stress_mode modes[] = {
    {"single-1x1", 1, 1, STRESS_WRITE | STRESS_WRITE_TO, SINGLE_READS, 0, 64, 256, 50000},
    {"single-2x2", 2, 2, STRESS_WRITE, STRESS_READ, STRESS_SLEEP, 16, 64, 10000},
    {"batch-2x2", 2, 2, STRESS_WRITE_BATCH, STRESS_READ_BATCH, STRESS_DUPLEX, 32, 128, 20000},
    {"slots-1x1", 1, 1, STRESS_WRITE_SLOTS, STRESS_READ_SLOTS, 0, 4, 512, 20000},
    {"slots-2x2", 2, 2, STRESS_WRITE_SLOTS, STRESS_READ_SLOTS, STRESS_WRAP | STRESS_TIMEOUTS, 64, 512, 10000},
    {"with-2x2", 2, 2, STRESS_WRITE_WITH, STRESS_READ_WITH, STRESS_DUPLEX, 16, 72, 10000},
    {"try-2x2", 2, 2, STRESS_WRITE_TRY, STRESS_READ_TRY | STRESS_READ_PEEK, 0, 8, 64, 10000},
    {"peek-2x1", 2, 1, ALL_WRITES, STRESS_READ_PEEK | STRESS_READ, STRESS_SLEEP, 8, 64, 10000},
    {"mixed-4x3", 4, 3, ALL_WRITES, ALL_READS, STRESS_DELAYS | STRESS_DUPLEX | STRESS_WRAP, 64, 1024, 2000},
    {"tiny-2-4x3", 4, 3, ALL_WRITES, ALL_READS, STRESS_SLEEP | STRESS_DELAYS | STRESS_WRAP, 2, 8, 1000},
    {"tiny-4-4x3", 4, 3, ALL_WRITES, ALL_READS, STRESS_DELAYS, 4, 24, 2000},
    {"timeouts-3x3", 3, 3, ALL_WRITES, ALL_READS, STRESS_TIMEOUTS | STRESS_SLEEP | STRESS_DUPLEX, 4, 64, 2000},
    {"large-2x2", 2, 2, ALL_WRITES, ALL_READS, STRESS_DUPLEX, 128, 65536, 1000},
    {"processes-1x1", 1, 1, ALL_WRITES, ALL_READS, STRESS_PROCESSES, 64, 256, 20000},
    {"processes-2x2-sleep", 2, 2, ALL_WRITES, ALL_READS, STRESS_PROCESSES | STRESS_SLEEP | STRESS_DUPLEX, 8, 256, 5000},
    {"processes-4x3", 4, 3, ALL_WRITES, ALL_READS,
     STRESS_PROCESSES | STRESS_SLEEP | STRESS_DELAYS | STRESS_TIMEOUTS | STRESS_WRAP, 4, 64, 2000},
};

static uint64_t up_to(struct heavy_random *random, uint64_t most)
{
    return 1 + heavy_below(random, most);
}

/* The mode "campaign": another one each round. */
static struct stress_mode draw(uint64_t seed)
{
    struct heavy_random random = heavy_random(seed, 0);
    struct stress_mode mode = {
        .name = CAMPAIGN,
        .producers = (unsigned)up_to(&random, 5),
        .consumers = (unsigned)up_to(&random, 5),
        .writes = (unsigned)up_to(&random, ALL_WRITES),
        .reads = (unsigned)up_to(&random, ALL_READS),
        .trouble = (unsigned)heavy_below(&random, STRESS_TROUBLE_ALL + 1),
        .count = UINT64_C(1) << up_to(&random, 8),
        .size = 8 * up_to(&random, heavy_one_in(&random, 4) ? 1024 : 32),
        .per_round = (uint32_t)up_to(&random, 3000),
    };
    if (heavy_one_in(&random, 2))
        mode.writes = ALL_WRITES;
    if (heavy_one_in(&random, 2))
        mode.reads = ALL_READS;
    return mode;
}

static void run_mode(const struct stress_mode *fixed, const struct heavy_options *options)
{
    struct stress_result total = {0};
    uint64_t end = hqq_clock_ns() + options->seconds * HEAVY_S;
    uint64_t rounds = 0;
    struct heavy_holdings before = heavy_holdings();
    do {
        struct stress_mode mode = fixed ? *fixed : draw(options->seed + rounds);
        heavy_name_mode(mode.name, options->seed + rounds);
        struct stress_result result = stress_run(&mode, options->seed + rounds);
        total.datagrams += result.datagrams;
        total.sleeps += result.sleeps;
        total.tombstones += result.tombstones;
        total.timeouts += result.timeouts;
        rounds++;
    } while (hqq_clock_ns() < end);
    struct heavy_holdings after = heavy_holdings();
    if (before.descriptors != after.descriptors || before.shared_mappings != after.shared_mappings)
        heavy_fail("%zu descriptors and %zu mappings became %zu and %zu", before.descriptors, before.shared_mappings,
                   after.descriptors, after.shared_mappings);
    heavy_say("ok    %s: %llu rounds, %llu datagrams, %llu tombstones, %llu sleeps, %llu time-outs",
              fixed ? fixed->name : CAMPAIGN, (unsigned long long)rounds, (unsigned long long)total.datagrams,
              (unsigned long long)total.tombstones, (unsigned long long)total.sleeps,
              (unsigned long long)total.timeouts);
}

int main(int argc, char **argv)
{
    const struct heavy_options *options = heavy_start(argc, argv, 1);
    const char *wanted = options->mode;
    bool found = false;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (wanted && strcmp(wanted, modes[i].name) != 0)
            continue;
        found = true;
        run_mode(&modes[i], options);
    }
    if (wanted && strcmp(wanted, CAMPAIGN) == 0)
        run_mode(NULL, options);
    else if (!found)
        heavy_fail("no such mode");
    return 0;
}
