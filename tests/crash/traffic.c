/* The survivor of the traffic scenes, and what must hold in the end. */
#include "crash/traffic.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <hqq/error.h>

#define SURVIVOR 2

/* ---- The survivor -------------------------------------------------------------------------------------------------
 * */

/* True if a call that came back with this result is to be made again. */
static bool goes_on(const struct survivor *survivor, int result)
{
    switch (result) {
    case HQQ_ERROR_TIMEOUT:
        return survivor->traffic->patience == TRAFFIC_SHORT;
    case HQQ_ERROR_WOULD_BLOCK:
        sched_yield();
        return survivor->traffic->patience == TRAFFIC_NEVER;
    case HQQ_ERROR_CLOSED:
        /* The victim comes back, until it has died; and who dies while it closes is closed. */
        if (survivor->traffic->call != TRAFFIC_REOPEN || atomic_load(&survivor->scene->ledger->died_ns) != 0)
            return false;
        usleep(200);
        return true;
    default:
        return result == 0;
    }
}

static void *read_on(void *arg)
{
    struct survivor *survivor = arg;
    struct heavy_random random = heavy_random(survivor->traffic->seed, 2);
    unsigned char data[SCENE_SIZE];
    int result;
    do {
        size_t length;
        result = survivor->traffic->patience == TRAFFIC_NEVER
                     ? hqq_link_try_read(survivor->link, data, sizeof(data), &length)
                     : hqq_link_read(survivor->link, data, sizeof(data), &length);
        if (result != 0)
            continue;
        unsigned producer;
        uint32_t number;
        if (heavy_element_check(data, length, &producer, &number) != HEAVY_WHOLE)
            heavy_fail("the survivor got a torn datagram");
        if (number != survivor->read++)
            heavy_fail("the survivor got number %u, not %llu", number, (unsigned long long)survivor->read - 1);
        atomic_fetch_add(&survivor->scene->ledger->steps, 1);
        if (heavy_one_in(&random, 8))
            usleep((useconds_t)heavy_below(&random, 300));
    } while (goes_on(survivor, result));
    survivor->read_ended = result;
    survivor->read_ended_ns = hqq_clock_ns();
    return NULL;
}

/* Numbers are counted before they are written: whoever gets one finds it counted. */
static int write_number(struct survivor *survivor, struct heavy_random *random, uint32_t number)
{
    unsigned char data[SCENE_SIZE];
    size_t length = HEAVY_ELEMENT_MIN + heavy_below(random, SCENE_SIZE - HEAVY_ELEMENT_MIN + 1);
    struct hqq_slot slot;
    int result = 0;
    if (survivor->traffic->patience != TRAFFIC_NEVER && heavy_one_in(random, 4)) {
        result = hqq_link_reserve(survivor->link, &slot);
        if (result == 0)
            heavy_expect("abort", hqq_link_abort(survivor->link, &slot, 0), 0);
    }
    if (result != 0)
        return result;
    heavy_element_fill(data, length, SURVIVOR, number);
    return survivor->traffic->patience == TRAFFIC_NEVER ? hqq_link_try_write(survivor->link, data, length)
                                                        : hqq_link_write(survivor->link, data, length);
}

static void *write_on(void *arg)
{
    struct survivor *survivor = arg;
    struct ledger *ledger = survivor->scene->ledger;
    struct heavy_random random = heavy_random(survivor->traffic->seed, 3);
    int result;
    uint32_t number = 0;
    do {
        if (number == SCENE_NUMBERS)
            heavy_fail("the survivor's numbers are used up");
        result = write_number(survivor, &random, number);
        if (result == 0) {
            number++;
            atomic_fetch_add(&ledger->steps, 1);
        }
        if (heavy_one_in(&random, 8))
            usleep((useconds_t)heavy_below(&random, 300));
    } while (goes_on(survivor, result));
    atomic_store(&ledger->written, number);
    survivor->write_ended = result;
    survivor->write_ended_ns = hqq_clock_ns();
    return NULL;
}

static void dump(void *arg)
{
    const struct survivor *survivor = arg;
    const struct ledger *ledger = survivor->scene->ledger;
    fprintf(stderr, "  label %s, hit %u, victim %s as %d, patience %d, seed %llu\n", survivor->traffic->label,
            survivor->traffic->nth, traffic_call_name(survivor->traffic->call), (int)survivor->traffic->role,
            (int)survivor->traffic->patience, (unsigned long long)survivor->traffic->seed);
    fprintf(stderr, "  published %llu, read %llu; written %llu; held %llu; died %s; reader ended %d, writer %d\n",
            (unsigned long long)ledger->published, (unsigned long long)survivor->read,
            (unsigned long long)ledger->written, (unsigned long long)ledger->held, ledger->died_ns ? "yes" : "no",
            survivor->read_ended, survivor->write_ended);
    heavy_dump_link("survivor", survivor->link);
}

