/* Opening and closing one side of an advanced link, and what its messages are made of. */
#include "tools/advanced/link.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "tools/perf/transport_hqq.h"

/* Both sides are ours, and nothing here is secret. */
static const unsigned char key[HQQ_KEY_BYTES] = "the key of a measurement";

/* ---- Opening and closing ----------------------------------------------------------------------------------------- */

static int negotiate(struct perf_end *end, struct hqq_advanced *advanced)
{
    return end->side == PERF_DRIVER ? hqq_advanced_negotiate(advanced, end->deadline_ns)
                                    : hqq_advanced_accept_negotiation(advanced, end->deadline_ns);
}

int advanced_open(struct perf_end *end, uint64_t required, uint64_t left_out)
{
    struct hqq_advanced_config config = HQQ_ADVANCED_CONFIG_INIT;
    struct advanced_end *own = talloc_zero(end, struct advanced_end);
    int result = own == NULL ? -ENOMEM : perf_link_open(end);

    if (result != 0)
        return result;
    end->own = own;
    left_out |= (HQQ_FEATURE_COMPRESSION | HQQ_FEATURE_ENCRYPTION) & ~required;
    config.features = hqq_advanced_supported_features() & ~left_out;
    config.required_features = required;
    config.key = (required & HQQ_FEATURE_ENCRYPTION) != 0 ? key : NULL;
    result = hqq_advanced_open(end->link, &config, &own->advanced);
    if (result != 0)
        return result;
    result = hqq_advanced_listen(own->advanced, ADVANCED_CONNECTIONS);
    return result == 0 ? negotiate(end, own->advanced) : result;
}

int advanced_connect(struct perf_end *end, unsigned count)
{
    struct advanced_end *own = advanced_of(end);
    int result = 0;

    while (result == 0 && own->connection_count < count) {
        struct hqq_connection **next = &own->connections[own->connection_count];

        result = end->side == PERF_DRIVER ? hqq_advanced_dial(own->advanced, end->deadline_ns, next)
                                          : hqq_advanced_accept(own->advanced, end->deadline_ns, next);
        own->connection_count += result == 0;
    }
    return result;
}

void advanced_close(struct perf_end *end)
{
    struct advanced_end *own = advanced_of(end);
    struct perf_side_result *mine = &end->control->result[end->side];

    if (own == NULL || own->advanced == NULL) {
        perf_link_close(end);
        return;
    }
    mine->has_link = true;
    hqq_link_get_stats(end->link, &mine->link);
    hqq_advanced_close(own->advanced); /* the link with it */
    own->advanced = NULL;
    end->link = NULL;
}

/* ---- Contents ---------------------------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

void advanced_fill_random(struct perf_end *end)
{
    uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

    for (size_t i = 0; i + sizeof(state) <= end->shape->size; i += sizeof(state)) {
        uint64_t word = next_random(&state);

        memcpy(end->out + i, &word, sizeof(word));
    }
}

void advanced_fill_text(struct perf_end *end)
{
    uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    size_t filled = 0;

    while (filled < end->shape->size) {
        char line[128];
        uint64_t word = next_random(&state);
        size_t room = end->shape->size - filled;
        int length =
            snprintf(line, sizeof(line), "2026-11-23T12:%02u:%02u.%03u server[%u]: request %u took %u us\n",
                     (unsigned)(word % 60), (unsigned)(word / 64 % 60), (unsigned)(word / 4096 % 1000),
                     (unsigned)(word >> 32) % 16, (unsigned)(word >> 40) % 1000000, (unsigned)(word >> 48) % 10000);

        memcpy(end->out + filled, line, (size_t)length < room ? (size_t)length : room);
        filled += (size_t)length < room ? (size_t)length : room;
    }
}
