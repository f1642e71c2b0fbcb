#include "tools/counters/show.h"

#include <hqq/socket.h>

static void show_socket(struct perf_json *json, const struct counters_socket *socket)
{
    perf_json_open(json, NULL, '{');
    perf_json_integer(json, "fd", socket->fd);
    perf_json_string(json, "state", socket->is_live ? "live" : "closed");
    perf_json_string(json, "bound", socket->bound);
    perf_json_string(json, "peer", socket->peer);
    perf_json_integer(json, "cookie", socket->cookie);
    perf_json_integer(json, "links", socket->links);
    perf_json_integer(json, "reason", socket->reason);
    perf_json_string(json, "reason_text", hqq_socket_reason_text((enum hqq_socket_reason)socket->reason));
    for (size_t i = 0; i < FIGURES; i++)
        perf_json_integer(json, counters_figures[i].name, socket->figures[i]);
    perf_json_close(json, '}');
}

void counters_show_json(struct perf_json *json, const struct counters_process *process, uint64_t pid)
{
    perf_json_open(json, NULL, '{');
    perf_json_integer(json, "pid", pid);
    perf_json_string(json, "command", process->command);
    perf_json_integer(json, "started_ns", process->started_ns);
    perf_json_integer(json, "log_level", process->log_level);
    perf_json_open(json, "sockets", '[');
    for (size_t i = 0; i < process->count; i++)
        show_socket(json, &process->sockets[i]);
    perf_json_close(json, ']');
    perf_json_close(json, '}');
}
