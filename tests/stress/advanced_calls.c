/* Calls: several under way at once, answered in any order, with an error, never, or given up. See advanced.h. */
#include <stdlib.h>
#include <string.h>

#include "advanced/state.h"
#include "stress/advanced.h"

#define BATCH 6u
#define HELD 4u

/* What the server does with a request. */
enum method {
    METHOD_ANSWER,
    METHOD_ERROR,
    METHOD_DROP, /* no answer */
    METHOD_LATER,
    METHODS,
    METHOD_HANDLED = 100, /* by a handler, where there is a dispatcher */
    METHOD_QUIT = 200,    /* the server ends */
};

/* Of request and answer; what follows is the message of that lane and number. */
struct head {
    uint64_t lane, number;
};

static uint64_t status_of(const struct head *head)
{
    return heavy_mix(head->lane ^ heavy_mix(head->number));
}

/* Head and message, one after the other. */
static size_t compose(const struct advanced_round *round, const struct head *head, unsigned char *buffer)
{
    memcpy(buffer, head, sizeof(*head));
    return sizeof(*head) + advanced_fill(round, head->lane, head->number, buffer + sizeof(*head));
}

static struct head check(const struct advanced_round *round, const unsigned char *data, size_t length)
{
    struct head head;
    if (length < sizeof(head))
        heavy_fail("a request or answer of %zu bytes", length);
    memcpy(&head, data, sizeof(head));
    if (length - sizeof(head) != advanced_length(round, head.lane, head.number))
        heavy_fail("a request or answer of %zu bytes", length);
    advanced_check(round, head.lane, head.number, 0, data + sizeof(head), length - sizeof(head));
    return head;
}

/* ---- Asking ------------------------------------------------------------------------------------------------------- */

struct asked {
    struct hqq_pending *pending;
    struct head head;
    uint64_t method;
};

static uint64_t any_method(struct advanced_thread *self)
{
    if ((self->end->round->trouble & ADVANCED_DISPATCHER) != 0 && heavy_one_in(&self->random, 3))
        return METHOD_HANDLED;
    return heavy_below(&self->random, METHODS);
}

static void ask(struct advanced_thread *self, struct asked *asked, unsigned char *buffer)
{
    size_t length = compose(self->end->round, &asked->head, buffer);
    int result;
    do {
        result = hqq_pending_begin(self->end->advanced, NULL, asked->method, buffer, length, advanced_deadline(self),
                                   &asked->pending);
        atomic_fetch_add(&self->end->round->progress, 1);
    } while (advanced_gave_up(self, result));
    heavy_expect("begin of a call", result, 0);
}

static void check_answer(struct advanced_thread *self, const struct asked *asked, int result, uint64_t status,
                         struct hqq_received *answer)
{
    heavy_expect("call", result, asked->method == METHOD_ERROR ? HQQ_ERROR_REMOTE : 0);
    struct head head = check(self->end->round, answer->data, answer->length);
    if (head.lane != asked->head.lane + 1 || head.number != asked->head.number || status != status_of(&asked->head))
        heavy_fail("call %llu of lane %llx was answered by number %llu of lane %llx",
                   (unsigned long long)asked->head.number, (unsigned long long)asked->head.lane,
                   (unsigned long long)head.number, (unsigned long long)head.lane);
    hqq_received_free(self->end->advanced, answer);
    atomic_fetch_add(&self->end->round->called, 1);
}

/* Once the other thread waits for it; else it would be freed under its hands. */
static void *cancel_waited_for(void *arg)
{
    struct hqq_pending *pending = arg;
    const struct timespec soon = {.tv_nsec = 20000};
    for (bool is_waited_for = false; !is_waited_for;) {
        nanosleep(&soon, NULL);
        hqq_advanced_lock(pending->advanced);
        is_waited_for = pending->is_waited_for;
        hqq_advanced_unlock(pending->advanced);
    }
    hqq_pending_cancel(pending);
    return NULL;
}

/* Nothing will answer it: waits until its time is over, or another thread cancels it, or does not wait. */
static void give_up(struct advanced_thread *self, struct hqq_pending *pending)
{
    pthread_t canceler;
    switch (heavy_below(&self->random, 8)) {
    case 0:
        if (pthread_create(&canceler, NULL, cancel_waited_for, pending) != 0)
            heavy_fail("no thread");
        heavy_expect("wait for a call that is canceled", hqq_pending_wait(pending, HQQ_FOREVER, NULL, NULL),
                     HQQ_ERROR_CANCELED);
        pthread_join(canceler, NULL);
        break;
    case 1:
        heavy_expect("wait for a call that is not answered",
                     hqq_pending_wait(pending, hqq_clock_ns() + HEAVY_MS, NULL, NULL), HQQ_ERROR_TIMEOUT);
        hqq_pending_cancel(pending);
        break;
    default:
        hqq_pending_cancel(pending);
        break;
    }
}

