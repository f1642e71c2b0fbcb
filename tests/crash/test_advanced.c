/*
 * A process that kills itself in the middle of an exchange over an advanced link: at each of its labelled points, at the
 * first, second and fifth passing, in every exchange. Whoever is left, and waits in whatever call, gets PEER_DIED in
 * bounded time, has received what was complete before, and leaks nothing. Each label must be reached at each passing
 * by some exchange.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <hqq/advanced.h>
#include <talloc.h>

#include "support/heavy.h"

#define COUNT 8u
#define SIZE 64u
#define LENGTH 1000u
#define TURNS 40u
#define PEER_CHECK_NS (5 * HEAVY_MS)
#define BOUND_NS (8 * HEAVY_S * HEAVY_SLOWNESS)
#define STALL_NS (10 * HEAVY_S)
#define NOT_REACHED 3
#define KILLED (128 + SIGKILL)

static const char *const labels[] = {"advanced.taken", "advanced.chunk", "advanced.claimed", "advanced.put"};
static const unsigned passings[] = {1, 2, 5};
#define LABELS (sizeof(labels) / sizeof(labels[0]))
#define PASSINGS (sizeof(passings) / sizeof(passings[0]))

static const unsigned char key[HQQ_KEY_BYTES] = "what both of them know";

/* In shared memory. */
struct ledger {
    _Atomic uint64_t died_ns;
    _Atomic uint64_t whole; /* messages that the victim's calls said were sent */
    sem_t opened;
};

struct side {
    struct hqq_advanced *advanced;
    struct ledger *ledger;
    _Atomic uint64_t got; /* messages; a stream's are counted by whoever takes */
};

/* What each of the two does in an exchange. The survivor's returns how it ended. */
struct exchange {
    const char *name;
    bool is_negotiation; /* the victim is doomed before it, not after */
    bool is_stream;      /* who receives does so by a function, set before anything can come */
    void (*victim)(struct side *side);
    int (*survivor)(struct side *side);
};

/* ---- Messages ----------------------------------------------------------------------------------------------------- */

static void fill(uint64_t number, unsigned char *data)
{
    for (size_t i = 0; i < LENGTH; i++)
        data[i] = (unsigned char)heavy_mix(number * LENGTH + i);
}

static void check(uint64_t number, const struct hqq_received *received)
{
    unsigned char expected[LENGTH];
    fill(number, expected);
    if (received->length != LENGTH || memcmp(received->data, expected, LENGTH) != 0)
        heavy_fail("message %llu is not what was sent", (unsigned long long)number);
}

static int receive_one(struct side *side, struct hqq_connection *connection)
{
    struct hqq_received received;
    int result = connection ? hqq_connection_receive(connection, HQQ_FOREVER, &received)
                            : hqq_advanced_receive(side->advanced, HQQ_FOREVER, &received);
    if (result != 0)
        return result;
    check(side->got++, &received);
    hqq_received_free(side->advanced, &received);
    return 0;
}

static int receive_all(struct side *side)
{
    int result;
    do {
        result = receive_one(side, NULL);
    } while (result == 0);
    if (side->got < atomic_load(&side->ledger->whole))
        heavy_fail("%llu messages came of %llu that were sent", (unsigned long long)atomic_load(&side->got),
                   (unsigned long long)atomic_load(&side->ledger->whole));
    return result;
}

static int send_all(struct side *side, unsigned turns)
{
    unsigned char data[LENGTH];
    int result = 0;
    for (uint64_t number = 0; number < turns && result == 0; number++) {
        fill(number, data);
        result = hqq_advanced_send(side->advanced, 0, data, LENGTH, HQQ_FOREVER);
        if (result == 0)
            atomic_fetch_add(&side->ledger->whole, 1);
    }
    return result;
}

static void victim_sends(struct side *side)
{
    (void)send_all(side, TURNS);
}

static void victim_receives(struct side *side)
{
    for (unsigned i = 0; i < TURNS && receive_one(side, NULL) == 0; i++) {
    }
}

static int survivor_sends(struct side *side)
{
    return send_all(side, UINT32_MAX);
}

/* ---- In pieces, and as a stream ----------------------------------------------------------------------------------- */

static int send_pieces(struct side *side, unsigned turns)
{
    unsigned char data[LENGTH];
    int result = 0;
    for (uint64_t number = 0; number < turns && result == 0; number++) {
        struct hqq_outgoing *outgoing;
        fill(number, data);
        result = hqq_outgoing_begin(side->advanced, 0, LENGTH, &outgoing);
        if (result != 0)
            break;
        for (size_t at = 0; at < LENGTH && result == 0; at += LENGTH / 4)
            result = hqq_outgoing_write(outgoing, data + at, LENGTH / 4, HQQ_FOREVER);
        if (result == 0)
            result = hqq_outgoing_finish(outgoing, HQQ_FOREVER);
        else
            hqq_outgoing_abort(outgoing);
    }
    return result;
}

