/*
 * A third process that writes garbage into the region while the two ends of an advanced link send, receive, dial, call and
 * stream, each with several threads. Modes: "plain", where neither end may crash, hang, or read where nothing is; and
 * "sealed", where moreover all that is received is what was sent, each message in its place, until the link ends.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hqq/advanced.h>

#include "hostile/attack.h"

#define STALL_NS (15 * HEAVY_S)
#define ROUND_NS (60 * HEAVY_MS * HEAVY_SLOWNESS)
#define SLACK_NS (8 * HEAVY_S * HEAVY_SLOWNESS)
#define LONGEST 2000u
#define STREAM_NUMBER (UINT64_C(1) << 32)

static const struct {
    uint64_t count, size;
} shapes[] = {{2, 64}, {4, 64}, {16, 128}, {64, 256}};

static const unsigned char key[HQQ_KEY_BYTES] = "what the third one does not know";

/* In shared memory. */
struct field {
    uint64_t seed, count, size;
    bool is_sealed;
    size_t bytes;
    void *base;
    sem_t agreed, may_begin;
    _Atomic uint64_t done, got, auth, ended;
};

struct end {
    struct field *field;
    unsigned side;
    struct hqq_advanced *advanced;
    uint64_t until_ns;
    _Atomic bool has_ended;
    uint64_t stream_number; /* the taker's */
};

struct thread {
    struct end *end;
    struct heavy_random random;
    void (*run)(struct thread *self);
    pthread_t thread;
};

/* ---- Messages and results ----------------------------------------------------------------------------------------- */

static size_t fill(uint64_t lane, uint64_t number, unsigned char *data)
{
    size_t length = 1 + heavy_mix(lane ^ heavy_mix(number)) % (LONGEST - 1);
    for (size_t i = 0; i < length; i++)
        data[i] = (unsigned char)heavy_mix(lane + number * LONGEST + i);
    return length;
}

static void check_message(const struct end *end, uint64_t lane, uint64_t number, const void *data, size_t length)
{
    unsigned char expected[LONGEST];
    if (end->field->is_sealed && (fill(lane, number, expected) != length || memcmp(expected, data, length) != 0))
        heavy_fail("message %llu is not what was sent", (unsigned long long)number);
    atomic_fetch_add(&end->field->got, 1);
}

static uint64_t deadline(struct thread *self)
{
    return hqq_clock_ns() + heavy_below(&self->random, 2 * HEAVY_MS);
}

/* True if the thread is to go on. */
static bool goes_on(struct thread *self)
{
    return !atomic_load(&self->end->has_ended) && hqq_clock_ns() < self->end->until_ns;
}

static void note(struct thread *self, const char *what, uint64_t began_ns, int result)
{
    struct end *end = self->end;
    uint64_t took = hqq_clock_ns() - began_ns;
    heavy_steps++;
    if (took > 2 * HEAVY_MS + SLACK_NS)
        heavy_fail("%s took %llu ms", what, (unsigned long long)(took / HEAVY_MS));
    if (result < 0 || result == HQQ_ERROR_FORKED || result == HQQ_ERROR_BUSY)
        heavy_fail("%s: %d (%s), which is not documented", what, result, hqq_strerror(result));
    atomic_fetch_add(&end->field->done, result == 0);
    if (result == HQQ_ERROR_AUTH || result == HQQ_ERROR_PEER_DIED)
        atomic_store(&end->has_ended, true);
}

/* ---- Threads ------------------------------------------------------------------------------------------------------ */

/* A message whose deadline passes is sent again: a number that is left out would look like one that was lost. */
static void send_messages(struct thread *self)
{
    unsigned char data[LONGEST];
    for (uint64_t number = 0; goes_on(self);) {
        size_t length = fill(self->end->side, number, data);
        uint64_t began = hqq_clock_ns();
        int result = heavy_one_in(&self->random, 4)
                         ? hqq_advanced_post(self->end->advanced, 0, data, length)
                         : hqq_advanced_send(self->end->advanced, 0, data, length, deadline(self));
        note(self, "send", began, result);
        number += result == 0;
    }
}

