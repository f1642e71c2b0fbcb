/* The command line: which options there are, their defaults, and how they depend on each other. */
#include "tools/perf/options.h"

#include <hqq/version.h>

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tools/perf/clock.h"
#include "tools/perf/cpu.h"
#include "tools/perf/options_parse.h"
#include "tools/perf/transport.h"

enum {
    OPT_EXTRA = 256,
    OPT_BRACKET,
    OPT_TOLERANCE,
    OPT_KEEP,
    OPT_BASELINE,
    OPT_SLOTS,
    OPT_BATCH,
    OPT_SPIN,
    OPT_TIMEOUT,
    OPT_QUICK,
    OPT_JSON,
    OPT_CSV,
};

static const struct option long_options[] = {
    {"transports", required_argument, NULL, 't'},
    {"kinds", required_argument, NULL, 'k'},
    {"modes", required_argument, NULL, 'm'},
    {"sizes", required_argument, NULL, 's'},
    {"cpus", required_argument, NULL, 'c'},
    {"rounds", required_argument, NULL, 'r'},
    {"extra", required_argument, NULL, OPT_EXTRA},
    {"duration-ms", required_argument, NULL, 'd'},
    {"bracket-ms", required_argument, NULL, OPT_BRACKET},
    {"tolerance", required_argument, NULL, OPT_TOLERANCE},
    {"keep", required_argument, NULL, OPT_KEEP},
    {"baseline", required_argument, NULL, OPT_BASELINE},
    {"slots", required_argument, NULL, OPT_SLOTS},
    {"batch", required_argument, NULL, OPT_BATCH},
    {"spin-us", required_argument, NULL, OPT_SPIN},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"quick", no_argument, NULL, OPT_QUICK},
    {"json", required_argument, NULL, OPT_JSON},
    {"csv", required_argument, NULL, OPT_CSV},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static const char short_options[] = "t:k:m:s:c:r:d:vhV";

/* Not given; 0 is a number of extra rounds. */
#define NO_EXTRA UINT_MAX

static const struct perf_options full_defaults = {
    .sizes = {64, 256, 1024, 4096, 16384, 65536},
    .size_count = 6,
    .rounds = 7,
    .extra = 4,
    .duration_ns = 60 * PERF_NS_PER_MS,
    .bracket_ns = 3 * PERF_NS_PER_MS,
};

static const struct perf_options quick_defaults = {
    .sizes = {64, 65536},
    .size_count = 2,
    .rounds = 2,
    .extra = 0,
    .duration_ns = 10 * PERF_NS_PER_MS,
    .bracket_ns = 1 * PERF_NS_PER_MS,
};

static void set_defaults(struct perf_options *options)
{
    *options = (struct perf_options){
        .transports = PERF_BIT(PERF_TRANSPORTS) - 1,
        .kinds = PERF_BIT(PERF_KINDS) - 1,
        .modes = PERF_BIT(PERF_MODES) - 1,
        .baseline = &perf_unix,
        .extra = NO_EXTRA,
        .batch = 32,
        .spin_ns = PERF_NS_PER_S,
        .timeout_ns = 10 * PERF_NS_PER_S,
        .tolerance = 1.25,
    };
    perf_cpu_choose(options->cpus);
}

/* What depends on --quick, wherever that stood, and was not given itself. */
static void set_remaining(struct perf_options *options)
{
    const struct perf_options *rest = options->quick ? &quick_defaults : &full_defaults;

    if (options->size_count == 0) {
        memcpy(options->sizes, rest->sizes, sizeof(options->sizes));
        options->size_count = rest->size_count;
    }
    if (options->rounds == 0)
        options->rounds = rest->rounds;
    if (options->extra == NO_EXTRA)
        options->extra = rest->extra;
    if (options->duration_ns == 0)
        options->duration_ns = rest->duration_ns;
    if (options->bracket_ns == 0)
        options->bracket_ns = rest->bracket_ns;
}

static bool parse_cpus(const char *name, const char *value, int ret_cpus[2])
{
    uint64_t numbers[2];
    size_t count;

    if (!perf_parse_numbers(name, value, 0, 4095, 2, numbers, &count))
        return false;
    if (count != 2)
        return perf_option_complain(name, value, "is not two processors, as in 0,1");
    for (int i = 0; i < 2; i++) {
        ret_cpus[i] = (int)numbers[i];
        if (!perf_cpu_is_allowed(ret_cpus[i]))
            return perf_option_complain(name, value, "names processor %d, which this process may not run on",
                                        ret_cpus[i]);
    }
    return true;
}

static bool parse_sizes(const char *name, const char *value, struct perf_options *options)
{
    uint64_t numbers[PERF_MAX_SIZES];

    if (!perf_parse_numbers(name, value, PERF_MIN_SIZE, PERF_MAX_SIZE, PERF_MAX_SIZES, numbers, &options->size_count))
        return false;
    for (size_t i = 0; i < options->size_count; i++) {
        options->sizes[i] = (size_t)numbers[i];
        if (numbers[i] % 8 != 0)
            return perf_option_complain(name, value, "has a size that is not a multiple of 8");
        if (i > 0 && numbers[i] <= numbers[i - 1])
            return perf_option_complain(name, value, "is not in ascending order");
    }
    return true;
}

