#include "advanced/stream.h"

#include <errno.h>

#include <talloc.h>

#include "advanced/enter.h"

struct hqq_stream_taker hqq_stream_find(const struct hqq_advanced *advanced, uint64_t connection)
{
    struct hqq_stream_taker any = {0};
    for (size_t i = 0; i < advanced->stream_count; i++) {
        const struct hqq_stream_taker *taker = &advanced->streams[i];
        if (taker->connection == connection)
            return *taker;
        if (taker->connection == HQQ_ANY_CONNECTION)
            any = *taker;
    }
    return any;
}

/* The entry of a connection, new if it has none. */
static struct hqq_stream_taker *entry(struct hqq_advanced *advanced, uint64_t connection)
{
    for (size_t i = 0; i < advanced->stream_count; i++) {
        if (advanced->streams[i].connection == connection)
            return &advanced->streams[i];
    }
    struct hqq_stream_taker *streams = talloc_realloc(advanced->memory, advanced->streams, struct hqq_stream_taker,
                                                      (unsigned)advanced->stream_count + 1);
    if (!streams)
        return NULL;
    advanced->streams = streams;
    return &streams[advanced->stream_count++];
}

int hqq_advanced_set_stream(struct hqq_advanced *advanced, uint64_t connection, hqq_stream_fn *take, void *arg)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    struct hqq_stream_taker *taker = entry(advanced, connection);
    if (!taker)
        return hqq_advanced_end(advanced, -ENOMEM);
    *taker = (struct hqq_stream_taker){connection, take, arg};
    if (!take) /* the last one takes its place */
        *taker = advanced->streams[--advanced->stream_count];
    return hqq_advanced_end(advanced, 0);
}
