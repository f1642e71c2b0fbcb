/*
 * Closing a link while a thread is in the middle of a call that has waited: between two waits, as what it found is not
 * what it wants (a tombstone), or not all of it (a batch), or on its way out. The link must not be freed before it is
 * out.
 *
 * The caller is held where it has just claimed a slot, until the closer waits for it; and, once it has said that it is
 * out of the link, until the link has been freed. Memory is overwritten when it is freed, so what a caller then still
 * reads of the link is wrong, also where no sanitizer looks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <string.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "base/point.h"
#include "layout/packet.h"
#include "platform/sys.h"
#include "ring/bell.h"
#include "support/caller.h"
#include "support/region.h"

#define COUNT 4
#define SIZE 64
#define FROM_PRIMARY 0

static struct pair pair;
static struct hqq_sys real;

static struct {
    pthread_t closer;
    const char *label; /* where the caller is held */
    hqq_atomic_u32 was_held;
    sem_t asleep, is_held, go_on, is_closed;
} race;

/* The words of the region are the bells'; the link's own word is where the closer waits and the caller wakes it. */
static bool is_of_the_region(const void *word)
{
    const unsigned char *base = pair.region.base, *at = word;
    return at >= base && at < base + pair.region.length;
}

static bool is_closer(void)
{
    return pthread_equal(pthread_self(), race.closer) != 0;
}

static int wait_and_tell(const void *word, uint32_t expected, uint64_t deadline_ns)
{
    sem_post(is_of_the_region(word) ? &race.asleep : &race.go_on);
    return real.futex_wait(word, expected, deadline_ns);
}

static int wake_then_wait_until_closed(const void *word, int count)
{
    int woken = real.futex_wake(word, count);
    if (!is_of_the_region(word) && !is_closer())
        sem_wait(&race.is_closed);
    return woken;
}

static void hold_the_caller(const char *label)
{
    if (is_closer() || strcmp(label, race.label) != 0 || hqq_add32_relaxed(&race.was_held, 1) != 0)
        return;
    sem_post(&race.is_held);
    sem_wait(&race.go_on);
}

static int set_up(void **state)
{
    (void)state;
    mallopt(M_PERTURB, 0x5a);
    real = hqq_sys;
    pair = pair_open(COUNT, SIZE);
    race.closer = pthread_self();
    hqq_store32_relaxed(&race.was_held, 0);
    sem_init(&race.asleep, 0, 0);
    sem_init(&race.is_held, 0, 0);
    sem_init(&race.go_on, 0, 0);
    sem_init(&race.is_closed, 0, 0);
    hqq_sys.futex_wait = wait_and_tell;
    hqq_sys.futex_wake = wake_then_wait_until_closed;
    hqq_point_hook = hold_the_caller;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_sys = real;
    hqq_point_hook = NULL;
    pair_close(&pair);
    return 0;
}

/* The caller sleeps at one end; something() wakes it and brings it to the label. What its call returns. */
static int result_of_a_call_while_closing(struct caller *caller, struct hqq_link **link, const char *label,
                                          void (*something)(void))
{
    race.label = label;
    caller->link = *link;
    caller_start(caller);
    sem_wait(&race.asleep);
    something();
    sem_wait(&race.is_held);
    hqq_link_close(*link);
    *link = NULL;
    sem_post(&race.is_closed);
    sem_post(&race.is_closed);
    return caller_join(caller);
}

static void publish_a_tombstone(void)
{
    struct hqq_slot slot;
    assert_int_equal(hqq_link_reserve(pair.primary, &slot), 0);
    assert_int_equal(hqq_link_abort(pair.primary, &slot, 0), 0);
}

static void publish_an_invalid_packet(void)
{
    const struct hqq_packet packet = {.opcode = HQQ_OPCODE_ERROR};
    pair_publish(&pair, FROM_PRIMARY, &packet);
    hqq_bell_ring_all(&region_extension(&pair.region)->ring[FROM_PRIMARY].data);
}

static void write_from_the_primary(void)
{
    assert_int_equal(hqq_link_try_write(pair.primary, "datagram", 8), 0);
}

static void write_from_the_secondary(void)
{
    assert_int_equal(hqq_link_try_write(pair.secondary, "datagram", 8), 0);
}

static void fill_from_the_secondary(void)
{
    for (int i = 0; i < COUNT; i++)
        write_from_the_secondary();
}

static void free_a_slot(void)
{
    unsigned char buffer[SIZE];
    size_t length;
    assert_int_equal(hqq_link_try_read(pair.primary, buffer, SIZE, &length), 0);
}

static int borrow(struct caller *caller)
{
    struct hqq_slot slot;
    return hqq_link_borrow(caller->link, &slot);
}

static int read_batch(struct caller *caller)
{
    struct hqq_message message = {.data = caller->data, .capacity = SIZE};
    return hqq_link_read_batch(caller->link, &message, 1, &caller->length);
}

