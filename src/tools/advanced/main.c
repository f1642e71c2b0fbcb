/*
 * hqq-perf-advanced: what advanced links cost, and what they are worth. Here: what happens in which order, and the exit
 * status. How it is measured is that of hqq-perf. A user of the library like any other: public functions only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "tools/advanced/report.h"
#include "tools/perf/rounds.h"

static int finish(FILE *file, const char *name, int result)
{
    int bad;

    if (result != 0)
        fprintf(stderr, "hqq-perf-advanced: out of memory\n");
    errno = 0;
    bad = ferror(file);
    bad |= file == stdout ? fflush(stdout) : fclose(file);
    if (bad != 0)
        fprintf(stderr, "hqq-perf-advanced: writing '%s': %s\n", name, errno != 0 ? strerror(errno) : "failed");
    return result != 0 || bad != 0 ? PERF_EXIT_FAILURE : PERF_EXIT_OK;
}

/* json: where that goes, NULL for nowhere; where it is standard output there is no table. */
static int measure(struct perf_session *session, const struct advanced_options *options, FILE *json)
{
    int status = PERF_EXIT_OK;

    if (json != stdout) {
        advanced_report_head(stdout, session, options);
        fflush(stdout);
    }
    if (perf_rounds_run(session) != 0)
        return PERF_EXIT_FAILURE;
    if (json != stdout)
        status = finish(stdout, "-", advanced_report_table(stdout, session, options));
    if (json != NULL && finish(json, options->perf.json, advanced_report_json(json, session, options)) != 0)
        status = PERF_EXIT_FAILURE;
    return status;
}

int main(int argc, char **argv)
{
    struct advanced_options options;
    struct perf_session *session;
    const char *name;
    FILE *json = NULL;
    int status;

    if (!advanced_options_parse(argc, argv, &options, &status))
        return status;
    name = options.perf.json;
    if (name != NULL) {
        json = strcmp(name, "-") == 0 ? stdout : fopen(name, "we"); /* before anything takes time */
        if (json == NULL) {
            fprintf(stderr, "hqq-perf-advanced: --json: '%s' cannot be written: %s\n", name, strerror(errno));
            return PERF_EXIT_USAGE;
        }
    }
    session = advanced_plan(NULL, &options, argc, argv);
    if (session == NULL) {
        fprintf(stderr, "hqq-perf-advanced: out of memory\n");
        return PERF_EXIT_FAILURE;
    }
    status = measure(session, &options, json);
    talloc_free(session);
    return status;
}