static void receive_messages(struct thread *self)
{
    struct end *end = self->end;
    for (uint64_t number = 0; goes_on(self);) {
        struct hqq_received received;
        uint64_t began = hqq_clock_ns();
        int result = hqq_advanced_receive(end->advanced, deadline(self), &received);
        note(self, "receive", began, result);
        if (result != 0)
            continue;
        if (received.connection == 0 || !end->field->is_sealed)
            check_message(end, 1 - end->side, number++, received.data, received.length);
        hqq_received_free(end->advanced, &received);
    }
}

static void send_stream(struct thread *self)
{
    unsigned char data[LONGEST];
    for (uint64_t number = 0; goes_on(self);) {
        size_t length = fill(2 + self->end->side, number, data);
        uint64_t began = hqq_clock_ns();
        int result = hqq_advanced_send(self->end->advanced, STREAM_NUMBER, data, length, deadline(self));
        note(self, "send of a stream", began, result);
        number += result == 0;
    }
}

static int take_piece(const struct hqq_stream_piece *piece, void *arg)
{
    struct end *end = arg;
    unsigned char expected[LONGEST];
    if (piece->offset > piece->total || piece->length > piece->total - piece->offset)
        heavy_fail("a piece that is not in its message");
    if (end->field->is_sealed && piece->event != HQQ_STREAM_FAILED) {
        size_t length = fill(2 + (1 - end->side), end->stream_number, expected);
        if (piece->total != length ||
            memcmp(expected + piece->offset, piece->data ? piece->data : expected + piece->offset, piece->length) != 0)
            heavy_fail("a piece of message %llu is not what was sent", (unsigned long long)end->stream_number);
    }
    end->stream_number += piece->event == HQQ_STREAM_END;
    atomic_fetch_add(&end->field->got, 1);
    return 0;
}

static void call(struct thread *self)
{
    unsigned char data[LONGEST];
    for (uint64_t number = 0; goes_on(self); number++) {
        struct hqq_received answer;
        uint64_t status, began = hqq_clock_ns();
        size_t length = fill(4 + self->end->side, number, data);
        int result = hqq_advanced_call(self->end->advanced, number, data, length, deadline(self), &status, &answer);
        note(self, "call", began, result);
        if (result != 0 && result != HQQ_ERROR_REMOTE)
            continue;
        if (result == 0)
            check_message(self->end, 4 + self->end->side, number, answer.data, answer.length);
        hqq_received_free(self->end->advanced, &answer);
    }
}

static void serve(struct thread *self)
{
    unsigned char data[LONGEST];
    while (goes_on(self)) {
        struct hqq_request *request;
        uint64_t began = hqq_clock_ns();
        int result = hqq_advanced_serve(self->end->advanced, deadline(self), &request);
        note(self, "serve", began, result);
        if (result != 0)
            continue;
        size_t length = hqq_request_length(request) < LONGEST ? hqq_request_length(request) : LONGEST;
        memcpy(data, hqq_request_data(request), length);
        if (self->end->field->is_sealed)
            check_message(self->end, 4 + (1 - self->end->side), hqq_request_method(request), data, length);
        began = hqq_clock_ns();
        result = hqq_request_respond(request, 1, data, length, deadline(self));
        note(self, "respond", began, result);
        if (result == HQQ_ERROR_WOULD_BLOCK || result == HQQ_ERROR_TIMEOUT || result == HQQ_ERROR_BUFFER_OVERFLOW)
            hqq_request_drop(request);
    }
}

