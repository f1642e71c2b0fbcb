#include "tools/run/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include <hqq/hqq.h>

enum {
    OPT_CONFIG = 256,
    OPT_SPIN,
    OPT_LINK_AFTER,
    OPT_POLLING,
    OPT_LOG,
    OPT_DRY_RUN,
    OPT_REPORT,
    OPT_JSON,
    OPT_LIBRARY,
};

static const struct option long_options[] = {
    {"path", required_argument, NULL, 'p'},
    {"config", required_argument, NULL, OPT_CONFIG},
    {"spin-us", required_argument, NULL, OPT_SPIN},
    {"link-after", required_argument, NULL, OPT_LINK_AFTER},
    {"polling", required_argument, NULL, OPT_POLLING},
    {"log", required_argument, NULL, OPT_LOG},
    {"library", required_argument, NULL, OPT_LIBRARY},
    {"dry-run", no_argument, NULL, OPT_DRY_RUN},
    {"report", optional_argument, NULL, OPT_REPORT},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

/* Stops at the first argument that is no option: the rest is the command's. */
static const char short_options[] = "+p:hV";

static const char help[] =
    "Usage: hqq-run -p GLOB [OPTION]... [--] COMMAND [ARGUMENT]...\n"
    "\n"
    "Runs a command whose datagrams through UNIX sockets go through shared memory, where the process at the\n"
    "other end is run so too; all else goes through the kernel as ever. The command is run by exec: its\n"
    "arguments, exit status and signals are as without hqq-run.\n"
    "\n"
    "  -p, --path=GLOB        sockets with such a path; * also stands for slashes, @NAME is an abstract name,\n"
    "                         * alone is every socket; may be given more than once\n"
    "      --config=FILE      rules of this file, before those of --path\n"
    "      --spin-us=N        wait so many microseconds on the processor before a sleep; 0 to 1000000\n"
    "      --link-after=N     go through the kernel for the first N datagrams; 0 to 1000000000\n"
    "      --polling=WHEN     look at shared memory, and spin: auto (while it pays), always, never\n"
    "      --log=LEVEL        trace to stderr: off, error, warn, info, debug\n"
    "      --library=FILE     the preload library; default: the one that belongs to this tool\n"
    "\n"
    "  --dry-run              say what would be done, and whether it would work (status 0) or not (1)\n"
    "  --report[=FILE]        when the command has ended, write to FILE, else stderr, which sockets were\n"
    "                         accelerated, and why others were not\n"
    "  --json                 the report as JSON\n"
    "\n"
    "  -h, --help             print this\n"
    "  -V, --version          print the version\n"
    "\n"
    "Exit status: the command's; 125 if hqq-run failed, 126 if the command cannot be run so, 127 if there is\n"
    "none of that name.\n";

bool run_complain(const char *format, ...)
{
    va_list arguments;
    fputs("hqq-run: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return false;
}

static bool check_number(const char *option, const char *value, unsigned long max)
{
    char *end = NULL;
    errno = 0;
    unsigned long number = strtoul(value, &end, 10);
    if (strspn(value, "0123456789") > 0 && *end == '\0' && errno == 0 && number <= max)
        return true;
    return run_complain("--%s: '%s' is not a number from 0 to %lu", option, value, max);
}

static bool check_level(const char *value)
{
    static const char *const levels[] = {"off", "error", "warn", "info", "debug"};
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(value, levels[i]) == 0)
            return true;
    }
    return run_complain("--log: '%s' is not one of off, error, warn, info, debug", value);
}

static bool add_path(struct run_options *options, const char *glob)
{
    if (*glob == '\0')
        return run_complain("--path: '' is no glob");
    options->paths = options->paths ? talloc_asprintf_append(options->paths, ":%s", glob) : talloc_strdup(NULL, glob);
    return options->paths || run_complain("out of memory");
}

/* Absolute, as the command or its children may change their folder. */
static bool set_config(struct run_options *options, const char *file)
{
    if (access(file, R_OK) == 0)
        options->config = realpath(file, NULL);
    return options->config || run_complain("--config: '%s' cannot be read: %s", file, strerror(errno));
}

static bool set_polling(struct run_options *options, const char *when)
{
    options->polling = when;
    return strcmp(when, "auto") == 0 || strcmp(when, "always") == 0 || strcmp(when, "never") == 0 ||
           run_complain("--polling: bad value '%s': expected auto, always or never", when);
}

static bool apply(int option, struct run_options *options)
{
    switch (option) {
    case 'p':
        return add_path(options, optarg);
    case OPT_CONFIG:
        return set_config(options, optarg);
    case OPT_SPIN:
        options->spin_us = optarg;
        return check_number("spin-us", optarg, 1000000);
    case OPT_LINK_AFTER:
        options->link_after = optarg;
        return check_number("link-after", optarg, 1000000000);
    case OPT_POLLING:
        return set_polling(options, optarg);
    case OPT_LOG:
        options->log = optarg;
        return check_level(optarg);
    case OPT_LIBRARY:
        options->library = optarg;
        return true;
    case OPT_DRY_RUN:
        options->dry_run = true;
        return true;
    case OPT_REPORT:
        options->report = true;
        options->report_file = optarg;
        return true;
    case OPT_JSON:
        options->report = options->json = true;
        return true;
    default: /* getopt_long() has said what is wrong */
        return false;
    }
}

/* What the environment or the default file may have, the preload knows; here only what is certain to be a mistake. */
static bool is_complete(const struct run_options *options)
{
    if (!options->command[0])
        return run_complain("no command: see hqq-run --help");
    if (options->paths || options->config || getenv("HQQ_PATHS") || getenv("HQQ_CONFIG"))
        return true;
    if (access(HQQ_SYSCONFDIR "/hqq.conf", R_OK) == 0)
        return true;
    return run_complain("no path is given, so nothing would be accelerated: -p GLOB, or -p '*' for every socket");
}

bool run_options_parse(int argc, char **argv, struct run_options *ret_options, int *ret_exit)
{
    struct run_options options = {0};
    int option;
    *ret_exit = RUN_EXIT_FAILURE;
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        if (option == 'h' || option == 'V') {
            if (option == 'h')
                fputs(help, stdout);
            else
                printf("hqq-run %s, library %s\n", HQQ_VERSION, hqq_version());
            *ret_exit = fflush(stdout) == 0 ? 0 : RUN_EXIT_FAILURE;
            return false;
        }
        if (!apply(option, &options))
            return false;
    }
    options.command = argv + optind;
    if (!is_complete(&options))
        return false;
    *ret_options = options;
    return true;
}
