/* Stress of advanced links, see advanced.h: runs the mode that is named, or all of the table; as many rounds of each as fit
 * the time. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <talloc.h>

#include "advanced/state.h"
#include "stress/advanced.h"

#define STALL_NS (10 * HEAVY_S)
#define CAMPAIGN "campaign"
#define THREADS_MAX 24u

static const struct mode {
    const char *name;
    uint64_t features;
} modes[] = {
    {"plain", HQQ_FEATURE_LARGE_COPY | HQQ_FEATURE_REQUEST_RESPONSE},
    {"flow", HQQ_FEATURE_LARGE_COPY | HQQ_FEATURE_REQUEST_RESPONSE | HQQ_FEATURE_FLOW_CONTROL},
    {"qos", HQQ_FEATURE_LARGE_COPY | HQQ_FEATURE_REQUEST_RESPONSE | HQQ_FEATURE_QOS | HQQ_FEATURE_STATISTICS},
    {"compressed", HQQ_FEATURE_LARGE_COPY | HQQ_FEATURE_REQUEST_RESPONSE | HQQ_FEATURE_COMPRESSION},
    {"encrypted", HQQ_FEATURE_LARGE_COPY | HQQ_FEATURE_REQUEST_RESPONSE | HQQ_FEATURE_ENCRYPTION},
    {"all", 0},
};

static const struct {
    uint64_t count, size;
} shapes[] = {{2, 64}, {4, 64}, {8, 256}, {16, 1024}, {64, 512}, {64, 4096}, {256, 4096}};

static const unsigned char key[HQQ_KEY_BYTES] = "the key that both ends were told";

/* ---- What to print ------------------------------------------------------------------------------------------------ */

static struct advanced_end *shown[2];

/* Without the lock, which may be what somebody is stuck with. */
static void dump(void *arg)
{
    (void)arg;
    for (int side = 0; side < 2; side++) {
        if (!shown[side])
            continue;
        const struct hqq_advanced *advanced = shown[side]->advanced;
        fprintf(stderr, "end %d: ended %d, output %d; taking %d, sending %d, room wanted %llu, controls %llu\n", side,
                advanced->ended, advanced->output_ended, advanced->is_taking, advanced->is_sending,
                (unsigned long long)advanced->room_wanted, (unsigned long long)advanced->controls);
        fprintf(stderr,
                "  waiting bytes %llu, partial %llu, calls %llu, requests %llu, connections %llu, posted %llu\n",
                (unsigned long long)advanced->waiting_bytes, (unsigned long long)advanced->partial_count,
                (unsigned long long)advanced->call_count, (unsigned long long)advanced->requests,
                (unsigned long long)advanced->connections, (unsigned long long)advanced->posted_bytes);
        for (const struct hqq_waiter *waiter = advanced->waiters; waiter; waiter = waiter->next)
            fprintf(stderr, "  waits for %p, way %d, called %d, looking %d\n", waiter->object, (int)waiter->how,
                    waiter->is_called, waiter->is_looking);
        fprintf(stderr, "  ground %p, first item %p, turn %d, credit %llu of %llu\n", (void *)advanced->ground,
                (void *)advanced->ground->first_item, (int)advanced->ground->turn,
                (unsigned long long)advanced->ground->sent_cost, (unsigned long long)advanced->ground->credit_limit);
        heavy_dump_link(side == 0 ? "primary" : "secondary", advanced->link);
    }
}

/* ---- One end ------------------------------------------------------------------------------------------------------ */

/* Blocks without a parent are counted by talloc in one list, which it does not lock. */
static pthread_mutex_t roots = PTHREAD_MUTEX_INITIALIZER;

