#include "advanced/partial.h"

#include <talloc.h>

#include "advanced/connection.h"

static struct hqq_assembly **bucket(struct hqq_advanced *advanced, uint64_t connection, uint64_t message)
{
    return &advanced->assemblies[(connection * 31 + message) % HQQ_BUCKETS];
}

struct hqq_assembly *hqq_partial_find_exactly(struct hqq_advanced *advanced, uint64_t connection, uint64_t message,
                                              bool answers)
{
    struct hqq_assembly *assembly = *bucket(advanced, connection, message);
    while (assembly && (assembly->begin.connection != connection || assembly->begin.message != message ||
                        hqq_partial_is_answer(assembly->begin.flags) != answers))
        assembly = assembly->next;
    return assembly;
}

struct hqq_assembly *hqq_partial_find(struct hqq_advanced *advanced, const struct hqq_chunk *chunk)
{
    struct hqq_assembly *assembly =
        hqq_partial_find_exactly(advanced, chunk->connection, chunk->message, hqq_partial_is_answer(chunk->flags));
    if (!assembly && (chunk->flags & HQQ_FRAME_ABORT) != 0 && (chunk->flags & HQQ_FRAME_KIND) == 0)
        assembly = hqq_partial_find_exactly(advanced, chunk->connection, chunk->message, true);
    return assembly;
}

struct hqq_assembly *hqq_partial_find_stalest(struct hqq_advanced *advanced)
{
    struct hqq_assembly *stalest = NULL;
    for (size_t i = 0; i < HQQ_BUCKETS; i++) {
        for (struct hqq_assembly *assembly = advanced->assemblies[i]; assembly; assembly = assembly->next) {
            if (!stalest || assembly->touched < stalest->touched)
                stalest = assembly;
        }
    }
    return stalest;
}

struct hqq_assembly *hqq_partial_new(struct hqq_advanced *advanced, const struct hqq_chunk *begin)
{
    struct hqq_assembly *assembly = talloc_zero(advanced->memory, struct hqq_assembly);
    if (!assembly)
        return NULL;
    assembly->begin = *begin;
    assembly->touched = advanced->assembly_clock;
    struct hqq_assembly **at = bucket(advanced, begin->connection, begin->message);
    assembly->next = *at;
    *at = assembly;
    advanced->partial_count++;
    return assembly;
}

void hqq_partial_forget(struct hqq_advanced *advanced, struct hqq_assembly *assembly)
{
    struct hqq_assembly **at = bucket(advanced, assembly->begin.connection, assembly->begin.message);
    while (*at != assembly)
        at = &(*at)->next;
    *at = assembly->next;
    advanced->partial_count--;
    advanced->partial_bytes -= assembly->reserved;
    if (assembly->on)
        hqq_connection_put(assembly->on);
    talloc_free(assembly);
}
