/*
 * Drain requests: an empty look at the kernel's queue acknowledges what was noted before it, and nothing that another thread or a
 * handler has noted since.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "endpoint/scheduler.h"
#include "support/channels.h"

static struct channel_ends ends;
static struct hqq_endpoint endpoint;

static int set_up(void **state)
{
    (void)state;
    ends = channel_ends_open(8, 64, 0);
    endpoint = (struct hqq_endpoint){.busy = ends.receiver, .channels = ends.receiver};
    ends.receiver->busy_next = ends.receiver->busy_previous = ends.receiver;
    ends.receiver->is_busy = true;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    channel_ends_close(&ends);
    return 0;
}

static uint64_t acknowledged(void)
{
    return hqq_load_relaxed(&ends.receiver->own->drain_acknowledged);
}

static void request(uint64_t number)
{
    hqq_store_relaxed(&ends.receiver->peer->drain_requested, number);
}

static void what_was_noted_is_acknowledged(void **state)
{
    (void)state;
    request(3);
    uint64_t note = hqq_scheduler_note_requests(&endpoint);
    request(4); /* after the note: its datagram may have come after the look */
    hqq_scheduler_acknowledge(&endpoint, note, note);
    assert_int_equal(acknowledged(), 3);
}

static void a_later_note_of_a_handler_is_not(void **state)
{
    (void)state;
    request(3);
    uint64_t note = hqq_scheduler_note_requests(&endpoint);
    request(4);
    uint64_t handlers_own = hqq_scheduler_note_requests(&endpoint);
    hqq_scheduler_acknowledge(&endpoint, note, note);
    assert_int_equal(acknowledged(), 0);
    hqq_scheduler_acknowledge(&endpoint, handlers_own, handlers_own);
    assert_int_equal(acknowledged(), 4);
}

static void *note_in_thread(void *ret_note)
{
    *(uint64_t *)ret_note = hqq_scheduler_note_requests(&endpoint);
    return NULL;
}

static void a_later_note_of_another_thread_is_not(void **state)
{
    (void)state;
    pthread_t thread;
    uint64_t first = hqq_scheduler_note_requests(&endpoint), of_thread;
    request(5);
    assert_int_equal(pthread_create(&thread, NULL, note_in_thread, &of_thread), 0);
    pthread_join(thread, NULL);
    uint64_t last = hqq_scheduler_note_requests(&(struct hqq_endpoint){0}); /* of another socket, in the same wait */
    hqq_scheduler_acknowledge(&endpoint, first, last);
    assert_int_equal(acknowledged(), 0);
    hqq_scheduler_acknowledge(&endpoint, of_thread, of_thread);
    assert_int_equal(acknowledged(), 5);
}

static void a_wait_over_many_acknowledges_each(void **state)
{
    (void)state;
    request(6);
    uint64_t first = hqq_scheduler_note_requests(&(struct hqq_endpoint){0});
    hqq_scheduler_note_requests(&endpoint);
    uint64_t last = hqq_scheduler_note_requests(&(struct hqq_endpoint){0});
    hqq_scheduler_acknowledge(&endpoint, first, last);
    assert_int_equal(acknowledged(), 6);
}

static void without_a_note_nothing_is(void **state)
{
    (void)state;
    request(7);
    hqq_scheduler_acknowledge(&endpoint, 0, 0);
    assert_int_equal(acknowledged(), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_noted_is_acknowledged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_later_note_of_a_handler_is_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_later_note_of_another_thread_is_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wait_over_many_acknowledges_each, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_note_nothing_is, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