static bool parse_slots(const char *name, const char *value, uint64_t *ret_slots)
{
    if (!perf_parse_number(name, value, 2, 65536, ret_slots))
        return false;
    if ((*ret_slots & (*ret_slots - 1)) != 0)
        return perf_option_complain(name, value, "is not a power of two");
    return true;
}

static bool parse_scaled(const char *name, const char *value, uint64_t min, uint64_t max, uint64_t unit,
                         uint64_t *ret_scaled)
{
    uint64_t number;

    if (!perf_parse_number(name, value, min, max, &number))
        return false;
    *ret_scaled = number * unit;
    return true;
}

static bool parse_count(const char *name, const char *value, uint64_t min, uint64_t max, unsigned *ret_count)
{
    uint64_t number;

    if (!perf_parse_number(name, value, min, max, &number))
        return false;
    *ret_count = (unsigned)number;
    return true;
}

static bool parse_transports(const char *name, const char *value, bool baseline, struct perf_options *options)
{
    const char *names[PERF_TRANSPORTS];
    unsigned index = 0;

    for (size_t i = 0; i < PERF_TRANSPORTS; i++)
        names[i] = perf_transports[i]->name;
    if (!baseline)
        return perf_parse_names(name, value, names, PERF_TRANSPORTS, &options->transports);
    if (!perf_parse_name(name, value, names, PERF_TRANSPORTS, &index))
        return false;
    options->baseline = perf_transports[index];
    return true;
}

static bool parse_keep(const char *name, const char *value, bool *ret_best)
{
    static const char *const names[] = {"usual", "best"};
    unsigned index = 0;

    if (!perf_parse_name(name, value, names, 2, &index))
        return false;
    *ret_best = index == 1;
    return true;
}

/* What is measured and where, and what counts. */
static bool apply_selection(int option, const char *name, const char *value, struct perf_options *options)
{
    switch (option) {
    case 't':
        return parse_transports(name, value, false, options);
    case OPT_BASELINE:
        return parse_transports(name, value, true, options);
    case OPT_KEEP:
        return parse_keep(name, value, &options->keep_best);
    case 'k':
        return perf_parse_names(name, value, perf_kind_names, PERF_KINDS, &options->kinds);
    case 'm':
        return perf_parse_names(name, value, perf_mode_names, PERF_MODES, &options->modes);
    case 's':
        return parse_sizes(name, value, options);
    default:
        return parse_cpus(name, value, options->cpus);
    }
}

/* An option with a value, which is one of long_options. */
static bool apply_value(int option, const char *name, const char *value, struct perf_options *options)
{
    switch (option) {
    case 'r':
        return parse_count(name, value, 1, PERF_MAX_ROUNDS, &options->rounds);
    case OPT_EXTRA:
        return parse_count(name, value, 0, PERF_MAX_ROUNDS, &options->extra);
    case 'd':
        return parse_scaled(name, value, 1, 60000, PERF_NS_PER_MS, &options->duration_ns);
    case OPT_BRACKET:
        return parse_scaled(name, value, 1, 1000, PERF_NS_PER_MS, &options->bracket_ns);
    case OPT_SPIN:
        return parse_scaled(name, value, 0, 60000000, PERF_NS_PER_US, &options->spin_ns);
    case OPT_TIMEOUT:
        return parse_scaled(name, value, 1, 3600, PERF_NS_PER_S, &options->timeout_ns);
    case OPT_TOLERANCE:
        return perf_parse_fraction(name, value, 1, 1000, &options->tolerance);
    case OPT_SLOTS:
        return parse_slots(name, value, &options->slots);
    case OPT_BATCH:
        return parse_count(name, value, 1, 65536, &options->batch);
    case OPT_JSON:
        options->json = value;
        return true;
    case OPT_CSV:
        options->csv = value;
        return true;
    default:
        return apply_selection(option, name, value, options);
    }
}

/* The long name, also where the short one was given. */
static const char *long_name(int option)
{
    const struct option *known = long_options;

    while (known->name != NULL && known->val != option)
        known++;
    return known->name;
}

static void print_version(void)
{
    printf("hqq-perf %s, library %s\n", HQQ_VERSION, hqq_version());
}

bool perf_options_parse(int argc, char **argv, struct perf_options *ret_options, int *ret_exit)
{
    int option;

    *ret_exit = PERF_EXIT_USAGE;
    set_defaults(ret_options);
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        if (option == 'h' || option == 'V') {
            if (option == 'h')
                perf_options_print_help();
            else
                print_version();
            *ret_exit = PERF_EXIT_OK;
            return false;
        }
        if (option == 'v')
            ret_options->verbose = true;
        else if (option == OPT_QUICK)
            ret_options->quick = true;
        else if (option == '?' || !apply_value(option, long_name(option), optarg, ret_options))
            return false;
    }
    if (optind < argc) {
        fprintf(stderr, "hqq-perf: unexpected argument '%s'\n", argv[optind]);
        return false;
    }
    set_remaining(ret_options);
    return true;
}
