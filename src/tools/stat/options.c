#include "tools/stat/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hqq/hqq.h>

#include "tools/stat/table.h"

enum { OPT_LOG = 256, OPT_JSON, OPT_EXPLAIN };

static const struct option long_options[] = {
    {"pid", required_argument, NULL, 'p'},       {"interval", required_argument, NULL, 'i'},
    {"count", required_argument, NULL, 'n'},     {"all", no_argument, NULL, 'a'},
    {"json", no_argument, NULL, OPT_JSON},       {"log", required_argument, NULL, OPT_LOG},
    {"explain", no_argument, NULL, OPT_EXPLAIN}, {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},         {NULL, 0, NULL, 0},
};

static const char short_options[] = "p:i:n:ahV";

static const char help[] =
    "Usage: hqqstat [OPTION]...\n"
    "\n"
    "Shows what HQQ does in running processes: which sockets send through shared memory, how much, and why\n"
    "others do not. Looks at all processes whose counters this user may read.\n"
    "\n"
    "  -p, --pid=PID          of this process only\n"
    "  -i, --interval=SECONDS figures a second, every so often, 0.01 to 86400; default: totals, once\n"
    "  -n, --count=N          end after N intervals; default: never\n"
    "  -a, --all              sockets that were closed, too\n"
    "      --json             as JSON, an object an interval\n"
    "      --log=LEVEL        with --pid: from now on the process traces to its stderr: off, error, warn, info,\n"
    "                         debug\n"
    "      --explain          what each column means\n"
    "\n"
    "  -h, --help             print this\n"
    "  -V, --version          print the version\n"
    "\n"
    "Exit status: 0; 1 if the process of --pid has no counters, or they may not be read; 2 for a bad option.\n";

static bool complain(const char *option, const char *value, const char *wanted)
{
    fprintf(stderr, "hqqstat: --%s: '%s' is not %s\n", option, value, wanted);
    return false;
}

static bool parse_number(const char *option, const char *value, uint64_t max, uint64_t *ret_number)
{
    char wanted[60], *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (strspn(value, "0123456789") > 0 && *end == '\0' && errno == 0 && number >= 1 && number <= max) {
        *ret_number = number;
        return true;
    }
    snprintf(wanted, sizeof(wanted), "a number from 1 to %llu", (unsigned long long)max);
    return complain(option, value, wanted);
}

static bool parse_interval(const char *value, uint64_t *ret_ns)
{
    char *end = NULL;
    double seconds = strtod(value, &end);
    /* Written so that NaN is refused. */
    if (end == value || *end != '\0' || !(seconds >= 0.01 && seconds <= 86400))
        return complain("interval", value, "a number of seconds from 0.01 to 86400");
    *ret_ns = (uint64_t)(seconds * 1e9);
    return true;
}

static bool parse_level(const char *value, struct stat_options *options)
{
    static const char *const levels[] = {"off", "error", "warn", "info", "debug"};
    for (uint32_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(value, levels[i]) == 0) {
            options->level = i;
            options->sets_level = true;
            return true;
        }
    }
    return complain("log", value, "one of off, error, warn, info, debug");
}

static bool apply(int option, struct stat_options *options)
{
    uint64_t number = 0;
    switch (option) {
    case 'p':
        if (!parse_number("pid", optarg, INT_MAX, &number))
            return false;
        options->pid = (pid_t)number;
        return true;
    case 'i':
        return parse_interval(optarg, &options->interval_ns);
    case 'n':
        return parse_number("count", optarg, UINT32_MAX, &options->count);
    case 'a':
        options->all = true;
        return true;
    case OPT_JSON:
        options->json = true;
        return true;
    case OPT_LOG:
        return parse_level(optarg, options);
    default: /* getopt_long() has said what is wrong */
        return false;
    }
}

static bool is_consistent(struct stat_options *options)
{
    if (options->sets_level && options->pid == 0)
        fprintf(stderr, "hqqstat: --log: of which process? say --pid too\n");
    else if (options->sets_level && (options->interval_ns > 0 || options->count > 0))
        fprintf(stderr, "hqqstat: --log goes with --pid alone\n");
    else
        return true;
    return false;
}

bool stat_options_parse(int argc, char **argv, struct stat_options *ret_options, int *ret_exit)
{
    struct stat_options options = {0};
    int option;
    *ret_exit = STAT_EXIT_USAGE;
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        if (option == 'h' || option == 'V' || option == OPT_EXPLAIN) {
            if (option == 'h')
                fputs(help, stdout);
            else if (option == 'V')
                printf("hqqstat %s, library %s\n", HQQ_VERSION, hqq_version());
            else
                stat_table_explain(stdout);
            *ret_exit = fflush(stdout) == 0 ? STAT_EXIT_OK : STAT_EXIT_FAILURE;
            return false;
        }
        if (!apply(option, &options))
            return false;
    }
    if (optind < argc) {
        fprintf(stderr, "hqqstat: unexpected argument '%s'\n", argv[optind]);
        return false;
    }
    if (!is_consistent(&options))
        return false;
    if (options.count > 0 && options.interval_ns == 0)
        options.interval_ns = 1000000000;
    *ret_options = options;
    return true;
}
