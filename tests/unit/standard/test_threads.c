/* Many threads at one end, more than have counters of their own: every datagram is delivered once, and the counts are
 * exact. Sleeping threads are all woken by a burst. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "standard/state.h"
#include "support/caller.h"
#include "support/region.h"

#define COUNT 16
#define SIZE 64
#define THREADS (HQQ_OWN_SHARDS + 8)
#define EACH 500
#define ALL ((uint64_t)THREADS * EACH)

static struct pair pair;
static hqq_atomic_u32 next_writer;
static hqq_atomic_u32 taken[ALL]; /* how often each datagram was read */

static int set_up(void **state)
{
    (void)state;
    pair = pair_open(COUNT, SIZE);
    hqq_store32_relaxed(&next_writer, 0);
    for (size_t i = 0; i < ALL; i++)
        hqq_store32_relaxed(&taken[i], 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_close(&pair);
    return 0;
}

/* Datagrams start with their number; their length follows from it. */
static size_t length_of(uint64_t number)
{
    return 8 + number % 56;
}

static uint64_t bytes_of_all(void)
{
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < ALL; i++)
        bytes += length_of(i);
    return bytes;
}

static int write_many(struct caller *caller)
{
    uint64_t first = (uint64_t)hqq_add32_relaxed(&next_writer, 1) * EACH;
    for (uint64_t number = first; number < first + EACH; number++) {
        memcpy(caller->data, &number, sizeof(number));
        int result = hqq_link_write(caller->link, caller->data, length_of(number));
        if (result != 0)
            return result;
    }
    return 0;
}

/* Until the peer is closed. 1000 for a datagram that nobody wrote. */
static int read_many(struct caller *caller)
{
    for (;;) {
        uint64_t number;
        int result = hqq_link_read(caller->link, caller->data, SIZE, &caller->length);
        if (result != 0)
            return result;
        memcpy(&number, caller->data, sizeof(number));
        if (number >= ALL || caller->length != length_of(number))
            return 1000;
        hqq_add32_relaxed(&taken[number], 1);
    }
}

static void start(struct caller callers[THREADS], int (*call)(struct caller *), struct hqq_link *link)
{
    for (int i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.call = call, .link = link};
        caller_start(&callers[i]);
    }
}

static void join(struct caller callers[THREADS], int result)
{
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(caller_join(&callers[i]), result);
}

static void every_datagram_of_many_threads_arrives_once_and_is_counted(void **state)
{
    (void)state;
    struct caller writers[THREADS], readers[THREADS];
    struct hqq_link_stats written, read;
    start(readers, read_many, pair.secondary);
    start(writers, write_many, pair.primary);
    join(writers, 0);
    assert_int_equal(hqq_link_shutdown(pair.primary), 0);
    join(readers, HQQ_ERROR_CLOSED);

    for (size_t i = 0; i < ALL; i++)
        assert_int_equal(hqq_load32_relaxed(&taken[i]), 1);
    hqq_link_get_stats(pair.primary, &written);
    hqq_link_get_stats(pair.secondary, &read);
    assert_int_equal(written.messages_written, ALL);
    assert_int_equal(written.bytes_written, bytes_of_all());
    assert_int_equal(read.messages_read, ALL);
    assert_int_equal(read.bytes_read, bytes_of_all());
    assert_int_equal(read.errors, THREADS);
    assert_int_equal(read.read_depth, 0);
}

