/* The command line: which options there are and their defaults. */
#include "tools/sockets/options.h"

#include <hqq/version.h>

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/perf/options_parse.h"
#include "tools/sockets/rows.h"

enum { OPT_TOLERANCE = 256, OPT_OTHERS, OPT_TIMEOUT, OPT_QUICK, OPT_JSON };

static const char short_options[] = "r:n:d:w:lhV";

static const struct option long_options[] = {
    {"rows", required_argument, NULL, 'r'},
    {"list", no_argument, NULL, 'l'},
    {"pairs", required_argument, NULL, 'n'},
    {"duration-ms", required_argument, NULL, 'd'},
    {"warm-up-ms", required_argument, NULL, 'w'},
    {"tolerance", required_argument, NULL, OPT_TOLERANCE},
    {"others", required_argument, NULL, OPT_OTHERS},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"quick", no_argument, NULL, OPT_QUICK},
    {"json", required_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static const struct options full_defaults = {.pairs = 15, .duration_ms = 300, .warm_ms = 150};
static const struct options quick_defaults = {.pairs = 1, .duration_ms = 20, .warm_ms = 10};

/* Each item names a row. */
static bool check_rows(const char *value)
{
    char item[64];
    const char *list = value;
    for (;;) {
        size_t length = strcspn(list, ","), found = 0;
        snprintf(item, sizeof(item), "%.*s", (int)(length < sizeof(item) ? length : sizeof(item)), list);
        for (size_t i = 0; i < row_count; i++)
            found += row_is_chosen(&rows[i], item);
        if (found == 0)
            return perf_option_complain("rows", value, "has '%s', which is no row, group or pattern of any", item);
        if (list[length] == '\0')
            return true;
        list += length + 1;
    }
}

static bool apply_value(int option, const char *value, struct options *options)
{
    switch (option) {
    case 'r':
        options->rows = value;
        return check_rows(value);
    case 'n':
        return perf_parse_number("pairs", value, 1, OPTIONS_MAX_PAIRS, &options->pairs);
    case 'd':
        return perf_parse_number("duration-ms", value, 1, 60000, &options->duration_ms);
    case 'w':
        return perf_parse_number("warm-up-ms", value, 1, 60000, &options->warm_ms);
    case OPT_TOLERANCE:
        return perf_parse_fraction("tolerance", value, 1, 1000, &options->tolerance);
    case OPT_OTHERS:
        return perf_parse_fraction("others", value, 0, 1, &options->others);
    case OPT_TIMEOUT:
        return perf_parse_number("timeout", value, 1, 3600, &options->timeout_s);
    case OPT_JSON:
        options->json = value;
        return true;
    default:
        options->quick = true;
        return true;
    }
}

/* What depends on --quick, wherever that stood, and was not given itself. */
static void set_remaining(struct options *options)
{
    const struct options *rest = options->quick ? &quick_defaults : &full_defaults;
    if (options->pairs == 0)
        options->pairs = rest->pairs;
    if (options->duration_ms == 0)
        options->duration_ms = rest->duration_ms;
    if (options->warm_ms == 0)
        options->warm_ms = rest->warm_ms;
}

static void print_list(void)
{
    for (size_t i = 0; i < row_count; i++) {
        if (i == 0 || strcmp(rows[i].group, rows[i - 1].group) != 0)
            printf("%s%s:\n", i != 0 ? "\n" : "", rows[i].group);
        printf("  %-20s %s\n", rows[i].name, rows[i].what);
    }
}

static bool say(int option)
{
    if (option == 'h')
        options_print_help();
    else if (option == 'l')
        print_list();
    else
        printf("hqq-perf-sockets %s\n", HQQ_VERSION);
    return false;
}

/* By its full path: the loader looks for a bare name elsewhere. */
static bool take_preload(int argc, char **argv, struct options *options)
{
    static char path[PATH_MAX];
    if (optind != argc - 1) {
        fprintf(stderr, "hqq-perf-sockets: %s%s%s: expected the path of the preload, and nothing else\n",
                optind < argc ? "unexpected argument '" : "no argument", optind < argc ? argv[optind + 1] : "",
                optind < argc ? "'" : "");
        return false;
    }
    if (!realpath(argv[optind], path) || access(path, R_OK) != 0) {
        fprintf(stderr, "hqq-perf-sockets: '%s' can't be read: expected the path of the preload\n", argv[optind]);
        return false;
    }
    options->preload = path;
    return true;
}

bool options_parse(int argc, char **argv, struct options *ret_options, int *ret_exit)
{
    int option;
    *ret_options = (struct options){.rows = "*", .tolerance = 1.5, .others = 0.1, .timeout_s = 60};
    *ret_exit = OPTIONS_EXIT_USAGE;
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        if (option == 'h' || option == 'l' || option == 'V') {
            *ret_exit = OPTIONS_EXIT_OK;
            return say(option);
        }
        if (option == '?' || !apply_value(option, optarg, ret_options))
            return false;
    }
    set_remaining(ret_options);
    return take_preload(argc, argv, ret_options);
}