static struct hqq_advanced *open_end(const struct advanced_round *round, unsigned side)
{
    struct heavy_random random = heavy_random(round->seed, 40);
    const struct hqq_link_config config = {
        .buffer_count = round->count,
        .buffer_size = round->size,
        .spin_ns = heavy_one_in(&random, 2) ? HQQ_SPIN_NEVER : 0,
        .attach_timeout_ns = STALL_NS,
        .role = side == 0 ? HQQ_ROLE_PRIMARY : HQQ_ROLE_SECONDARY,
    };
    const struct hqq_advanced_config advanced_config = {
        .features = round->features,
        .key = key,
        .window = heavy_one_in(&random, 2) ? 0 : UINT64_C(1024) << heavy_below(&random, 6),
        .max_posted_bytes = heavy_one_in(&random, 2) ? 0 : 4096,
        .compress_threshold = heavy_one_in(&random, 2) ? 0 : 16,
    };
    struct hqq_link *link;
    struct hqq_advanced *advanced;
    pthread_mutex_lock(&roots);
    heavy_expect("attach", hqq_link_attach(round->region, round->bytes, &config, &link), 0);
    heavy_expect("open", hqq_advanced_open(link, &advanced_config, &advanced), 0);
    pthread_mutex_unlock(&roots);
    return advanced;
}

static void negotiate(struct advanced_end *end)
{
    const struct advanced_round *round = end->round;
    bool both_ask = round->seed % 3 == 0;
    int result = both_ask || end->side == 0 ? hqq_advanced_negotiate(end->advanced, HQQ_FOREVER)
                                            : hqq_advanced_accept_negotiation(end->advanced, HQQ_FOREVER);
    heavy_expect("negotiation", result, 0);
    if (round->features != 0 && hqq_advanced_features(end->advanced) != round->features)
        heavy_fail("features %llx", (unsigned long long)hqq_advanced_features(end->advanced));
}

/* Drives without waiting, and looks at everything. */
static void poll_link(struct advanced_thread *self)
{
    struct hqq_advanced *advanced = self->end->advanced;
    while (!atomic_load(&self->end->is_over)) {
        struct hqq_advanced_stats stats;
        struct hqq_connection_info infos[4];
        size_t count;
        struct timespec pause = {.tv_nsec = (long)heavy_below(&self->random, 200000)};
        (void)hqq_advanced_process(advanced, 0);
        heavy_expect("stats", hqq_advanced_get_stats(advanced, &stats), 0);
        heavy_expect("connections", hqq_advanced_connections(advanced, infos, 4, &count), 0);
        (void)hqq_advanced_flush(advanced, 0);
        (void)hqq_advanced_set_priority(advanced, (enum hqq_priority)heavy_below(&self->random, HQQ_PRIORITIES));
        nanosleep(&pause, NULL);
    }
}

/* Asks for the peer's statistics, again and again. */
static void ask_stats(struct advanced_thread *self)
{
    struct hqq_advanced_peer_stats stats, last = {0};
    for (uint32_t i = 0; i < 10 * self->end->round->calls; i++) {
        int result = hqq_advanced_get_peer_stats(self->end->advanced, advanced_deadline(self), &stats);
        if (advanced_gave_up(self, result))
            continue;
        heavy_expect("peer's stats", result, 0);
        if (stats.messages_sent < last.messages_sent || stats.bytes_received < last.bytes_received)
            heavy_fail("the peer's statistics went back");
        last = stats;
    }
}

static void *run_thread(void *arg)
{
    struct advanced_thread *self = arg;
    self->run(self);
    return NULL;
}

static void add(struct advanced_end *end, struct advanced_thread *threads, unsigned *count,
                void (*run)(struct advanced_thread *self), unsigned index)
{
    struct advanced_thread *thread = &threads[(*count)++];
    *thread = (struct advanced_thread){
        .end = end,
        .index = index,
        .random = heavy_random(end->round->seed, 100 + 50 * end->side + *count),
        .run = run,
    };
    if (pthread_create(&thread->thread, NULL, run_thread, thread) != 0)
        heavy_fail("no thread");
}

static void run_threads(struct advanced_end *end)
{
    struct advanced_thread threads[THREADS_MAX], helper;
    unsigned count = 0, helpers = 0;
    bool polls = (end->round->trouble & ADVANCED_POLLS) != 0;
    if (polls)
        add(end, &helper, &helpers, poll_link, 0);
    add(end, threads, &count, advanced_receive_lanes, 0);
    for (unsigned i = 0; i < ADVANCED_LANES; i++)
        add(end, threads, &count, advanced_send_lane, i);
    for (unsigned i = 0; i < ADVANCED_DIALLERS; i++) {
        add(end, threads, &count, advanced_accept, i);
        add(end, threads, &count, advanced_dial, i);
    }
    for (unsigned i = 0; i < ADVANCED_CALLERS; i++) {
        add(end, threads, &count, advanced_serve, i);
        add(end, threads, &count, advanced_call, i);
    }
    if (hqq_advanced_is_statistics_enabled(end->advanced))
        add(end, threads, &count, ask_stats, 0);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i].thread, NULL);
    atomic_store(&end->is_over, true);
    if (polls)
        pthread_join(helper.thread, NULL);
}

