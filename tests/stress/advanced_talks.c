/*
 * Connections: a thread dials, says how the talk goes, both sides send what they have, and one of them closes; the other
 * receives the end, after all that came before it. See advanced.h.
 */
#include <stdlib.h>
#include <string.h>

#include "stress/advanced.h"

#define MOST_EACH 6u

/* The first message on each connection. */
struct plan {
    uint64_t lane; /* of what the dialling side sends, after this; the other side's is the next one */
    uint32_t up, down;
    bool acceptor_closes;
    bool is_abandoned; /* at once, whatever is still to come */
    uint32_t reason;
};

static struct plan draw(struct advanced_thread *self, uint64_t lane)
{
    return (struct plan){
        .lane = lane,
        .up = (uint32_t)heavy_below(&self->random, MOST_EACH),
        .down = (uint32_t)heavy_below(&self->random, MOST_EACH),
        .acceptor_closes = heavy_one_in(&self->random, 2),
        .is_abandoned = heavy_one_in(&self->random, 4),
        .reason = (uint32_t)heavy_next(&self->random),
    };
}

static void count_step(struct advanced_thread *self)
{
    atomic_fetch_add(&self->end->round->progress, 1);
}

static void receive_next(struct advanced_thread *self, struct hqq_connection *connection,
                         struct hqq_received *ret_received)
{
    int result;
    do {
        result = hqq_connection_receive(connection, advanced_deadline(self), ret_received);
        count_step(self);
    } while (advanced_gave_up(self, result) || result == HQQ_ERROR_ABORTED);
    heavy_expect("receive of a connection", result, 0);
    if (ret_received->connection != hqq_connection_id(connection))
        heavy_fail("connection %llu got a message of %llu", (unsigned long long)hqq_connection_id(connection),
                   (unsigned long long)ret_received->connection);
}

static void receive_all(struct advanced_thread *self, struct hqq_connection *connection, uint64_t lane, uint32_t count)
{
    struct advanced_round *round = self->end->round;
    for (uint32_t number = 0; number < count; number++) {
        struct hqq_received received;
        receive_next(self, connection, &received);
        if (received.length != advanced_length(round, lane, number))
            heavy_fail("message %u of lane %llx has %zu bytes", number, (unsigned long long)lane, received.length);
        advanced_check(round, lane, number, 0, received.data, received.length);
        hqq_received_free(self->end->advanced, &received);
        atomic_fetch_add(&round->got, 1);
    }
}

static void send_all(struct advanced_thread *self, struct hqq_connection *connection, uint64_t lane, uint32_t count,
                     unsigned char *buffer)
{
    for (uint32_t number = 0; number < count; number++)
        advanced_send_one(self, connection, 0, lane, number, buffer);
}

/* Closes, or is closed; what it is told then is what the other side said. */
static void part(struct advanced_thread *self, struct hqq_connection *connection, bool closes, uint32_t reason)
{
    struct hqq_received received;
    if (!closes) {
        int result;
        do {
            result = hqq_connection_receive(connection, advanced_deadline(self), &received);
            count_step(self);
        } while (advanced_gave_up(self, result) || result == HQQ_ERROR_ABORTED);
        heavy_expect("receive at the end of a connection", result, HQQ_ERROR_CLOSED);
        if (hqq_connection_close_reason(connection) != reason)
            heavy_fail("closed because of %llu, not %u", (unsigned long long)hqq_connection_close_reason(connection),
                       reason);
        heavy_expect("send on a connection that is closed", hqq_connection_send(connection, "", 0, HQQ_FOREVER),
                     HQQ_ERROR_CLOSED);
    }
    hqq_connection_close(connection, closes ? reason : 0);
}

/* Posts until the other side, which receives nothing of it, has closed; what is on its way then is given up. */
static void post_in_vain(struct advanced_thread *self, struct hqq_connection *connection, unsigned char *buffer)
{
    size_t length = 20 * self->end->round->size;
    memset(buffer, 1, length);
    for (unsigned i = 0; i < 4; i++) {
        int result = hqq_connection_post(connection, buffer, length);
        if (result != HQQ_ERROR_CLOSED && result != HQQ_ERROR_TOO_MANY_BYTES)
            heavy_expect("post on a connection that may be closed", result, 0);
    }
}

static struct hqq_connection *dial_one(struct advanced_thread *self)
{
    struct hqq_connection *connection;
    for (;;) {
        int result = hqq_advanced_dial(self->end->advanced, advanced_deadline(self), &connection);
        if (result == 0)
            return connection;
        if (result == HQQ_ERROR_CONN_NOT_FOUND) /* the backlog is full */
            count_step(self);
        else if (!advanced_gave_up(self, result))
            heavy_expect("dial", result, 0);
    }
}

void advanced_dial(struct advanced_thread *self)
{
    const struct advanced_round *round = self->end->round;
    unsigned char *buffer = malloc(ADVANCED_LONGEST);
    for (uint32_t talk = 0; buffer && talk < round->talks; talk++) {
        struct hqq_connection *connection = dial_one(self);
        struct plan plan = draw(self, ADVANCED_TALK_LANE(self->end->side, self->index, (uint64_t)talk));
        heavy_expect("plan", hqq_connection_send(connection, &plan, sizeof(plan), HQQ_FOREVER), 0);
        if (plan.is_abandoned) {
            post_in_vain(self, connection, buffer);
            part(self, connection, false, plan.reason);
            continue;
        }
        send_all(self, connection, plan.lane, plan.up, buffer);
        receive_all(self, connection, plan.lane + 1, plan.down);
        part(self, connection, !plan.acceptor_closes, plan.reason);
    }
    free(buffer);
}

/* A connection whose dialling was given up after it had come here is closed before it says anything. */
static bool receive_plan(struct advanced_thread *self, struct hqq_connection *connection, struct plan *ret_plan)
{
    struct hqq_received received;
    int result;
    do {
        result = hqq_connection_receive(connection, advanced_deadline(self), &received);
        count_step(self);
    } while (advanced_gave_up(self, result));
    if (result == HQQ_ERROR_CLOSED && (self->end->round->trouble & ADVANCED_IMPATIENT) != 0)
        return false;
    heavy_expect("receive of a plan", result, 0);
    if (received.length != sizeof(*ret_plan))
        heavy_fail("a plan of %zu bytes", received.length);
    memcpy(ret_plan, received.data, sizeof(*ret_plan));
    hqq_received_free(self->end->advanced, &received);
    return true;
}

void advanced_accept(struct advanced_thread *self)
{
    unsigned char *buffer = malloc(ADVANCED_LONGEST);
    for (uint32_t talk = 0; buffer && talk < self->end->round->talks;) {
        struct hqq_connection *connection;
        struct plan plan;
        int result = hqq_advanced_accept(self->end->advanced, advanced_deadline(self), &connection);
        count_step(self);
        if (advanced_gave_up(self, result))
            continue;
        heavy_expect("accept", result, 0);
        if (!receive_plan(self, connection, &plan)) {
            hqq_connection_close(connection, 0);
            continue;
        }
        if (!plan.is_abandoned) {
            receive_all(self, connection, plan.lane, plan.up);
            send_all(self, connection, plan.lane + 1, plan.down, buffer);
        }
        part(self, connection, plan.is_abandoned || plan.acceptor_closes, plan.reason);
        talk++;
    }
    free(buffer);
}
