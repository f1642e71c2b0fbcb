/* The standard link, many messages a call. Streams only: a round trip is one message. */
#include "tools/perf/message.h"
#include "tools/perf/transport.h"
#include "tools/perf/transport_hqq.h"

#include <talloc.h>

/* Each message of a batch has memory of its own, as a program's messages would. */
static int open_batch(struct perf_end *end)
{
    unsigned batch = end->shape->batch;
    size_t size = end->shape->size;
    struct hqq_message *messages = talloc_zero_array(end, struct hqq_message, batch);
    struct perf_pages *memory = perf_pages_create(end, (size_t)batch * size, PERF_PAGES_PRIVATE);

    if (messages == NULL || memory == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < batch; i++)
        messages[i] = (struct hqq_message){(unsigned char *)memory->base + i * size, size, size};
    end->messages = messages;
    return perf_link_open(end);
}

static int send_batches(struct perf_end *end, uint64_t count, bool last)
{
    uint64_t left = count;

    while (left > 0) {
        size_t batch = left < end->shape->batch ? (size_t)left : end->shape->batch;
        size_t written;
        int result;

        left -= batch;
        for (size_t i = 0; i < batch; i++) {
            bool is_last = last && left == 0 && i == batch - 1;

            perf_stamp(end->messages[i].data, end->shape->size, end->next++ | (is_last ? PERF_LAST : 0));
        }
        result = hqq_link_write_batch(end->link, end->messages, batch, &written);
        if (result != 0)
            return result;
    }
    return 0;
}

static int receive_batches(struct perf_end *end, uint64_t count)
{
    uint64_t head = 0;
    uint64_t left = count;

    while (left > 0 && (head & PERF_LAST) == 0) {
        size_t batch = left < end->shape->batch ? (size_t)left : end->shape->batch;
        size_t read;
        int result = hqq_link_read_batch(end->link, end->messages, batch, &read);

        for (size_t i = 0; result == 0 && i < read; i++) {
            result = perf_incoming(end, end->messages[i].data, end->messages[i].length, &head);
            if (result == 0)
                result = perf_accept(end, head);
        }
        if (result != 0)
            return result;
        left -= read;
    }
    return 0;
}

const struct perf_transport perf_hqq_batch = {
    .name = "hqq-batch",
    .modes = PERF_BIT(PERF_SPIN) | PERF_BIT(PERF_SLEEP),
    .create = perf_link_create,
    .open = open_batch,
    .close = perf_link_close,
    .send = send_batches,
    .receive = receive_batches,
};