static void dial(struct thread *self)
{
    while (goes_on(self)) {
        struct hqq_connection *connection;
        uint64_t began = hqq_clock_ns();
        bool accepts = heavy_one_in(&self->random, 2);
        int result = accepts ? hqq_advanced_accept(self->end->advanced, deadline(self), &connection)
                             : hqq_advanced_dial(self->end->advanced, deadline(self), &connection);
        note(self, accepts ? "accept" : "dial", began, result);
        if (result != 0)
            continue;
        began = hqq_clock_ns();
        result = hqq_connection_send(connection, "hello", 5, deadline(self));
        note(self, "send on a connection", began, result);
        struct hqq_received received;
        began = hqq_clock_ns();
        result = hqq_connection_receive(connection, deadline(self), &received);
        note(self, "receive of a connection", began, result);
        if (result == 0) {
            if (self->end->field->is_sealed && (received.length != 5 || memcmp(received.data, "hello", 5) != 0))
                heavy_fail("a message of a connection is not what was sent");
            hqq_received_free(self->end->advanced, &received);
        }
        hqq_connection_close(connection, 1);
    }
}

/* ---- Ends --------------------------------------------------------------------------------------------------------- */

static void *run_thread(void *arg)
{
    struct thread *self = arg;
    self->run(self);
    return NULL;
}

static struct hqq_advanced *open_end(const struct field *field, unsigned side)
{
    const struct hqq_link_config config = {
        .buffer_count = field->count,
        .buffer_size = field->size,
        .spin_ns = HQQ_SPIN_NEVER,
        .peer_check_ns = HEAVY_MS,
        .attach_timeout_ns = STALL_NS,
        .role = side == 0 ? HQQ_ROLE_PRIMARY : HQQ_ROLE_SECONDARY,
    };
    const struct hqq_advanced_config advanced_config = {
        .key = field->is_sealed ? key : NULL,
        .max_message = 1 << 16,
        .max_connections = 16,
        .max_calls = 16,
    };
    struct hqq_link *link;
    struct hqq_advanced *advanced;
    heavy_expect("attach", hqq_link_attach(field->base, field->bytes, &config, &link), 0);
    heavy_expect("open", hqq_advanced_open(link, &advanced_config, &advanced), 0);
    heavy_expect("listen", hqq_advanced_listen(advanced, 4), 0);
    return advanced;
}