/* Goes on driving until the other end has all it waits for, and nothing is left on its way. */
static void drain(struct advanced_end *end)
{
    struct advanced_round *round = end->round;
    for (unsigned stage = 1; stage <= 3; stage++) {
        heavy_expect("flush", hqq_advanced_flush(end->advanced, HQQ_FOREVER), 0);
        atomic_store(&round->is_done[end->side], stage);
        int result = 0;
        while (result == 0 || atomic_load(&round->is_done[1 - end->side]) < stage) {
            result = hqq_advanced_process(end->advanced, hqq_clock_ns() + HEAVY_MS);
            if (result == HQQ_ERROR_CLOSED && stage == 3)
                return; /* the other end has seen that this one is done */
            if (result != HQQ_ERROR_TIMEOUT && result != HQQ_ERROR_WOULD_BLOCK)
                heavy_expect("process", result, 0);
        }
    }
}

static bool is_at_rest(const struct hqq_advanced_stats *stats)
{
    return stats->calls == 0 && stats->partial_messages == 0 && stats->partial_bytes == 0 && stats->connections == 0;
}

/* The dispatcher may still have the last packet in hand. */
static void check_at_rest(struct advanced_end *end)
{
    struct hqq_advanced_stats stats;
    const struct advanced_round *round = end->round;
    uint64_t until = hqq_clock_ns() + STALL_NS * HEAVY_SLOWNESS;
    do {
        (void)hqq_advanced_process(end->advanced, hqq_clock_ns() + HEAVY_MS);
        heavy_expect("stats", hqq_advanced_get_stats(end->advanced, &stats), 0);
    } while (!is_at_rest(&stats) && hqq_clock_ns() < until);
    if (!is_at_rest(&stats))
        heavy_fail("%llu calls, %llu partial messages, %llu connections are left", (unsigned long long)stats.calls,
                   (unsigned long long)stats.partial_messages, (unsigned long long)stats.connections);
    if (stats.invalid_frames != 0 || end->advanced->posted_bytes != 0)
        heavy_fail("%llu frames were invalid, %llu bytes are posted", (unsigned long long)stats.invalid_frames,
                   (unsigned long long)end->advanced->posted_bytes);
    if (stats.messages_received < (uint64_t)ADVANCED_STREAM_LANE * round->messages)
        heavy_fail("%llu messages were received", (unsigned long long)stats.messages_received);
}

static void wait_until_opened(struct advanced_round *round, unsigned side)
{
    while (sem_wait(&round->opened[side]) != 0) {
    }
}

/* The primary first, as the secondary would wait for it. */
static void run_end(struct advanced_round *round, unsigned side)
{
    if (side == 1)
        wait_until_opened(round, 0);
    struct advanced_end end = {.round = round, .side = side, .advanced = open_end(round, side)};
    sem_post(&round->opened[side]);
    if (side == 0)
        wait_until_opened(round, 1);
    shown[side] = &end;
    advanced_stream_begin(&end);
    advanced_handle_begin(&end);
    heavy_expect("listen", hqq_advanced_listen(end.advanced, round->seed % 2 == 0 ? 1 : 16), 0);
    negotiate(&end);
    if ((round->trouble & ADVANCED_DISPATCHER) != 0)
        heavy_expect("start", hqq_advanced_start(end.advanced, NULL), 0);
    run_threads(&end);
    drain(&end);
    check_at_rest(&end);
    shown[side] = NULL;
    pthread_mutex_lock(&roots);
    hqq_advanced_close(end.advanced);
    pthread_mutex_unlock(&roots);
    advanced_stream_end(&end);
}

struct side_thread {
    struct advanced_round *round;
    unsigned side;
};

