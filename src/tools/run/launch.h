/*
 * Running a command as if this tool were not there: in its place, or as a child whose end this process repeats.
 */
#ifndef HQQ_TOOLS_RUN_LAUNCH_H
#define HQQ_TOOLS_RUN_LAUNCH_H

/* Becomes the command. Returns the exit status of having failed, which is said. */
int run_exec(const char *path, char **command);

/* Runs it as a child, passes on signals that were sent to this process, and waits for its end. 0 and its wait status;
 * or -errno, and no child was made. */
int run_child(const char *path, char **command, int *ret_status);

/* Ends as a child with that wait status did: exits with its status, or is killed by its signal. */
_Noreturn void run_end_as(int status);

#endif
