/* Which cells there are, and the shape of the ring for each. */
#include "tools/perf/session.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

enum { FEWEST_SLOTS = 16, MOST_SLOTS = 512 };

/* Memory for messages that are not copied: their size does not matter to the caches, so that slots need not be few. */
#define MOST_IN_PLACE ((size_t)16 << 20)

/* The largest power of two whose buffers fill at most half of the cache, which also has those of the program. */
static uint64_t default_slots(const struct perf_session *session, const struct perf_transport *transport, size_t size)
{
    size_t room = transport->in_place ? MOST_IN_PLACE : session->machine.l2_bytes / 2;
    uint64_t slots = MOST_SLOTS;

    while (slots > FEWEST_SLOTS && slots * size > room)
        slots /= 2;
    return slots;
}

static struct perf_shape make_shape(const struct perf_session *session, const struct perf_transport *transport,
                                    size_t size, enum perf_mode mode)
{
    const struct perf_options *options = session->options;
    uint64_t slots = options->slots != 0 ? options->slots : default_slots(session, transport, size);
    uint64_t quarter = slots >= 4 ? slots / 4 : 1;

    return (struct perf_shape){
        .size = size,
        .slots = slots,
        .batch = options->batch < quarter ? options->batch : (unsigned)quarter,
        .sleeps = mode == PERF_SLEEP,
        .yields = session->shares_cpu,
        .spin_ns = options->spin_ns,
        .timeout_ns = options->timeout_ns,
    };
}

static void add_cell(struct perf_session *session, size_t transport, enum perf_kind kind, enum perf_mode mode,
                     size_t size, size_t group)
{
    const struct perf_options *options = session->options;

    session->cells[session->cell_count++] = (struct perf_cell){
        .task =
            {
                .transport = perf_transports[transport],
                .kind = kind,
                .shape = make_shape(session, perf_transports[transport], size, mode),
                .cpus = {options->cpus[0], options->cpus[1]},
                .duration_ns = options->duration_ns,
                .bracket_ns = options->bracket_ns,
            },
        .mode = mode,
        .group = group,
        .is_baseline = perf_transports[transport] == options->baseline,
    };
}

/* The transport that knows no size belongs to the first group alone. */
static void add_group(struct perf_session *session, enum perf_kind kind, enum perf_mode mode, size_t size, size_t group)
{
    bool is_first = size == session->options->sizes[0];

    for (size_t i = 0; i < PERF_TRANSPORTS; i++) {
        const struct perf_transport *transport = perf_transports[i];

        if ((session->options->transports & PERF_BIT(i)) != 0 && perf_transport_does(transport, kind, mode) &&
            (is_first || !transport->any_size))
            add_cell(session, i, kind, mode, size, group);
    }
}

static int plan(struct perf_session *session)
{
    const struct perf_options *options = session->options;
    unsigned most = (unsigned)PERF_KINDS * PERF_MODES * PERF_MAX_SIZES * PERF_TRANSPORTS;
    size_t group = 0;

    session->cells = talloc_zero_array(session, struct perf_cell, most);
    if (session->cells == NULL)
        return -1;
    for (unsigned kind = 0; kind < PERF_KINDS; kind++) {
        for (unsigned mode = 0; mode < PERF_MODES; mode++) {
            if ((options->kinds & PERF_BIT(kind)) == 0 || (options->modes & PERF_BIT(mode)) == 0)
                continue;
            for (size_t i = 0; i < options->size_count; i++)
                add_group(session, kind, mode, options->sizes[i], group++);
        }
    }
    return perf_session_make_room(session);
}

struct perf_session *perf_session_create(const void *parent, const struct perf_options *options, int argc, char **argv)
{
    struct perf_session *session = perf_session_new(parent, options, argc, argv);

    if (session != NULL && plan(session) != 0) {
        talloc_free(session);
        return NULL;
    }
    return session;
}