/* True once it is settled. */
static bool settle(struct advanced_thread *self, const struct asked *asked)
{
    struct hqq_received answer;
    uint64_t status;
    if (asked->method == METHOD_DROP) {
        give_up(self, asked->pending);
        return true;
    }
    if (asked->method == METHOD_LATER && heavy_one_in(&self->random, 2)) { /* its answer may be coming just now */
        hqq_pending_cancel(asked->pending);
        return true;
    }
    /* An answer that is kept for later needs another request before it comes. */
    uint64_t deadline = asked->method == METHOD_LATER ? hqq_clock_ns() + HEAVY_MS : advanced_deadline(self);
    int result = hqq_pending_wait(asked->pending, deadline, &status, &answer);
    atomic_fetch_add(&self->end->round->progress, 1);
    if (result == HQQ_ERROR_ABORTED && (self->end->round->trouble & ADVANCED_IMPATIENT) != 0)
        return true; /* who answered gave up midway */
    if (!advanced_gave_up(self, result)) {
        check_answer(self, asked, result, status, &answer);
        return true;
    }
    if (asked->method == METHOD_LATER)
        hqq_pending_cancel(asked->pending);
    return asked->method == METHOD_LATER;
}

static void run_batch(struct advanced_thread *self, uint64_t first, unsigned char *buffer)
{
    struct asked asked[BATCH];
    unsigned count = 1 + (unsigned)heavy_below(&self->random, BATCH);
    for (unsigned i = 0; i < count; i++) {
        asked[i].head = (struct head){ADVANCED_CALL_LANE(self->end->side, (uint64_t)2 * self->index), first + i};
        asked[i].method = any_method(self);
        ask(self, &asked[i], buffer);
    }
    while (count > 0) {
        unsigned i = (unsigned)heavy_below(&self->random, count);
        if (settle(self, &asked[i]))
            asked[i] = asked[--count];
    }
}

void advanced_call(struct advanced_thread *self)
{
    unsigned char *buffer = malloc(sizeof(struct head) + ADVANCED_LONGEST);
    struct hqq_received answer;
    for (uint64_t batch = 0; buffer && batch < self->end->round->calls; batch++)
        run_batch(self, batch * BATCH, buffer);
    heavy_expect("call to quit",
                 hqq_advanced_call(self->end->advanced, METHOD_QUIT, NULL, 0, HQQ_FOREVER, NULL, &answer), 0);
    hqq_received_free(self->end->advanced, &answer);
    free(buffer);
}

/* ---- Answering ---------------------------------------------------------------------------------------------------- */

static void respond(struct advanced_thread *self, struct hqq_request *request, unsigned char *buffer)
{
    struct head asked = check(self->end->round, hqq_request_data(request), hqq_request_length(request));
    const struct head head = {asked.lane + 1, asked.number};
    size_t length = compose(self->end->round, &head, buffer);
    uint64_t status = status_of(&asked);
    bool is_error = hqq_request_method(request) == METHOD_ERROR;
    int result;
    do {
        uint64_t deadline = heavy_one_in(&self->random, 3) ? 0 : advanced_deadline(self);
        result =
            (is_error ? hqq_request_respond_error : hqq_request_respond)(request, status, buffer, length, deadline);
        if (result == HQQ_ERROR_TOO_MANY_BYTES) {
            result = (is_error ? hqq_request_respond_error : hqq_request_respond)(request, status, buffer, length,
                                                                                  HQQ_FOREVER);
        }
        atomic_fetch_add(&self->end->round->progress, 1);
    } while (advanced_gave_up(self, result));
    heavy_expect("respond", result, 0);
}

/* Keeps some for later, and answers them in any order. */
void advanced_serve(struct advanced_thread *self)
{
    unsigned char *buffer = malloc(sizeof(struct head) + ADVANCED_LONGEST);
    struct hqq_request *held[HELD], *request;
    unsigned count = 0;
    for (bool quits = !buffer; !quits;) {
        int result = hqq_advanced_serve(self->end->advanced, advanced_deadline(self), &request);
        atomic_fetch_add(&self->end->round->progress, 1);
        if (advanced_gave_up(self, result))
            continue;
        heavy_expect("serve", result, 0);
        quits = hqq_request_method(request) == METHOD_QUIT;
        if (hqq_request_method(request) == METHOD_DROP)
            hqq_request_drop(request);
        else if (hqq_request_method(request) == METHOD_LATER && count < HELD)
            held[count++] = request;
        else if (quits)
            heavy_expect("respond to who quits", hqq_request_respond(request, 0, NULL, 0, HQQ_FOREVER), 0);
        else
            respond(self, request, buffer);
        while (count > 0 && (quits || heavy_one_in(&self->random, 2))) {
            unsigned i = (unsigned)heavy_below(&self->random, count);
            respond(self, held[i], buffer);
            held[i] = held[--count];
        }
    }
    free(buffer);
}

static void handle_request(struct hqq_request *request, void *arg)
{
    struct advanced_end *end = arg;
    struct advanced_thread self = {.end = end, .random = {status_of(&(struct head){hqq_request_length(request), 0})}};
    unsigned char *buffer = malloc(sizeof(struct head) + ADVANCED_LONGEST);
    if (buffer)
        respond(&self, request, buffer);
    free(buffer);
}

void advanced_handle_begin(struct advanced_end *end)
{
    heavy_expect("handle", hqq_advanced_handle(end->advanced, METHOD_HANDLED, handle_request, end), 0);
}