static int take_piece(const struct hqq_stream_piece *piece, void *arg)
{
    unsigned char expected[LENGTH];
    struct side *side = arg;
    fill(side->got, expected);
    if (piece->total != LENGTH || piece->offset + piece->length > LENGTH ||
        (piece->length != 0 && memcmp(piece->data, expected + piece->offset, piece->length) != 0))
        heavy_fail("a piece is not what was sent");
    side->got += piece->event == HQQ_STREAM_END;
    return 0;
}

static int stream_all(struct side *side, unsigned turns)
{
    int result = 0;
    while (result == 0 && side->got < turns)
        result = hqq_advanced_process(side->advanced, HQQ_FOREVER);
    return result;
}

static void victim_sends_pieces(struct side *side)
{
    (void)send_pieces(side, TURNS);
}

static void victim_streams(struct side *side)
{
    (void)stream_all(side, TURNS);
}

static int survivor_sends_pieces(struct side *side)
{
    return send_pieces(side, UINT32_MAX);
}

static int survivor_streams(struct side *side)
{
    return stream_all(side, UINT32_MAX);
}

/* ---- Connections -------------------------------------------------------------------------------------------------- */

/* Dials, posts, and closes after that. */
static int dial_all(struct side *side, unsigned turns)
{
    unsigned char data[LENGTH];
    int result = 0;
    for (unsigned i = 0; i < turns && result == 0; i++) {
        struct hqq_connection *connection;
        result = hqq_advanced_dial(side->advanced, HQQ_FOREVER, &connection);
        if (result != 0)
            break;
        fill(0, data);
        result = hqq_connection_post(connection, data, LENGTH);
        fill(1, data);
        if (result == 0)
            result = hqq_connection_send(connection, data, LENGTH, HQQ_FOREVER);
        hqq_connection_close(connection, i);
        if (result == HQQ_ERROR_CLOSED && hqq_advanced_process(side->advanced, 0) == HQQ_ERROR_PEER_DIED)
            result = HQQ_ERROR_PEER_DIED; /* the link's end has closed the connection too */
    }
    return result;
}

/* Whatever comes on a connection that was begun and not ended is a beginning of what was to come. */
static int accept_all(struct side *side, unsigned turns)
{
    int result = 0;
    for (unsigned i = 0; i < turns && result == 0; i++) {
        struct hqq_connection *connection;
        result = hqq_advanced_accept(side->advanced, HQQ_FOREVER, &connection);
        if (result != 0)
            break;
        side->got = 0;
        do {
            result = receive_one(side, connection);
        } while (result == 0);
        if (result == HQQ_ERROR_CLOSED && side->got == 2)
            result = 0;
        hqq_connection_close(connection, 0);
    }
    return result;
}

static void victim_dials(struct side *side)
{
    (void)dial_all(side, TURNS);
}

static void victim_accepts(struct side *side)
{
    (void)accept_all(side, TURNS);
}

static int survivor_dials(struct side *side)
{
    return dial_all(side, UINT32_MAX);
}

static int survivor_accepts(struct side *side)
{
    return accept_all(side, UINT32_MAX);
}

/* ---- Calls -------------------------------------------------------------------------------------------------------- */

static int call_all(struct side *side, unsigned turns)
{
    unsigned char data[LENGTH];
    int result = 0;
    for (uint64_t number = 0; number < turns && result == 0; number++) {
        struct hqq_received answer;
        uint64_t status;
        fill(number, data);
        result = hqq_advanced_call(side->advanced, 1, data, LENGTH, HQQ_FOREVER, &status, &answer);
        if (result != 0)
            break;
        check(number, &answer);
        hqq_received_free(side->advanced, &answer);
    }
    return result;
}

static int serve_all(struct side *side, unsigned turns)
{
    int result = 0;
    for (unsigned i = 0; i < turns && result == 0; i++) {
        struct hqq_request *request;
        unsigned char data[LENGTH];
        result = hqq_advanced_serve(side->advanced, HQQ_FOREVER, &request);
        if (result != 0)
            break;
        if (hqq_request_length(request) != LENGTH)
            heavy_fail("a request of %zu bytes", hqq_request_length(request));
        memcpy(data, hqq_request_data(request), LENGTH);
        result = hqq_request_respond(request, 0, data, LENGTH, HQQ_FOREVER);
    }
    return result;
}

static void victim_calls(struct side *side)
{
    (void)call_all(side, TURNS);
}

static void victim_serves(struct side *side)
{
    (void)serve_all(side, TURNS);
}

static int survivor_calls(struct side *side)
{
    return call_all(side, UINT32_MAX);
}

