/* What a plan begins and ends with. */
#include "tools/perf/session.h"

#include <talloc.h>

static char *join(const void *parent, int argc, char **argv)
{
    char *command = talloc_strdup(parent, "");

    for (int i = 0; i < argc && command != NULL; i++)
        command = talloc_asprintf_append(command, "%s%s", i == 0 ? "" : " ", argv[i]);
    return command;
}

struct perf_session *perf_session_new(const void *parent, const struct perf_options *options, int argc, char **argv)
{
    struct perf_session *session = talloc_zero(parent, struct perf_session);

    if (session == NULL)
        return NULL;
    session->options = options;
    session->shares_cpu = options->cpus[0] == options->cpus[1];
    session->command = join(session, argc, argv);
    perf_machine_read(&session->machine);
    if (session->command == NULL) {
        talloc_free(session);
        return NULL;
    }
    return session;
}

int perf_session_make_room(struct perf_session *session)
{
    unsigned rounds = session->options->rounds + session->options->extra;

    for (size_t i = 0; i < session->cell_count; i++) {
        session->cells[i].runs = talloc_zero_array(session->cells, struct perf_run, rounds);
        if (session->cells[i].runs == NULL)
            return -1;
    }
    return 0;
}

size_t perf_cell_size(const struct perf_cell *cell)
{
    return cell->task.transport->any_size ? 0 : cell->task.shape.size;
}