static void *run_side(void *arg)
{
    const struct side_thread *side = arg;
    run_end(side->round, side->side);
    return NULL;
}

/* ---- One round ---------------------------------------------------------------------------------------------------- */

static void run_in_processes(struct advanced_round *round)
{
    pid_t child = heavy_fork();
    heavy_watch_begin(&round->progress, STALL_NS);
    run_end(round, child == 0 ? 1 : 0);
    heavy_watch_end();
    if (child == 0)
        _exit(0);
    heavy_reap_well("the secondary", child);
}

static void run_in_one(struct advanced_round *round)
{
    struct side_thread other = {round, 1};
    pthread_t thread;
    heavy_watch_begin(&round->progress, STALL_NS);
    if (pthread_create(&thread, NULL, run_side, &other) != 0)
        heavy_fail("no thread");
    run_end(round, 0);
    pthread_join(thread, NULL);
    heavy_watch_end();
}

static void run_round(const struct mode *mode, uint64_t seed)
{
    struct heavy_random random = heavy_random(seed, 30);
    struct advanced_round *round = heavy_shared(sizeof(*round));
    uint64_t shape = heavy_below(&random, sizeof(shapes) / sizeof(shapes[0]));
    round->seed = seed;
    round->features = mode->features & hqq_advanced_supported_features();
    round->trouble = (unsigned)heavy_below(&random, ADVANCED_TROUBLES);
    round->count = shapes[shape].count;
    round->size = shapes[shape].size;
    round->messages = 1 + (uint32_t)heavy_below(&random, 40);
    round->talks = 1 + (uint32_t)heavy_below(&random, 8);
    round->calls = 1 + (uint32_t)heavy_below(&random, 8);
    heavy_expect("layout_size", hqq_layout_size(round->count, round->size, &round->bytes), 0);
    round->region = heavy_shared(round->bytes);
    for (int side = 0; side < 2; side++)
        sem_init(&round->opened[side], 1, 0);
    if ((round->trouble & ADVANCED_DELAYS) != 0)
        heavy_points_delay(seed, 20);
    if ((round->trouble & ADVANCED_PROCESSES) != 0)
        run_in_processes(round);
    else
        run_in_one(round);
    heavy_points_clear();
    heavy_shared_free(round->region, round->bytes);
    heavy_shared_free(round, sizeof(*round));
}

static void run_mode(const struct mode *fixed, const struct heavy_options *options)
{
    uint64_t end = hqq_clock_ns() + options->seconds * HEAVY_S;
    struct heavy_holdings before = heavy_holdings();
    size_t blocks = talloc_total_blocks(NULL);
    uint64_t rounds = 0;
    do {
        uint64_t seed = options->seed + rounds;
        const struct mode *mode = fixed ? fixed : &modes[seed % (sizeof(modes) / sizeof(modes[0]))];
        heavy_name_mode(fixed ? mode->name : CAMPAIGN, seed);
        run_round(mode, seed);
        rounds++;
    } while (hqq_clock_ns() < end);
    struct heavy_holdings after = heavy_holdings();
    if (before.descriptors != after.descriptors || before.shared_mappings != after.shared_mappings ||
        blocks != talloc_total_blocks(NULL))
        heavy_fail("%zu descriptors, %zu mappings, %zu blocks became %zu, %zu, %zu", before.descriptors,
                   before.shared_mappings, blocks, after.descriptors, after.shared_mappings, talloc_total_blocks(NULL));
    heavy_say("ok    %s: %llu rounds", fixed ? fixed->name : CAMPAIGN, (unsigned long long)rounds);
}

int main(int argc, char **argv)
{
    const struct heavy_options *options = heavy_start(argc, argv, 1);
    bool found = false;
    talloc_enable_null_tracking();
    heavy_on_failure(dump, NULL);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (options->mode && strcmp(options->mode, modes[i].name) != 0)
            continue;
        found = true;
        run_mode(&modes[i], options);
    }
    if (options->mode && strcmp(options->mode, CAMPAIGN) == 0)
        run_mode(NULL, options);
    else if (!found)
        heavy_fail("no such mode");
    talloc_disable_null_tracking();
    return 0;
}
