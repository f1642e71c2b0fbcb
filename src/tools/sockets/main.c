/*
 * hqq-perf-sockets: what the preload is worth to a program that uses datagram sockets of AF_UNIX. The measured side is
 * this very program, which knows nothing of HQQ, started anew for each run. Here: what happens in which order, and the
 * exit status.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sockets/machine.h"
#include "tools/sockets/measure.h"
#include "tools/sockets/options.h"
#include "tools/sockets/report.h"
#include "tools/sockets/run.h"

static int finish(FILE *file, const char *name)
{
    int bad;
    errno = 0;
    bad = ferror(file);
    bad |= file == stdout ? fflush(stdout) : fclose(file);
    if (bad != 0)
        fprintf(stderr, "hqq-perf-sockets: writing '%s': %s\n", name, errno != 0 ? strerror(errno) : "failed");
    return bad != 0 ? OPTIONS_EXIT_FAILURE : OPTIONS_EXIT_OK;
}

/* Opened before anything is measured: what can't be written is to be known at once. */
static FILE *open_json(const char *name)
{
    if (strcmp(name, "-") == 0)
        return stdout;
    FILE *file = fopen(name, "we");
    if (!file)
        fprintf(stderr, "hqq-perf-sockets: --json: '%s' can't be written: %s\n", name, strerror(errno));
    return file;
}

/* json: NULL for none; where that is standard output, there is no table. */
static int measure(const struct options *options, FILE *json)
{
    struct measured *all = calloc(row_count, sizeof(*all));
    struct quiet quiet;
    size_t count = 0;
    int status = OPTIONS_EXIT_OK;
    if (!all)
        machine_fail("calloc");
    measure_quiet(&quiet, options, row_count);
    if (json != stdout)
        report_head(stdout, &quiet);
    for (size_t i = 0; i < row_count; i++) {
        if (!row_is_chosen(&rows[i], options->rows))
            continue;
        all[count] = measure_row(options, &rows[i], &quiet);
        if (json != stdout)
            report_row(stdout, &all[count]);
        fflush(stdout);
        status |= all[count++].has_failed ? OPTIONS_EXIT_FAILURE : OPTIONS_EXIT_OK;
    }
    if (json != stdout)
        report_foot(stdout, all, count);
    if (json)
        report_json(json, options, &quiet, all, count);
    status |= json && json != stdout ? finish(json, options->json) : 0;
    status |= finish(stdout, "-");
    for (size_t i = 0; i < count; i++)
        free(all[i].pairs);
    free(all);
    free(quiet.pings);
    return status;
}

int main(int argc, char **argv)
{
    struct options options;
    FILE *json = NULL;
    int status = run_started(argc, argv);
    if (status >= 0)
        return status;
    if (!options_parse(argc, argv, &options, &status))
        return status;
    if (!machine_has_two_processors())
        machine_fail_plainly("two processors are needed, and only one is allowed");
    if (options.json && !(json = open_json(options.json)))
        return OPTIONS_EXIT_USAGE;
    return measure(&options, json);
}