static int write_batch(struct caller *caller)
{
    struct hqq_message messages[2] = {{.data = caller->data, .length = 8}, {.data = caller->data, .length = 8}};
    return hqq_link_write_batch(caller->link, messages, 2, &caller->length);
}

static int read_from(struct caller *caller)
{
    return hqq_link_read_from(caller->link, caller->data, SIZE, &caller->length, caller->arg);
}

static int fill(void *data, size_t capacity, size_t *ret_length, void *arg)
{
    (void)arg;
    memset(data, 1, capacity);
    *ret_length = capacity;
    return 0;
}

static int write_with(struct caller *caller)
{
    return hqq_link_write_with(caller->link, fill, NULL);
}

static int look(const void *data, size_t length, void *arg)
{
    (void)arg;
    return length == 8 && memcmp(data, "datagram", 8) == 0 ? 0 : 1000;
}

static int read_with(struct caller *caller)
{
    return hqq_link_read_with(caller->link, look, NULL);
}

static void a_read_that_skips_a_tombstone_is_not_left_with_a_freed_link(void **state)
{
    (void)state;
    struct caller caller = {.call = caller_read};
    int result = result_of_a_call_while_closing(&caller, &pair.secondary, "consume.claimed", publish_a_tombstone);
    assert_int_equal(result, HQQ_ERROR_CLOSED);
}

static void a_borrow_that_skips_a_tombstone_is_not_left_with_a_freed_link(void **state)
{
    (void)state;
    struct caller caller = {.call = borrow};
    int result = result_of_a_call_while_closing(&caller, &pair.secondary, "consume.claimed", publish_a_tombstone);
    assert_int_equal(result, HQQ_ERROR_CLOSED);
}

static void a_batch_that_finds_a_tombstone_is_not_left_with_a_freed_link(void **state)
{
    (void)state;
    struct caller caller = {.call = read_batch};
    int result = result_of_a_call_while_closing(&caller, &pair.secondary, "consume.claimed", publish_a_tombstone);
    assert_int_equal(result, HQQ_ERROR_CLOSED);
}

static void a_batch_that_is_written_in_part_is_not_left_with_a_freed_link(void **state)
{
    (void)state;
    struct caller caller = {.call = write_batch};
    fill_from_the_secondary();
    int result = result_of_a_call_while_closing(&caller, &pair.secondary, "produce.claimed", free_a_slot);
    assert_int_equal(result, HQQ_ERROR_CLOSED);
    assert_int_equal(caller.length, 1);
}

static void a_read_that_drops_a_packet_is_not_left_with_a_freed_link(void **state)
{
    (void)state;
    struct caller caller = {.call = caller_read};
    int result = result_of_a_call_while_closing(&caller, &pair.secondary, "consume.claimed", publish_an_invalid_packet);
    assert_int_equal(result, HQQ_ERROR_INVALID_OP);
}

/* At the primary, so that the address is not what a look at anything but a link would make of it. */
static void a_read_that_tells_from_whom_is_not_left_with_a_freed_link(void **state)
{
    (void)state;
    struct hqq_address from = {.role = HQQ_ROLE_ANY};
    struct caller caller = {.call = read_from, .arg = &from};
    int result = result_of_a_call_while_closing(&caller, &pair.primary, "consume.claimed", write_from_the_secondary);
    assert_int_equal(result, 0);
    assert_int_equal(from.role, HQQ_ROLE_SECONDARY);
    assert_string_equal(from.name, "");
}

static void a_write_by_callback_is_not_left_with_a_freed_link(void **state)
{
    (void)state;
    struct caller caller = {.call = write_with};
    fill_from_the_secondary();
    int result = result_of_a_call_while_closing(&caller, &pair.secondary, "produce.claimed", free_a_slot);
    assert_true(result == 0 || result == HQQ_ERROR_CLOSED);
}

static void a_read_by_callback_is_not_left_with_a_freed_link(void **state)
{
    (void)state;
    struct caller caller = {.call = read_with};
    int result = result_of_a_call_while_closing(&caller, &pair.secondary, "consume.claimed", write_from_the_primary);
    assert_true(result == 0 || result == HQQ_ERROR_CLOSED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_read_that_skips_a_tombstone_is_not_left_with_a_freed_link),
        TEST(a_borrow_that_skips_a_tombstone_is_not_left_with_a_freed_link),
        TEST(a_batch_that_finds_a_tombstone_is_not_left_with_a_freed_link),
        TEST(a_batch_that_is_written_in_part_is_not_left_with_a_freed_link),
        TEST(a_read_that_drops_a_packet_is_not_left_with_a_freed_link),
        TEST(a_read_that_tells_from_whom_is_not_left_with_a_freed_link),
        TEST(a_write_by_callback_is_not_left_with_a_freed_link),
        TEST(a_read_by_callback_is_not_left_with_a_freed_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
