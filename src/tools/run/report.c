#include "tools/run/report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "tools/counters/read.h"
#include "tools/counters/show.h"

#define PROCESSES_MAX 10000

struct report {
    struct counters_process **processes;
    size_t count;
    unsigned unreadable; /* files */
};

/* ---- The folder ------------------------------------------------------------------------------------------------ */

char *run_report_make_folder(void)
{
    const char *parent = getenv("TMPDIR");
    if (!parent || *parent != '/')
        parent = "/tmp";
    char *folder = talloc_asprintf(NULL, "%s/hqq-run.XXXXXX", parent);
    if (!folder) {
        errno = ENOMEM;
    } else if (!mkdtemp(folder)) {
        int error = errno;
        talloc_free(folder);
        folder = NULL;
        errno = error;
    }
    return folder;
}

static int add_file(struct report *report, int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct counters_process *process = NULL;
    int result = fd >= 0 ? counters_read(report->processes, fd, &process) : -errno;
    if (fd >= 0)
        close(fd);
    if (result == 0)
        report->processes[report->count++] = process;
    else if (result == -ENOMEM)
        return result;
    else
        report->unreadable++;
    return 0;
}

/* With report NULL they are only removed. */
static int take_files(struct report *report, const char *path)
{
    int result = 0;
    DIR *folder = opendir(path);
    if (!folder)
        return -errno;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (report && result == 0 && report->count < PROCESSES_MAX)
            result = add_file(report, dirfd(folder), entry->d_name);
        unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
    rmdir(path);
    return result;
}

void run_report_drop(const char *folder)
{
    take_files(NULL, folder);
}

/* ---- The table ------------------------------------------------------------------------------------------------- */

static int compare_starts(const void *one, const void *other)
{
    const struct counters_process *a = *(struct counters_process *const *)one;
    const struct counters_process *b = *(struct counters_process *const *)other;
    return a->started_ns < b->started_ns ? -1 : a->started_ns > b->started_ns;
}

static const char *named(const char *name)
{
    return *name ? name : "(unnamed)";
}

static void print_share(FILE *file, double share)
{
    if (share < 0)
        fprintf(file, " %6s", "-");
    else
        fprintf(file, " %6.1f", share);
}

static void print_socket(FILE *file, const struct counters_process *process, const struct counters_socket *socket)
{
    const uint64_t *figures = socket->figures;
    uint64_t withdrawn = figures[WITHDRAWN];
    fprintf(file, "%-15s %7llu %4d %9llu %9llu %9llu %9llu", process->command, (unsigned long long)process->pid,
            (int)socket->fd, (unsigned long long)figures[SENT_RING], (unsigned long long)figures[SENT_KERNEL],
            (unsigned long long)figures[RECEIVED_RING], (unsigned long long)figures[RECEIVED_KERNEL]);
    print_share(file, counters_ring_share(socket));
    fprintf(file, " %7llu %7llu %7llu  %s", (unsigned long long)withdrawn, (unsigned long long)figures[SPILLS],
            (unsigned long long)figures[SLEEPS], named(socket->bound));
    if (*socket->peer)
        fprintf(file, " to %s", socket->peer);
    fputc('\n', file);
    const char *why = counters_why(socket);
    if (why)
        fprintf(file, "%28s by the kernel: %s\n", "", why);
}

static void print_head(FILE *file, const struct report *report)
{
    size_t without = 0;
    for (size_t i = 0; i < report->count; i++)
        without += report->processes[i]->count == 0;
    if (report->count == 0) {
        fprintf(file,
                "hqq-run: no process reported: none loaded the preload library, or none could write its report\n");
        return;
    }
    fprintf(file, "hqq-run: %zu process%s", report->count, report->count == 1 ? "" : "es");
    if (without > 0)
        fprintf(file, ", %zu without a UNIX datagram socket of a configured path", without);
    fputc('\n', file);
    if (without < report->count)
        fprintf(file, "                               sent      sent  received  received   ring\n"
                      "command             pid   fd   by ring by kernel   by ring by kernel      %% withdrn  spills"
                      "  sleeps  socket\n");
}

static void print_table(FILE *file, const struct report *report)
{
    print_head(file, report);
    for (size_t i = 0; i < report->count; i++) {
        for (size_t j = 0; j < report->processes[i]->count; j++)
            print_socket(file, report->processes[i], &report->processes[i]->sockets[j]);
    }
    if (report->unreadable > 0)
        fprintf(file, "%u report%s could not be read\n", report->unreadable, report->unreadable == 1 ? "" : "s");
}

static void print_json(FILE *file, const struct report *report)
{
    struct perf_json json = {.file = file};
    perf_json_open(&json, NULL, '{');
    perf_json_open(&json, "processes", '[');
    for (size_t i = 0; i < report->count; i++)
        counters_show_json(&json, report->processes[i], report->processes[i]->pid);
    perf_json_close(&json, ']');
    perf_json_integer(&json, "unreadable", report->unreadable);
    perf_json_close(&json, '}');
}

int run_report_write(const char *folder, FILE *file, bool json)
{
    struct report report = {.processes = talloc_array(NULL, struct counters_process *, PROCESSES_MAX)};
    int result = report.processes ? take_files(&report, folder) : -ENOMEM;
    if (result == 0) {
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): it is an array of pointers */
        qsort(report.processes, report.count, sizeof(report.processes[0]), compare_starts);
        if (json)
            print_json(file, &report);
        else
            print_table(file, &report);
        errno = EIO;
        if (fflush(file) != 0 || ferror(file))
            result = -errno;
    } else {
        run_report_drop(folder);
    }
    talloc_free(report.processes);
    return result;
}