static void a_burst_wakes_every_reader_it_has_something_for(void **state)
{
    (void)state;
    struct caller readers[COUNT];
    sleepers_watch();
    for (int i = 0; i < COUNT; i++) {
        readers[i] = (struct caller){.call = caller_read, .link = pair.secondary};
        caller_start(&readers[i]);
    }
    sleepers_await(COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(hqq_link_try_write(pair.primary, "datagram", 8), 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(caller_join(&readers[i]), 0);
    sleepers_forget();
}

static void a_burst_wakes_every_writer_it_has_room_for(void **state)
{
    (void)state;
    struct caller writers[COUNT];
    unsigned char buffer[SIZE];
    size_t length;
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(hqq_link_try_write(pair.primary, "datagram", 8), 0);
    sleepers_watch();
    for (int i = 0; i < COUNT; i++) {
        writers[i] = (struct caller){.call = caller_write, .link = pair.primary, .length = 8};
        caller_start(&writers[i]);
    }
    sleepers_await(COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(caller_join(&writers[i]), 0);
    sleepers_forget();
}

/* What is reserved first is committed last: who was woken for the second must not keep the first's reader asleep. */
static void slots_committed_out_of_order_wake_every_reader(void **state)
{
    (void)state;
    struct caller readers[2];
    struct hqq_slot first, second;
    sleepers_watch();
    for (int i = 0; i < 2; i++) {
        readers[i] = (struct caller){.call = caller_read, .link = pair.secondary};
        caller_start(&readers[i]);
    }
    sleepers_await(2);
    assert_int_equal(hqq_link_reserve(pair.primary, &first), 0);
    assert_int_equal(hqq_link_reserve(pair.primary, &second), 0);
    assert_int_equal(hqq_link_commit(pair.primary, &second, 2), 0);
    assert_int_equal(hqq_link_commit(pair.primary, &first, 1), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(caller_join(&readers[i]), 0);
    assert_int_equal(readers[0].length + readers[1].length, 3);
    sleepers_forget();
}

/* ---- Callbacks, and slots that change hands ---------------------------------------------------------------------- */

static pthread_barrier_t both;

static int fill_together(void *data, size_t capacity, size_t *ret_length, void *arg)
{
    (void)arg;
    memset(data, 1, capacity);
    *ret_length = capacity;
    pthread_barrier_wait(&both);
    return 0;
}

static int look_together(const void *data, size_t length, void *arg)
{
    (void)data;
    (void)length;
    (void)arg;
    pthread_barrier_wait(&both);
    return 0;
}

static int write_together(struct caller *caller)
{
    return hqq_link_write_with(caller->link, fill_together, NULL);
}

static int read_together(struct caller *caller)
{
    return hqq_link_read_with(caller->link, look_together, NULL);
}

/* Two callers sleep; a burst that is rung for once makes room or work for both; each is in its callback until the other
 * is too. */
static void run_together(int (*call)(struct caller *), struct hqq_link *link, void (*burst)(void))
{
    struct caller callers[2];
    pthread_barrier_init(&both, NULL, 2);
    sleepers_watch();
    for (int i = 0; i < 2; i++) {
        callers[i] = (struct caller){.call = call, .link = link};
        caller_start(&callers[i]);
    }
    sleepers_await(2);
    burst();
    for (int i = 0; i < 2; i++)
        assert_int_equal(caller_join(&callers[i]), 0);
    sleepers_forget();
    pthread_barrier_destroy(&both);
}

static void write_two(void)
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(hqq_link_try_write(pair.primary, "datagram", 8), 0);
}

static void read_two(void)
{
    unsigned char buffer[SIZE];
    size_t length;
    for (int i = 0; i < 2; i++)
        assert_int_equal(hqq_link_try_read(pair.secondary, buffer, SIZE, &length), 0);
}

static void a_callback_that_looks_for_long_keeps_no_other_reader_asleep(void **state)
{
    (void)state;
    run_together(read_together, pair.secondary, write_two);
}

static void a_callback_that_fills_for_long_keeps_no_other_writer_asleep(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(hqq_link_try_write(pair.primary, "datagram", 8), 0);
    run_together(write_together, pair.primary, read_two);
}

static int commit_one(struct caller *caller)
{
    return hqq_link_commit(caller->link, caller->arg, 8);
}

static int release_one(struct caller *caller)
{
    return hqq_link_release(caller->link, caller->arg);
}

static void a_slot_may_be_handed_to_another_thread(void **state)
{
    (void)state;
    struct hqq_slot slot;
    assert_int_equal(hqq_link_reserve(pair.primary, &slot), 0);
    assert_true(hqq_link_holds_slots(pair.primary));
    struct caller committer = {.call = commit_one, .link = pair.primary, .arg = &slot};
    caller_start(&committer);
    assert_int_equal(caller_join(&committer), 0);
    assert_false(hqq_link_holds_slots(pair.primary));

    assert_int_equal(hqq_link_borrow(pair.secondary, &slot), 0);
    assert_true(hqq_link_holds_slots(pair.secondary));
    struct caller releaser = {.call = release_one, .link = pair.secondary, .arg = &slot};
    caller_start(&releaser);
    assert_int_equal(caller_join(&releaser), 0);
    assert_false(hqq_link_holds_slots(pair.secondary));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_datagram_of_many_threads_arrives_once_and_is_counted),
        TEST(a_burst_wakes_every_reader_it_has_something_for),
        TEST(a_burst_wakes_every_writer_it_has_room_for),
        TEST(slots_committed_out_of_order_wake_every_reader),
        TEST(a_callback_that_looks_for_long_keeps_no_other_reader_asleep),
        TEST(a_callback_that_fills_for_long_keeps_no_other_writer_asleep),
        TEST(a_slot_may_be_handed_to_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