void traffic_survive(struct survivor *survivor)
{
    pthread_t reader, writer;
    uint64_t timeout = survivor->traffic->patience == TRAFFIC_SHORT ? SCENE_PEER_CHECK_NS / 5 : HQQ_FOREVER;
    heavy_expect("set_read_timeout", hqq_link_set_read_timeout(survivor->link, timeout), 0);
    heavy_expect("set_write_timeout", hqq_link_set_write_timeout(survivor->link, timeout), 0);
    heavy_watch_begin(&survivor->scene->ledger->steps, SCENE_STALL_NS);
    if (pthread_create(&reader, NULL, read_on, survivor) != 0 || pthread_create(&writer, NULL, write_on, survivor) != 0)
        heavy_fail("no thread");
    pthread_join(reader, NULL);
    pthread_join(writer, NULL);
    heavy_watch_end();
    heavy_expect("set_read_timeout", hqq_link_set_read_timeout(survivor->link, HQQ_FOREVER), 0);
    heavy_expect("set_write_timeout", hqq_link_set_write_timeout(survivor->link, HQQ_FOREVER), 0);
}

/* ---- What must hold -----------------------------------------------------------------------------------------------
 * */

/* Who dies while it closes its end may count as closed. */
static bool is_gone(const struct traffic *traffic, int result)
{
    return result == HQQ_ERROR_PEER_DIED || (traffic->call == TRAFFIC_REOPEN && result == HQQ_ERROR_CLOSED);
}

static void check_end(const struct survivor *survivor)
{
    const struct ledger *ledger = survivor->scene->ledger;
    if (!is_gone(survivor->traffic, survivor->read_ended) || !is_gone(survivor->traffic, survivor->write_ended))
        heavy_fail("the survivor was told %d and %d", survivor->read_ended, survivor->write_ended);
    uint64_t died = atomic_load(&ledger->died_ns);
    uint64_t ended =
        survivor->read_ended_ns > survivor->write_ended_ns ? survivor->read_ended_ns : survivor->write_ended_ns;
    if (ended > died + SCENE_BOUND_NS)
        heavy_fail("the survivor needed %llu ms to notice", (unsigned long long)((ended - died) / HEAVY_MS));
    if (survivor->read != atomic_load(&ledger->published))
        heavy_fail("%llu datagrams were published, and %llu read", (unsigned long long)ledger->published,
                   (unsigned long long)survivor->read);
}

static void check_recovery(const struct survivor *survivor)
{
    const struct ledger *ledger = survivor->scene->ledger;
    struct hqq_link_stats stats;
    if (survivor->traffic->call == TRAFFIC_REOPEN)
        return;
    hqq_link_get_stats(survivor->link, &stats);
    if (stats.peer_deaths != 1 || stats.slots_recovered != atomic_load(&ledger->held))
        heavy_fail("%llu deaths and %llu slots recovered, of %llu", (unsigned long long)stats.peer_deaths,
                   (unsigned long long)stats.slots_recovered, (unsigned long long)ledger->held);
}

/* Of what the survivor wrote the victim got the first, the successor the last; what is missing between is what the
 * victim had taken when it died and not yet noted. */
static void check_taken(const struct survivor *survivor)
{
    const struct ledger *ledger = survivor->scene->ledger;
    uint64_t missing = 0;
    uint8_t last = TAKEN_BY_VICTIM;
    for (uint64_t i = 0; i < ledger->written; i++) {
        uint8_t by = ledger->taken[i];
        if (by == 0)
            missing++;
        else if (by < last || (by == TAKEN_BY_VICTIM && missing != 0))
            heavy_fail("number %llu was taken out of turn", (unsigned long long)i);
        last = by != 0 ? by : last;
    }
    if (missing > SCENE_BATCH || (survivor->traffic->call < TRAFFIC_FIRST_READ && missing != 0))
        heavy_fail("%llu of the survivor's datagrams are lost", (unsigned long long)missing);
}

bool traffic_run(const struct traffic *traffic)
{
    struct scene scene = scene_new();
    pid_t victim = heavy_fork();
    if (victim == 0)
        traffic_victim(&scene, traffic);

    struct survivor survivor = {.scene = &scene, .traffic = traffic, .link = NULL};
    heavy_on_failure(dump, &survivor);
    survivor.link = scene_attach(&scene, scene_other(traffic->role));
    while (traffic->call != TRAFFIC_REOPEN && sem_wait(&scene.ledger->attached) != 0) {
    }
    traffic_survive(&survivor);
    int status = heavy_reap(victim);
    if (status != SCENE_KILLED && status != SCENE_NOT_REACHED)
        heavy_fail("the victim ended with status %d", status);
    bool reached = status == SCENE_KILLED && atomic_load(&scene.ledger->died_ns) != 0;
    if (reached) {
        check_end(&survivor);
        check_recovery(&survivor);
        scene_succeed(&scene, survivor.link);
        check_taken(&survivor);
    }
    hqq_link_close(survivor.link);
    heavy_on_failure(NULL, NULL);
    scene_delete(&scene);
    return reached;
}