static int survivor_serves(struct side *side)
{
    return serve_all(side, UINT32_MAX);
}

/* ---- A stall ------------------------------------------------------------------------------------------------------ */

static void say_when(void *arg)
{
    struct ledger *ledger = arg;
    atomic_store(&ledger->died_ns, hqq_clock_ns());
}

/* Takes what comes, and reads none of it, until the other one has no credit left. */
static void victim_lets_wait(struct side *side)
{
    while (hqq_advanced_process(side->advanced, hqq_clock_ns() + 20 * HEAVY_MS) == 0) {
    }
    say_when(side->ledger);
    raise(SIGKILL);
}

/* ---- Negotiation --------------------------------------------------------------------------------------------------- */

static void victim_negotiates(struct side *side)
{
    (void)hqq_advanced_negotiate(side->advanced, HQQ_FOREVER);
}

static void victim_is_asked(struct side *side)
{
    (void)hqq_advanced_accept_negotiation(side->advanced, HQQ_FOREVER);
}

/* The victim may die when this end has what it needs. */
static int receive_after(struct side *side, int result)
{
    struct hqq_received received;
    return result == 0 ? hqq_advanced_receive(side->advanced, HQQ_FOREVER, &received) : result;
}

static int survivor_negotiates(struct side *side)
{
    return receive_after(side, hqq_advanced_negotiate(side->advanced, HQQ_FOREVER));
}

static int survivor_is_asked(struct side *side)
{
    return receive_after(side, hqq_advanced_accept_negotiation(side->advanced, HQQ_FOREVER));
}

static const struct exchange exchanges[] = {
    {"negotiates", true, false, victim_negotiates, survivor_is_asked},
    {"is asked", true, false, victim_is_asked, survivor_negotiates},
    {"sends", false, false, victim_sends, receive_all},
    {"receives", false, false, victim_receives, survivor_sends},
    {"sends pieces", false, true, victim_sends_pieces, survivor_streams},
    {"streams", false, true, victim_streams, survivor_sends_pieces},
    {"dials", false, false, victim_dials, survivor_accepts},
    {"accepts", false, false, victim_accepts, survivor_dials},
    {"calls", false, false, victim_calls, survivor_serves},
    {"serves", false, false, victim_serves, survivor_calls},
};

static const struct exchange stall = {"lets wait", false, false, victim_lets_wait, survivor_sends};

/* ---- A scene ------------------------------------------------------------------------------------------------------- */

static struct hqq_advanced *open_end(void *region, size_t bytes, enum hqq_role role)
{
    const struct hqq_link_config config = {
        .buffer_count = COUNT,
        .buffer_size = SIZE,
        .spin_ns = HQQ_SPIN_NEVER,
        .peer_check_ns = PEER_CHECK_NS,
        .role = role,
        .attach_timeout_ns = BOUND_NS,
    };
    const struct hqq_advanced_config advanced_config = {.key = key, .window = 4096};
    struct hqq_link *link;
    struct hqq_advanced *advanced;
    heavy_expect("attach", hqq_link_attach(region, bytes, &config, &link), 0);
    heavy_expect("open", hqq_advanced_open(link, &advanced_config, &advanced), 0);
    heavy_expect("listen", hqq_advanced_listen(advanced, 4), 0);
    return advanced;
}

static _Noreturn void be_victim(const struct exchange *exchange, void *region, size_t bytes, enum hqq_role role,
                                struct ledger *ledger, const char *label, unsigned nth)
{
    struct side side = {.advanced = open_end(region, bytes, role), .ledger = ledger};
    if (exchange->is_stream)
        heavy_expect("set_stream", hqq_advanced_set_stream(side.advanced, HQQ_ANY_CONNECTION, take_piece, &side), 0);
    sem_post(&ledger->opened);
    if (label && exchange->is_negotiation)
        heavy_points_kill(label, nth, say_when, ledger);
    else
        heavy_expect("negotiate", hqq_advanced_negotiate(side.advanced, HQQ_FOREVER), 0);
    if (label && !exchange->is_negotiation)
        heavy_points_kill(label, nth, say_when, ledger);
    exchange->victim(&side);
    heavy_points_clear();
    hqq_advanced_close(side.advanced);
    _exit(NOT_REACHED);
}

/* A thread that waits for what never comes, while the other one is busy. */
struct bystander {
    struct hqq_advanced *advanced;
    int result;
    pthread_t thread;
};

static void *wait_for_connection(void *arg)
{
    struct bystander *bystander = arg;
    struct hqq_connection *connection;
    bystander->result = hqq_advanced_accept(bystander->advanced, HQQ_FOREVER, &connection);
    return NULL;
}

