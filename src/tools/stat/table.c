#include "tools/stat/table.h"

#include <string.h>

#include <hqq/socket.h>

#include "tools/counters/show.h"

/* ---- Columns --------------------------------------------------------------------------------------------------- */

struct column {
    const char *title;
    enum counters_figure figure; /* FIGURES: computed */
    const char *meaning;         /* of a computed one */
};

static const struct column columns[] = {
    {"sent-ring", SENT_RING, NULL},
    {"sent-kern", SENT_KERNEL, NULL},
    {"recv-ring", RECEIVED_RING, NULL},
    {"recv-kern", RECEIVED_KERNEL, NULL},
    {"ring%", FIGURES, "of the datagrams sent and received, how many went through shared memory"},
    {"withdrawn", WITHDRAWN, NULL},
    {"trials", TRIALS, NULL},
    {"spins", SPINS_WON, NULL},
    {"sleeps", SLEEPS, NULL},
    {"spills", SPILLS, NULL},
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

void stat_table_explain(FILE *file)
{
    static const char *const others[][2] = {
        {"command", "name of the process"},
        {"pid", "its number"},
        {"fd", "descriptor by which the socket was first known"},
        {"way", "ring: shared memory, at least one link is open; kernel: no link is open; closed: the socket is"},
        {"links", "links open now"},
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        fprintf(file, "%-10s %s\n", others[i][0], others[i][1]);
    for (size_t i = 0; i < COLUMNS; i++)
        fprintf(file, "%-10s %s\n", columns[i].title,
                columns[i].figure == FIGURES ? columns[i].meaning : counters_figures[columns[i].figure].meaning);
    fprintf(file, "%-10s names the socket is bound and connected to; @ begins an abstract name\n", "socket");
    fputs("\nBelow a socket of the kernel's way stands why. With --interval all figures are of a second.\n", file);
}

/* ---- Rates ----------------------------------------------------------------------------------------------------- */

static const struct counters_process *find_before(const struct stat_snapshot *before,
                                                  const struct stat_process *process)
{
    for (size_t i = 0; before && i < before->count; i++) {
        const struct stat_process *other = &before->processes[i];
        if (other->pid == process->pid && other->counters->started_ns == process->counters->started_ns)
            return other->counters;
    }
    return NULL;
}

static const struct counters_socket *find_socket(const struct counters_process *process,
                                                 const struct counters_socket *socket)
{
    for (size_t i = 0; process && i < process->count; i++) {
        if (process->sockets[i].index == socket->index && process->sockets[i].cookie == socket->cookie)
            return &process->sockets[i];
    }
    return NULL;
}

/* What the figures have grown by; a socket that was not there before began at 0. */
static void subtract(struct counters_socket *socket, const struct counters_socket *before)
{
    for (size_t i = 0; before && i < FIGURES; i++) {
        uint64_t old = before->figures[i];
        socket->figures[i] = socket->figures[i] > old ? socket->figures[i] - old : 0;
    }
}

static double seconds_between(const struct stat_snapshot *now, const struct stat_snapshot *before)
{
    return before ? (double)(now->taken_ns - before->taken_ns) / 1e9 : 1;
}

/* ---- The table ------------------------------------------------------------------------------------------------- */

static const char *way_of(const struct counters_socket *socket)
{
    if (!socket->is_live)
        return "closed";
    return socket->reason == HQQ_SOCKET_ACCELERATED ? "ring" : "kernel";
}

static void print_titles(FILE *file)
{
    fprintf(file, "%-15s %7s %4s %-6s %5s", "command", "pid", "fd", "way", "links");
    for (size_t i = 0; i < COLUMNS; i++)
        fprintf(file, " %9s", columns[i].title);
    fprintf(file, "  socket\n");
}

static void print_socket(FILE *file, const struct stat_process *process, const struct counters_socket *socket,
                         double seconds)
{
    fprintf(file, "%-15s %7ld %4d %-6s %5u", process->counters->command, (long)process->pid, (int)socket->fd,
            way_of(socket), socket->links);
    for (size_t i = 0; i < COLUMNS; i++) {
        double share = counters_ring_share(socket);
        if (columns[i].figure != FIGURES)
            fprintf(file, " %9.0f", (double)socket->figures[columns[i].figure] / seconds);
        else if (share < 0)
            fprintf(file, " %9s", "-");
        else
            fprintf(file, " %9.1f", share);
    }
    fprintf(file, "  %s%s%s\n", *socket->bound ? socket->bound : "(unnamed)", *socket->peer ? " to " : "",
            socket->peer);
}

size_t stat_table_print(FILE *file, const struct stat_snapshot *now, const struct stat_snapshot *before, bool all)
{
    double seconds = seconds_between(now, before);
    size_t shown = 0;
    for (size_t i = 0; i < now->count; i++) {
        const struct stat_process *process = &now->processes[i];
        const struct counters_process *earlier = find_before(before, process);
        for (size_t j = 0; j < process->counters->count; j++) {
            struct counters_socket socket = process->counters->sockets[j];
            if (!socket.is_live && !all)
                continue;
            const char *why = counters_why(&socket);
            subtract(&socket, find_socket(earlier, &socket));
            if (shown++ == 0)
                print_titles(file);
            print_socket(file, process, &socket, seconds);
            if (why)
                fprintf(file, "%28s by the kernel: %s\n", "", why);
        }
    }
    return shown;
}

/* ---- JSON ------------------------------------------------------------------------------------------------------ */

static void print_rates(struct perf_json *json, const struct stat_snapshot *now, const struct stat_snapshot *before)
{
    double seconds = seconds_between(now, before);
    perf_json_number(json, "seconds", seconds);
    perf_json_open(json, "rates", '[');
    for (size_t i = 0; i < now->count; i++) {
        const struct stat_process *process = &now->processes[i];
        const struct counters_process *earlier = find_before(before, process);
        for (size_t j = 0; j < process->counters->count; j++) {
            struct counters_socket socket = process->counters->sockets[j];
            subtract(&socket, find_socket(earlier, &socket));
            perf_json_open(json, NULL, '{');
            perf_json_integer(json, "pid", (uint64_t)process->pid);
            perf_json_integer(json, "fd", socket.fd);
            perf_json_integer(json, "cookie", socket.cookie);
            for (size_t k = 0; k < FIGURES; k++)
                perf_json_number(json, counters_figures[k].name, (double)socket.figures[k] / seconds);
            perf_json_close(json, '}');
        }
    }
    perf_json_close(json, ']');
}

void stat_json_print(FILE *file, const struct stat_snapshot *now, const struct stat_snapshot *before)
{
    struct perf_json json = {.file = file};
    perf_json_open(&json, NULL, '{');
    perf_json_open(&json, "processes", '[');
    for (size_t i = 0; i < now->count; i++)
        counters_show_json(&json, now->processes[i].counters, (uint64_t)now->processes[i].pid);
    perf_json_close(&json, ']');
    if (before)
        print_rates(&json, now, before);
    perf_json_close(&json, '}');
}