static void stand(struct end *end)
{
    static void (*const runs[])(struct thread * self) = {send_messages, receive_messages, send_stream, call, serve,
                                                         dial};
    struct thread threads[sizeof(runs) / sizeof(runs[0])];
    for (unsigned i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        threads[i] =
            (struct thread){.end = end, .random = heavy_random(end->field->seed, 10 * end->side + i), .run = runs[i]};
        if (pthread_create(&threads[i].thread, NULL, run_thread, &threads[i]) != 0)
            heavy_fail("no thread");
    }
    for (unsigned i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
        pthread_join(threads[i].thread, NULL);
}

static void run_end(struct field *field, unsigned side)
{
    struct end end = {.field = field, .side = side};
    heavy_watch_begin(&heavy_steps, STALL_NS);
    end.advanced = open_end(field, side);
    heavy_expect("set_stream", hqq_advanced_set_stream(end.advanced, STREAM_NUMBER, take_piece, &end), 0);
    heavy_expect("negotiate", hqq_advanced_negotiate(end.advanced, hqq_clock_ns() + SLACK_NS), 0);
    sem_post(&field->agreed);
    while (sem_wait(&field->may_begin) != 0) {
    }
    end.until_ns = hqq_clock_ns() + ROUND_NS;
    stand(&end);
    atomic_fetch_add(&field->auth, hqq_advanced_process(end.advanced, 0) == HQQ_ERROR_AUTH);
    atomic_fetch_add(&field->ended, atomic_load(&end.has_ended));
    uint64_t began = hqq_clock_ns();
    hqq_advanced_close(end.advanced);
    if (hqq_clock_ns() - began > SLACK_NS)
        heavy_fail("close took %llu ms", (unsigned long long)((hqq_clock_ns() - began) / HEAVY_MS));
    heavy_watch_end();
}

static _Noreturn void be_attacker(const struct field *field)
{
    struct attack attack = attack_new(field->base, field->count, field->size, field->seed, 3);
    static const enum attack_tactic tactics[] = {ATTACK_PACKETS,   ATTACK_PACKETS, ATTACK_RINGS,   ATTACK_ANYWHERE,
                                                 ATTACK_EXTENSION, ATTACK_ALMOST,  ATTACK_INVALID, ATTACK_TACTICS};
    enum attack_tactic only = tactics[field->seed % (sizeof(tactics) / sizeof(tactics[0]))];
    for (;;) {
        struct timespec pause = {.tv_nsec = (long)heavy_below(&attack.random, 4 * HEAVY_MS)};
        enum attack_tactic tactic = only;
        if (only == ATTACK_TACTICS)
            tactic = (enum attack_tactic)heavy_below(&attack.random, ATTACK_TACTICS);
        nanosleep(&pause, NULL); /* honest traffic in between */
        attack_by(&attack, tactic);
    }
}

static void run_round(bool is_sealed, uint64_t seed, struct field *total)
{
    struct heavy_random random = heavy_random(seed, 7);
    uint64_t shape = heavy_below(&random, sizeof(shapes) / sizeof(shapes[0]));
    struct field *field = heavy_shared(sizeof(*field));
    field->seed = seed;
    field->is_sealed = is_sealed;
    field->count = shapes[shape].count;
    field->size = shapes[shape].size;
    sem_init(&field->agreed, 1, 0);
    sem_init(&field->may_begin, 1, 0);
    heavy_expect("layout_size", hqq_layout_size(field->count, field->size, &field->bytes), 0);
    field->base = heavy_shared(field->bytes);
    pid_t ends[2], attacker;
    for (unsigned side = 0; side < 2; side++) {
        ends[side] = heavy_fork();
        if (ends[side] == 0) {
            run_end(field, side);
            exit(0); /* with the sanitizer's look at what is left */
        }
    }
    for (int i = 0; i < 2; i++) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 20 * HEAVY_SLOWNESS;
        if (sem_timedwait(&field->agreed, &until) != 0)
            heavy_fail("the ends do not agree");
    }
    attacker = heavy_fork();
    if (attacker == 0)
        be_attacker(field);
    sem_post(&field->may_begin);
    sem_post(&field->may_begin);
    heavy_reap_well("the primary", ends[0]);
    heavy_reap_well("the secondary", ends[1]);
    kill(attacker, SIGKILL);
    if (heavy_reap(attacker) != 128 + SIGKILL)
        heavy_fail("the attacker ended by itself");
    atomic_fetch_add(&total->done, atomic_load(&field->done));
    atomic_fetch_add(&total->got, atomic_load(&field->got));
    atomic_fetch_add(&total->auth, atomic_load(&field->auth));
    atomic_fetch_add(&total->ended, atomic_load(&field->ended));
    heavy_shared_free(field->base, field->bytes);
    heavy_shared_free(field, sizeof(*field));
}

static void run_mode(const char *name, const struct heavy_options *options)
{
    struct field total = {0};
    bool is_sealed = strcmp(name, "sealed") == 0;
    uint64_t rounds = 0, end = hqq_clock_ns() + options->seconds * HEAVY_S;
    if (is_sealed && (hqq_advanced_supported_features() & HQQ_FEATURE_ENCRYPTION) == 0)
        return;
    do {
        heavy_name_mode(name, options->seed + rounds);
        run_round(is_sealed, options->seed + rounds, &total);
        rounds++;
    } while (hqq_clock_ns() < end || rounds < 8);
    heavy_say("ok    %s: %llu rounds, %llu calls done, %llu messages and pieces, %llu ends were ended, %llu by AUTH",
              name, (unsigned long long)rounds, (unsigned long long)total.done, (unsigned long long)total.got,
              (unsigned long long)total.ended, (unsigned long long)total.auth);
    if (total.got == 0 || (is_sealed && total.auth == 0))
        heavy_fail("nothing was received, or nothing was found out");
}

int main(int argc, char **argv)
{
    const struct heavy_options *options = heavy_start(argc, argv, 2);
    static const char *const modes[] = {"plain", "sealed"};
    bool found = false;
    for (unsigned i = 0; i < 2; i++) {
        if (options->mode && strcmp(options->mode, modes[i]) != 0)
            continue;
        found = true;
        run_mode(modes[i], options);
    }
    if (!found)
        heavy_fail("no such mode");
    return 0;
}
