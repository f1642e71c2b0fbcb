/* The table of groups, and cells made of it. */
#include "tools/advanced/plan.h"

#include <talloc.h>

#include "tools/advanced/link.h"

const char *const perf_kind_names[PERF_KINDS] = {"roundtrip", "stream"};
const char *const perf_mode_names[PERF_MODES] = {"spin", "sleep"};

enum { MOST_IN_GROUP = 6 };

/* How much of messages goes before a stream is timed, and how much memory memcpy() reads from: see tools/perf. */
#define RING_BYTES ((size_t)1 << 20)

struct group {
    const char *title;
    enum advanced_part part;
    enum perf_kind kind;
    size_t bytes;
    bool is_long; /* left out of a quick look */
    const struct perf_transport *baseline;
    const struct perf_transport *transports[MOST_IN_GROUP];
};

static const struct group groups[] = {
    {"A call and its answer, 64 bytes each",
     ADVANCED_CALLS,
     PERF_ROUND_TRIP,
     64,
     false,
     &advanced_socket,
     {&perf_hqq, &advanced_plain, &advanced_encrypted, &advanced_socket}},
    {"A call and its answer, 1 MiB each",
     ADVANCED_CALLS,
     PERF_ROUND_TRIP,
     (size_t)1 << 20,
     false,
     &advanced_socket,
     {&advanced_plain, &advanced_encrypted, &advanced_socket}},
    {"Messages of 64 KiB, one way",
     ADVANCED_MESSAGES,
     PERF_STREAM,
     (size_t)64 << 10,
     false,
     &advanced_socket,
     {&advanced_plain, &advanced_encrypted, &advanced_socket, &perf_memcpy}},
    {"Messages of 1 MiB, one way",
     ADVANCED_MESSAGES,
     PERF_STREAM,
     (size_t)1 << 20,
     false,
     &advanced_socket,
     {&advanced_plain, &advanced_encrypted, &advanced_packed, &advanced_unpackable, &advanced_socket, &perf_memcpy}},
    {"Messages of 16 MiB, one way",
     ADVANCED_MESSAGES,
     PERF_STREAM,
     (size_t)16 << 20,
     true,
     &advanced_socket,
     {&advanced_plain, &advanced_encrypted, &advanced_socket, &perf_memcpy}},
    {"An urgent message there and back, 64 bytes",
     ADVANCED_CLASSES,
     PERF_ROUND_TRIP,
     64,
     false,
     &advanced_equal,
     {&advanced_alone, &advanced_urgent, &advanced_equal}},
    {"Four equal connections, messages of 64 KiB",
     ADVANCED_SHARES,
     PERF_STREAM,
     (size_t)64 << 10,
     false,
     NULL,
     {&advanced_shares}},
};

enum { GROUPS = sizeof(groups) / sizeof(groups[0]) };

static bool is_possible(const struct perf_transport *transport)
{
    uint64_t features = hqq_advanced_supported_features();

    if (transport == &advanced_encrypted)
        return (features & HQQ_FEATURE_ENCRYPTION) != 0;
    if (transport == &advanced_packed || transport == &advanced_unpackable)
        return (features & HQQ_FEATURE_COMPRESSION) != 0;
    return true;
}

/* Links of datagrams have slots of their size; the others those that were asked for. */
static struct perf_shape make_shape(const struct perf_session *session, const struct advanced_options *options,
                                    const struct group *group, const struct perf_transport *transport)
{
    bool is_advanced = transport->create != NULL && transport != &perf_hqq && transport != &advanced_socket;

    return (struct perf_shape){
        .size = group->bytes,
        .slots = group->bytes < RING_BYTES / 2 ? RING_BYTES / group->bytes : 2,
        .link_slots = is_advanced ? options->perf.slots : 0,
        .link_bytes = options->slot_bytes,
        .batch = 1,
        .yields = session->shares_cpu,
        .spin_ns = options->perf.spin_ns,
        .timeout_ns = options->perf.timeout_ns,
    };
}

static void add_group(struct perf_session *session, const struct advanced_options *options, size_t index)
{
    const struct group *group = &groups[index];
    const struct perf_options *perf = &options->perf;

    for (size_t i = 0; i < MOST_IN_GROUP && group->transports[i] != NULL; i++) {
        const struct perf_transport *transport = group->transports[i];

        if (!is_possible(transport))
            continue;
        session->cells[session->cell_count++] = (struct perf_cell){
            .task =
                {
                    .transport = transport,
                    .kind = group->kind,
                    .shape = make_shape(session, options, group, transport),
                    .cpus = {perf->cpus[0], perf->cpus[1]},
                    .duration_ns = perf->duration_ns,
                    .bracket_ns = perf->bracket_ns,
                },
            .group = index,
            .is_baseline = transport == group->baseline,
        };
    }
}

static int plan(struct perf_session *session, const struct advanced_options *options)
{
    session->cells = talloc_zero_array(session, struct perf_cell, (unsigned)GROUPS * MOST_IN_GROUP);
    if (session->cells == NULL)
        return -1;
    for (size_t i = 0; i < GROUPS; i++) {
        if ((options->parts & PERF_BIT(groups[i].part)) != 0 && !(options->perf.quick && groups[i].is_long))
            add_group(session, options, i);
    }
    return perf_session_make_room(session);
}

struct perf_session *advanced_plan(const void *parent, const struct advanced_options *options, int argc, char **argv)
{
    struct perf_session *session = perf_session_new(parent, &options->perf, argc, argv);

    if (session != NULL && plan(session, options) != 0) {
        talloc_free(session);
        return NULL;
    }
    return session;
}

const char *advanced_group_title(size_t group)
{
    return groups[group].title;
}

enum advanced_part advanced_part_of(size_t group)
{
    return groups[group].part;
}

const struct perf_cell *advanced_plain_of(const struct perf_session *session, size_t group)
{
    for (size_t i = 0; i < session->cell_count; i++) {
        if (session->cells[i].group == group && session->cells[i].task.transport == &advanced_plain)
            return &session->cells[i];
    }
    return NULL;
}
