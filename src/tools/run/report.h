/*
 * The report of hqq-run: the files that processes leave in a folder of this run, as a table or as JSON.
 */
#ifndef HQQ_TOOLS_RUN_REPORT_H
#define HQQ_TOOLS_RUN_REPORT_H

#include <stdbool.h>
#include <stdio.h>

/* Makes a folder that only this user may look into, and returns its path; NULL and errno. */
char *run_report_make_folder(void);

/* Reads and removes its files, removes the folder, and writes the report. 0 or -errno. */
int run_report_write(const char *folder, FILE *file, bool json);

/* Removes the folder and what is in it. */
void run_report_drop(const char *folder);

#endif
