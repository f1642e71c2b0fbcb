/* The command line: which options there are and their defaults. */
#include "tools/advanced/options.h"

#include <hqq/version.h>

#include <getopt.h>
#include <limits.h>
#include <stdio.h>

#include "tools/advanced/link.h"
#include "tools/perf/clock.h"
#include "tools/perf/cpu.h"
#include "tools/perf/options_parse.h"

enum {
    OPT_EXTRA = 256,
    OPT_BRACKET,
    OPT_TOLERANCE,
    OPT_KEEP,
    OPT_SLOTS,
    OPT_SLOT_BYTES,
    OPT_TIMEOUT,
    OPT_QUICK,
    OPT_JSON,
};

static const struct option long_options[] = {
    {"parts", required_argument, NULL, 'p'},
    {"cpus", required_argument, NULL, 'c'},
    {"rounds", required_argument, NULL, 'r'},
    {"extra", required_argument, NULL, OPT_EXTRA},
    {"duration-ms", required_argument, NULL, 'd'},
    {"bracket-ms", required_argument, NULL, OPT_BRACKET},
    {"tolerance", required_argument, NULL, OPT_TOLERANCE},
    {"keep", required_argument, NULL, OPT_KEEP},
    {"slots", required_argument, NULL, OPT_SLOTS},
    {"slot-bytes", required_argument, NULL, OPT_SLOT_BYTES},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"quick", no_argument, NULL, OPT_QUICK},
    {"json", required_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static const char *const part_names[ADVANCED_PARTS] = {"calls", "messages", "classes", "shares"};

static const char *const keep_names[] = {"usual", "best"};

/* Not given; 0 is a number of extra rounds. */
#define NO_EXTRA UINT_MAX

static void set_defaults(struct advanced_options *options)
{
    *options = (struct advanced_options){
        .perf =
            {
                .baseline = &advanced_socket,
                .extra = NO_EXTRA,
                .slots = 32,
                .spin_ns = PERF_NS_PER_S,
                .timeout_ns = 10 * PERF_NS_PER_S,
                .tolerance = 1.25,
            },
        .parts = PERF_BIT(ADVANCED_PARTS) - 1,
        .slot_bytes = 32 << 10,
    };
    perf_cpu_choose(options->perf.cpus);
}

/* What depends on --quick, wherever that stood, and was not given itself. */
static void set_remaining(struct perf_options *options)
{
    bool quick = options->quick;

    if (options->rounds == 0)
        options->rounds = quick ? 2 : 7;
    if (options->extra == NO_EXTRA)
        options->extra = quick ? 0 : 4;
    if (options->duration_ns == 0)
        options->duration_ns = (quick ? 10 : 120) * PERF_NS_PER_MS;
    if (options->bracket_ns == 0)
        options->bracket_ns = (quick ? 1 : 3) * PERF_NS_PER_MS;
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

static bool parse_slots(const char *name, const char *value, uint64_t *ret_slots)
{
    if (!perf_parse_number(name, value, 4, 65536, ret_slots))
        return false;
    if ((*ret_slots & (*ret_slots - 1)) != 0)
        return perf_option_complain(name, value, "is not a power of two");
    return true;
}

static bool parse_slot_bytes(const char *name, const char *value, uint64_t *ret_bytes)
{
    if (!perf_parse_number(name, value, 64, 1 << 20, ret_bytes))
        return false;
    if (*ret_bytes % 8 != 0)
        return perf_option_complain(name, value, "is not a multiple of 8");
    return true;
}

static bool parse_keep(const char *name, const char *value, bool *ret_best)
{
    unsigned index = 0;

    if (!perf_parse_name(name, value, keep_names, 2, &index))
        return false;
    *ret_best = index == 1;
    return true;
}

/* Numbers, of which some are in units. */
static bool parse_numbers(int option, const char *name, const char *value, struct perf_options *options)
{
    uint64_t number;

    switch (option) {
    case 'r':
        if (!perf_parse_number(name, value, 1, PERF_MAX_ROUNDS, &number))
            return false;
        options->rounds = (unsigned)number;
        return true;
    case OPT_EXTRA:
        if (!perf_parse_number(name, value, 0, PERF_MAX_ROUNDS, &number))
            return false;
        options->extra = (unsigned)number;
        return true;
    case 'd':
        if (!perf_parse_number(name, value, 1, 60000, &number))
            return false;
        options->duration_ns = number * PERF_NS_PER_MS;
        return true;
    case OPT_BRACKET:
        if (!perf_parse_number(name, value, 1, 1000, &number))
            return false;
        options->bracket_ns = number * PERF_NS_PER_MS;
        return true;
    default: /* OPT_TIMEOUT */
        if (!perf_parse_number(name, value, 1, 3600, &number))
            return false;
        options->timeout_ns = number * PERF_NS_PER_S;
        return true;
    }
}

static bool apply(int option, const char *name, const char *value, struct advanced_options *options)
{
    switch (option) {
    case 'p':
        return perf_parse_names(name, value, part_names, ADVANCED_PARTS, &options->parts);
    case 'c':
        return parse_cpus(name, value, options->perf.cpus);
    case OPT_TOLERANCE:
        return perf_parse_fraction(name, value, 1, 1000, &options->perf.tolerance);
    case OPT_KEEP:
        return parse_keep(name, value, &options->perf.keep_best);
    case OPT_SLOTS:
        return parse_slots(name, value, &options->perf.slots);
    case OPT_SLOT_BYTES:
        return parse_slot_bytes(name, value, &options->slot_bytes);
    case OPT_QUICK:
        options->perf.quick = true;
        return true;
    case OPT_JSON:
        options->perf.json = value;
        return true;
    default:
        return parse_numbers(option, name, value, &options->perf);
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

bool advanced_options_parse(int argc, char **argv, struct advanced_options *ret_options, int *ret_exit)
{
    int option;

    *ret_exit = PERF_EXIT_USAGE;
    set_defaults(ret_options);
    while ((option = getopt_long(argc, argv, "p:c:r:d:hV", long_options, NULL)) != -1) {
        if (option == 'h' || option == 'V') {
            if (option == 'h')
                advanced_options_print_help();
            else
                printf("hqq-perf-advanced %s, library %s\n", HQQ_VERSION, hqq_version());
            *ret_exit = PERF_EXIT_OK;
            return false;
        }
        if (option == '?' || !apply(option, long_name(option), optarg, ret_options))
            return false;
    }
    if (optind < argc) {
        fprintf(stderr, "hqq-perf-advanced: unexpected argument '%s'\n", argv[optind]);
        return false;
    }
    set_remaining(&ret_options->perf);
    return true;
}
