/* The hunt for lost wakeups, see wakeup.h: runs the hunt that is named, or all. */
#include "stress/wakeup.h"

#include <string.h>

struct hunt {
    const char *name;
    uint64_t (*traffic)(struct heavy_random *random, uint64_t end_ns, bool processes); /* or */
    uint64_t (*changes)(struct heavy_random *random, uint64_t end_ns);
    bool processes;
    unsigned delay_one_in; /* 0: no pauses at labelled points */
};

static const struct hunt hunts[] = {
    {"data", hunt_data, NULL, false, 4},
    {"space", hunt_space, NULL, false, 4},
    {"data-processes", hunt_data, NULL, true, 4},
    {"space-processes", hunt_space, NULL, true, 4},
    {"data-undelayed", hunt_data, NULL, false, 0},
    {"space-undelayed", hunt_space, NULL, true, 0},
    {"data-closely", hunt_data_closely, NULL, true, 0},
    {"space-closely", hunt_space_closely, NULL, true, 0},
    {"readers", NULL, hunt_impatient_readers, false, 4},
    {"writers", NULL, hunt_impatient_writers, false, 4},
    {"readers-undelayed", NULL, hunt_impatient_readers, false, 0},
    {"writers-undelayed", NULL, hunt_impatient_writers, false, 0},
    {"deadline", NULL, hunt_deadline, false, 4},
    {"shutdown", NULL, hunt_shutdown, false, 4},
};

static void run_hunt(const struct hunt *hunt, const struct heavy_options *options)
{
    struct heavy_random random = heavy_random(options->seed, 0);
    uint64_t end_ns = hqq_clock_ns() + options->seconds * HEAVY_S;
    heavy_name_mode(hunt->name, options->seed);
    if (hunt->delay_one_in != 0)
        heavy_points_delay(options->seed, hunt->delay_one_in);
    uint64_t asked = hunt->traffic ? hunt->traffic(&random, end_ns, hunt->processes) : hunt->changes(&random, end_ns);
    heavy_points_clear();
    heavy_say("ok    %s: %llu wakeups asked for, none lost", hunt->name, (unsigned long long)asked);
}

int main(int argc, char **argv)
{
    const struct heavy_options *options = heavy_start(argc, argv, 1);
    bool found = false;
    for (size_t i = 0; i < sizeof(hunts) / sizeof(hunts[0]); i++) {
        if (options->mode && strcmp(options->mode, hunts[i].name) != 0)
            continue;
        found = true;
        run_hunt(&hunts[i], options);
    }
    if (!found)
        heavy_fail("no such mode");
    return 0;
}
