/* What a send does next: the whole truth table, by properties that hold for every row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "endpoint/plan.h"

#define FLAGS 10
#define STEPS 4
#define ROWS ((1u << FLAGS) * STEPS * HQQ_NOTIFY_STATES)

static struct hqq_view view_of(unsigned row)
{
    unsigned flags = row % (1u << FLAGS), rest = row / (1u << FLAGS);
    return (struct hqq_view){
        .has_destination = flags & 1,
        .may_publish = flags & 2,
        .is_plain = flags & 4,
        .fits = flags & 8,
        .is_reserved = flags & 16,
        .is_drained = flags & 32,
        .has_room = flags & 64,
        .may_wait = flags & 128,
        .has_waited_for_drain = flags & 256,
        .has_waited_for_room = flags & 512,
        .step = (enum hqq_step)(rest % STEPS),
        .state = (enum hqq_notify)(rest / STEPS),
    };
}

/* Calls check for every row. */
static void for_every_row(void (*check)(const struct hqq_view *view, enum hqq_plan plan))
{
    for (unsigned row = 0; row < ROWS; row++) {
        struct hqq_view view = view_of(row);
        check(&view, hqq_plan_send(&view));
    }
}

/* All that the ring wants but for room and an empty kernel queue. */
static bool may_take_a_ring(const struct hqq_view *view)
{
    return view->has_destination && view->may_publish && view->is_plain && view->fits && !view->is_reserved &&
           view->step == HQQ_STEP_OPEN && view->state == HQQ_POLLING;
}

static void check_ring(const struct hqq_view *view, enum hqq_plan plan)
{
    assert_int_equal(plan == HQQ_PLAN_RING, may_take_a_ring(view) && view->is_drained && view->has_room);
}

static void the_ring_is_taken_where_all_allows_it_and_nowhere_else(void **state)
{
    (void)state;
    for_every_row(check_ring);
}

static void check_drain(const struct hqq_view *view, enum hqq_plan plan)
{
    assert_int_equal(plan == HQQ_PLAN_DRAIN, may_take_a_ring(view) && !view->is_drained && !view->has_waited_for_drain);
}

static void the_drain_is_waited_for_once_also_by_who_may_not_block(void **state)
{
    (void)state;
    for_every_row(check_drain);
}

static void check_room(const struct hqq_view *view, enum hqq_plan plan)
{
    assert_int_equal(plan == HQQ_PLAN_ROOM, may_take_a_ring(view) && view->is_drained && !view->has_room &&
                                                view->may_wait && !view->has_waited_for_room);
}

static void room_is_waited_for_once_by_who_may_block(void **state)
{
    (void)state;
    for_every_row(check_room);
}

static void check_resend(const struct hqq_view *view, enum hqq_plan plan)
{
    assert_int_equal(plan == HQQ_PLAN_RESEND,
                     view->has_destination && view->may_publish && view->step == HQQ_STEP_RESEND);
}

static void what_was_not_read_goes_first_also_before_what_only_the_kernel_can_carry(void **state)
{
    (void)state;
    for_every_row(check_resend);
}

static void check_challenge(const struct hqq_view *view, enum hqq_plan plan)
{
    assert_int_equal(plan == HQQ_PLAN_CHALLENGE,
                     view->has_destination && view->may_publish && view->is_plain && view->step == HQQ_STEP_CHALLENGE);
}

static void a_challenge_rides_on_a_plain_datagram(void **state)
{
    (void)state;
    for_every_row(check_challenge);
}

/* Both waits done with, and what was to be sent again sent: a plan that ends the call. */
static void check_end(const struct hqq_view *view, enum hqq_plan plan)
{
    struct hqq_view next = *view;
    for (int waits = 0; waits < 3; waits++) {
        if (plan == HQQ_PLAN_DRAIN)
            next.has_waited_for_drain = true;
        else if (plan == HQQ_PLAN_ROOM)
            next.has_waited_for_room = true;
        else
            break;
        plan = hqq_plan_send(&next);
    }
    assert_true(plan != HQQ_PLAN_DRAIN && plan != HQQ_PLAN_ROOM);
}

static void no_call_waits_more_than_twice(void **state)
{
    (void)state;
    for_every_row(check_end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ring_is_taken_where_all_allows_it_and_nowhere_else),
        cmocka_unit_test(the_drain_is_waited_for_once_also_by_who_may_not_block),
        cmocka_unit_test(room_is_waited_for_once_by_who_may_block),
        cmocka_unit_test(what_was_not_read_goes_first_also_before_what_only_the_kernel_can_carry),
        cmocka_unit_test(a_challenge_rides_on_a_plain_datagram),
        cmocka_unit_test(no_call_waits_more_than_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
