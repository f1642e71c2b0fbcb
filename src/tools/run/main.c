/*
 * hqq-run: runs one command with the preload library. Here: what happens in which order. By default this process
 * becomes the command; only for a report does it stay, and end as the command did.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "tools/run/launch.h"
#include "tools/run/library.h"
#include "tools/run/options.h"
#include "tools/run/program.h"
#include "tools/run/report.h"

static bool set(const char *name, const char *value)
{
    return !value || setenv(name, value, 1) == 0 || run_complain("%s: %s", name, strerror(errno));
}

/* Before what is there already: what comes first sees calls first. */
static bool set_preload(const char *library)
{
    const char *others = getenv("LD_PRELOAD");
    char *all = others && *others ? talloc_asprintf(NULL, "%s:%s", library, others) : talloc_strdup(NULL, library);
    bool done = all ? set("LD_PRELOAD", all) : run_complain("out of memory");
    talloc_free(all);
    return done;
}

static bool set_environment(const struct run_options *options, const char *library)
{
    return set_preload(library) && set("HQQ_PATHS", options->paths) && set("HQQ_CONFIG", options->config) &&
           set("HQQ_SPIN_US", options->spin_us) && set("HQQ_LINK_AFTER", options->link_after) &&
           set("HQQ_POLLING", options->polling) && set("HQQ_LOG", options->log);
}

/* ---- --dry-run ------------------------------------------------------------------------------------------------- */

static void print_variable(const char *name)
{
    const char *value = getenv(name);
    if (value)
        printf("environment  %s=%s\n", name, value);
}

static int explain(const struct run_program *program)
{
    static const char *const names[] = {"LD_PRELOAD",  "HQQ_PATHS",  "HQQ_CONFIG", "HQQ_SPIN_US", "HQQ_LINK_AFTER",
                                        "HQQ_POLLING", "HQQ_MEMORY", "HQQ_LOG",    "HQQ_DISABLE"};
    if (program->path[0])
        printf("command      %s\n", program->path);
    if (program->interpreter[0])
        printf("run by       %s\n", program->interpreter);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        print_variable(names[i]);
    if (getenv("HQQ_DISABLE"))
        printf("note         HQQ_DISABLE is set: it may turn all of this off\n");
    if (program->exit_status == 0)
        printf("result       the command can be run so\n");
    else
        printf("result       the command cannot be run so: %s\n", program->reason);
    if (fflush(stdout) != 0)
        return RUN_EXIT_FAILURE;
    return program->exit_status == 0 ? 0 : 1;
}

/* ---- --report -------------------------------------------------------------------------------------------------- */

static int run_with_report(const struct run_options *options, const char *path)
{
    int status = 0;
    FILE *file = options->report_file ? fopen(options->report_file, "we") : stderr;
    if (!file) {
        run_complain("--report: '%s' cannot be written: %s", options->report_file, strerror(errno));
        return RUN_EXIT_FAILURE;
    }
    char *folder = run_report_make_folder();
    if (!folder) {
        run_complain("no folder for the report: %s", strerror(errno));
        return RUN_EXIT_FAILURE;
    }
    int result = set("HQQ_REPORT", folder) ? run_child(path, options->command, &status) : -ENOMEM;
    if (result != 0) {
        run_report_drop(folder);
        run_complain("%s: %s", path, strerror(-result));
        return RUN_EXIT_FAILURE;
    }
    /* The command has ended well or not; whatever becomes of the report, that is what is passed on. */
    result = run_report_write(folder, file, options->json);
    if (result != 0)
        run_complain("the report could not be written: %s", strerror(-result));
    talloc_free(folder);
    fflush(NULL);
    run_end_as(status);
}

int main(int argc, char **argv)
{
    static struct run_options options;
    static struct run_library library;
    static struct run_program program;
    int status;

    if (!run_options_parse(argc, argv, &options, &status))
        return status;
    status = options.dry_run ? 1 : RUN_EXIT_FAILURE;
    if (!run_library_find(options.library, &library))
        return status;
    run_program_find(options.command[0], &library.elf, &program);
    if (!set_environment(&options, library.path))
        return status;
    if (options.dry_run)
        return explain(&program);
    if (program.exit_status != 0) {
        run_complain("%s", program.reason);
        return program.exit_status;
    }
    if (options.report)
        return run_with_report(&options, program.path);
    return run_exec(program.path, options.command);
}
