/*
 * hqq-perf: how fast datagrams go from one process to another. Here: what happens in which order, and the exit status.
 * A user of the library like any other: public functions only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "tools/perf/report.h"
#include "tools/perf/rounds.h"

typedef int report_fn(FILE *file, const struct perf_session *session);

/* Where a report goes. Files are opened before anything is measured, so that a bad name costs no time. */
struct output {
    const char *name;
    FILE *file; /* NULL: not wanted */
    report_fn *report;
};

static bool is_stdout(const char *name)
{
    return name != NULL && strcmp(name, "-") == 0;
}

static bool open_output(struct output *output, const char *option)
{
    if (output->name == NULL)
        return true;
    output->file = is_stdout(output->name) ? stdout : fopen(output->name, "we");
    if (output->file == NULL)
        fprintf(stderr, "hqq-perf: --%s: '%s' cannot be written: %s\n", option, output->name, strerror(errno));
    return output->file != NULL;
}

static int write_output(const struct output *output, const struct perf_session *session)
{
    int result;
    int bad;

    if (output->file == NULL)
        return 0;
    result = output->report(output->file, session);
    if (result != 0)
        fprintf(stderr, "hqq-perf: out of memory\n");
    errno = 0;
    bad = ferror(output->file);
    bad |= output->file == stdout ? fflush(stdout) : fclose(output->file);
    if (bad != 0) {
        fprintf(stderr, "hqq-perf: writing '%s': %s\n", output->name, errno != 0 ? strerror(errno) : "failed");
        result = -1;
    }
    return result;
}

static int report_tables(FILE *file, const struct perf_session *session)
{
    return perf_report_tables(file, session) == 0 ? perf_report_targets(file, session) : -1;
}

static int measure(struct perf_session *session, struct output *outputs, size_t count)
{
    int status = PERF_EXIT_OK;

    if (outputs[0].file != NULL) {
        perf_report_head(outputs[0].file, session);
        fflush(outputs[0].file);
    }
    if (perf_rounds_run(session) != 0)
        return PERF_EXIT_FAILURE;
    for (size_t i = 0; i < count; i++) {
        if (write_output(&outputs[i], session) != 0)
            status = PERF_EXIT_FAILURE;
    }
    return status;
}

int main(int argc, char **argv)
{
    struct perf_options options;
    struct perf_session *session;
    int status;

    if (!perf_options_parse(argc, argv, &options, &status))
        return status;

    bool table = !is_stdout(options.json) && !is_stdout(options.csv);
    struct output outputs[] = {
        {table ? "-" : NULL, NULL, report_tables},
        {options.json, NULL, perf_report_json},
        {options.csv, NULL, perf_report_csv},
    };
    if (!open_output(&outputs[0], "") || !open_output(&outputs[1], "json") || !open_output(&outputs[2], "csv"))
        return PERF_EXIT_USAGE;

    session = perf_session_create(NULL, &options, argc, argv);
    if (session == NULL) {
        fprintf(stderr, "hqq-perf: out of memory\n");
        return PERF_EXIT_FAILURE;
    }
    if (session->cell_count == 0) {
        fprintf(stderr, "hqq-perf: nothing to measure: none of these transports has such a kind and mode\n");
        status = PERF_EXIT_USAGE;
    } else {
        status = measure(session, outputs, sizeof(outputs) / sizeof(outputs[0]));
    }
    talloc_free(session);
    return status;
}
