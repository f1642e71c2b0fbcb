/* hqqstat: shows the counters of live processes, once or every so often, or sets the log level of one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/stat/options.h"
#include "tools/stat/table.h"

static int explain_failure(const struct stat_options *options, int error)
{
    if (options->pid == 0)
        fprintf(stderr, "hqqstat: %s\n", strerror(-error));
    else if (error == -ENOENT)
        fprintf(stderr, "hqqstat: process %ld has no counters: it does not use HQQ, or not yet\n", (long)options->pid);
    else
        fprintf(stderr, "hqqstat: process %ld: %s\n", (long)options->pid, strerror(-error));
    return STAT_EXIT_FAILURE;
}

static int change_level(const struct stat_options *options)
{
    int result = stat_set_level(options->pid, options->level);
    return result == 0 ? STAT_EXIT_OK : explain_failure(options, result);
}

static void sleep_until(uint64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                                .tv_nsec = (long)(deadline_ns % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR)
        continue;
}

static int print(const struct stat_options *options, const struct stat_snapshot *now,
                 const struct stat_snapshot *before)
{
    if (options->json)
        stat_json_print(stdout, now, before);
    else if (now->count == 0)
        printf("no process with counters, as far as this user may look\n");
    else if (stat_table_print(stdout, now, before, options->all) == 0)
        printf("%zu process%s with counters, and no socket that is open\n", now->count, now->count == 1 ? "" : "es");
    if (before && !options->json)
        putchar('\n');
    return fflush(stdout) == 0 ? STAT_EXIT_OK : STAT_EXIT_FAILURE;
}

static int watch(const struct stat_options *options, struct stat_snapshot *before)
{
    uint64_t next_ns = before->taken_ns;
    int status = STAT_EXIT_OK;
    for (uint64_t i = 0; status == STAT_EXIT_OK && (options->count == 0 || i < options->count); i++) {
        struct stat_snapshot *now;
        next_ns += options->interval_ns;
        sleep_until(next_ns);
        int result = stat_find(NULL, options->pid, &now);
        if (result != 0) {
            /* That its process has ended is the usual end of watching one. */
            talloc_free(before);
            return options->pid != 0 && result != -ENOMEM ? STAT_EXIT_OK : explain_failure(options, result);
        }
        status = print(options, now, before);
        talloc_free(before);
        before = now;
    }
    talloc_free(before);
    return status;
}

int main(int argc, char **argv)
{
    struct stat_options options;
    struct stat_snapshot *snapshot;
    int status;

    if (!stat_options_parse(argc, argv, &options, &status))
        return status;
    if (options.sets_level)
        return change_level(&options);
    int result = stat_find(NULL, options.pid, &snapshot);
    if (result != 0)
        return explain_failure(&options, result);
    if (options.interval_ns > 0)
        return watch(&options, snapshot);
    status = print(&options, snapshot, NULL);
    talloc_free(snapshot);
    return status;
}