/* True if the label was reached. */
static bool run_scene(const struct exchange *exchange, enum hqq_role role, const char *label, unsigned nth)
{
    size_t bytes;
    struct heavy_holdings before = heavy_holdings();
    heavy_expect("layout_size", hqq_layout_size(COUNT, SIZE, &bytes), 0);
    void *region = heavy_shared(bytes);
    struct ledger *ledger = heavy_shared(sizeof(*ledger));
    size_t blocks = talloc_total_blocks(NULL);
    sem_init(&ledger->opened, 1, 0);
    pid_t victim = heavy_fork();
    if (victim == 0)
        be_victim(exchange, region, bytes, role, ledger, label, nth);
    struct side side = {.ledger = ledger};
    side.advanced = open_end(region, bytes, role == HQQ_ROLE_PRIMARY ? HQQ_ROLE_SECONDARY : HQQ_ROLE_PRIMARY);
    if (exchange->is_stream)
        heavy_expect("set_stream", hqq_advanced_set_stream(side.advanced, HQQ_ANY_CONNECTION, take_piece, &side), 0);
    while (sem_wait(&ledger->opened) != 0) {
    }
    heavy_watch_begin(&heavy_steps, STALL_NS);
    struct bystander bystander = {.advanced = side.advanced};
    bool has_bystander = !exchange->is_negotiation && exchange->survivor != survivor_accepts;
    if (!exchange->is_negotiation)
        heavy_expect("negotiation", hqq_advanced_accept_negotiation(side.advanced, HQQ_FOREVER), 0);
    if (has_bystander && pthread_create(&bystander.thread, NULL, wait_for_connection, &bystander) != 0)
        heavy_fail("no thread");
    int result = exchange->survivor(&side);
    uint64_t ended_ns = hqq_clock_ns();
    if (has_bystander)
        pthread_join(bystander.thread, NULL);
    int status = heavy_reap(victim);
    if (status != KILLED && status != NOT_REACHED)
        heavy_fail("the victim that %s ended with status %d", exchange->name, status);
    int expected = status == KILLED ? HQQ_ERROR_PEER_DIED : HQQ_ERROR_CLOSED;
    heavy_expect(exchange->name, result, expected);
    if (has_bystander)
        heavy_expect("accept by the bystander", bystander.result, expected);
    if (status == KILLED && ended_ns > atomic_load(&ledger->died_ns) + BOUND_NS)
        heavy_fail("%s: it took %llu ms", exchange->name,
                   (unsigned long long)((ended_ns - atomic_load(&ledger->died_ns)) / HEAVY_MS));
    hqq_advanced_close(side.advanced);
    heavy_watch_end();
    if (blocks != talloc_total_blocks(NULL))
        heavy_fail("%s: %zu blocks became %zu", exchange->name, blocks, talloc_total_blocks(NULL));
    sem_destroy(&ledger->opened);
    heavy_shared_free(ledger, sizeof(*ledger));
    heavy_shared_free(region, bytes);
    struct heavy_holdings after = heavy_holdings();
    if (before.descriptors != after.descriptors || before.shared_mappings != after.shared_mappings)
        heavy_fail("%s: %zu descriptors and %zu mappings became %zu and %zu", exchange->name, before.descriptors,
                   before.shared_mappings, after.descriptors, after.shared_mappings);
    return status == KILLED;
}

int main(int argc, char **argv)
{
    const struct heavy_options *options = heavy_start(argc, argv, 0);
    unsigned scenes = 0, reached[LABELS][PASSINGS] = {{0}};
    char name[128];
    talloc_enable_null_tracking();
    for (unsigned i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
        for (unsigned variant = 0; variant < LABELS * PASSINGS; variant++) {
            unsigned label = variant % LABELS, passing = variant / LABELS;
            enum hqq_role role = (i + variant + options->seed) % 2 == 0 ? HQQ_ROLE_PRIMARY : HQQ_ROLE_SECONDARY;
            snprintf(name, sizeof(name), "[%s at %s, passing %u]", exchanges[i].name, labels[label], passings[passing]);
            heavy_name_mode(name, options->seed);
            reached[label][passing] += run_scene(&exchanges[i], role, labels[label], passings[passing]);
            scenes++;
        }
    }
    for (unsigned variant = 0; variant < LABELS * PASSINGS; variant++) {
        if (reached[variant % LABELS][variant / LABELS] < 4)
            heavy_fail("%s, passing %u, was reached %u times", labels[variant % LABELS], passings[variant / LABELS],
                       reached[variant % LABELS][variant / LABELS]);
    }
    heavy_name_mode("[stall]", options->seed);
    if (!run_scene(&stall, HQQ_ROLE_PRIMARY, NULL, 0) || !run_scene(&stall, HQQ_ROLE_SECONDARY, NULL, 0))
        heavy_fail("nobody died");
    heavy_say("ok    %u scenes", scenes + 2);
    talloc_disable_null_tracking();
    return 0;
}
