/* The command line of hqq-run. */
#ifndef HQQ_TOOLS_RUN_OPTIONS_H
#define HQQ_TOOLS_RUN_OPTIONS_H

#include <stdbool.h>

/* As env(1), nohup(1) and the shell have them. */
enum {
    RUN_EXIT_FAILURE = 125, /* hqq-run itself failed, or was used wrongly */
    RUN_EXIT_CANNOT = 126,  /* the command cannot be run, or not with the preload */
    RUN_EXIT_MISSING = 127, /* there is no such command */
};

struct run_options {
    char *paths; /* NULL: as the environment has it */
    char *config;
    const char *spin_us, *link_after, *polling, *log; /* checked */
    const char *library;
    bool dry_run;
    bool report, json;
    const char *report_file; /* NULL: stderr */
    char **command;          /* ends with NULL; not empty */
};

/* False: end with *ret_exit, all is said. The strings live as long as the program. */
bool run_options_parse(int argc, char **argv, struct run_options *ret_options, int *ret_exit);

/* "hqq-run: ..." on stderr. Always false. */
bool run_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
