/* The owner word of an end: every state, who may claim, shut, leave and recover, and that a recoverer may die in
 * turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <hqq/error.h>

#include "base/point.h"
#include "platform/process.h"
#include "ring/consume.h"
#include "ring/produce.h"
#include "standard/end.h"
#include "support/child.h"
#include "support/plain_ring.h"

#define COUNT 8

/* In memory that children share. */
struct shared {
    struct hqq_end end;
    struct hqq_bell bell[2];
};

static struct region region;
static struct shared *shared;
static struct plain_ring produced, consumed;
static struct hqq_end_view view;
static uint64_t self, dead;

static int look_up_identities(void **state)
{
    (void)state;
    self = hqq_process_self();
    dead = child_dead_identity();
    return self != HQQ_PROCESS_UNKNOWN ? 0 : -1;
}

static int set_up(void **state)
{
    (void)state;
    region = region_new(sizeof(struct shared));
    shared = region.base;
    produced = plain_ring_new(COUNT, 8);
    consumed = plain_ring_new(COUNT, 8);
    view = (struct hqq_end_view){&shared->end, &produced.ring, &consumed.ring, {&shared->bell[0], &shared->bell[1]}};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_point_hook = NULL;
    plain_ring_delete(&produced);
    plain_ring_delete(&consumed);
    region_delete(&region);
    return 0;
}

static uint64_t word(enum hqq_end_state state, uint64_t identity)
{
    return (uint64_t)state << 61 | identity;
}

static void set_owner(enum hqq_end_state state, uint64_t identity)
{
    hqq_store_relaxed(&shared->end.owner, word(state, identity));
}

static uint64_t owner(void)
{
    return hqq_load_relaxed(&shared->end.owner);
}

/* The end has claimed two slots to write, and taken three it has not released. */
static void hold_five_slots(void)
{
    uint64_t position = 0;
    assert_int_equal(hqq_ring_claim_write(&produced.ring, 2, &position), 2);
    assert_int_equal(hqq_ring_claim_write(&consumed.ring, COUNT, &position), COUNT);
    for (uint64_t i = 0; i < COUNT; i++)
        hqq_ring_publish(&consumed.ring, i);
    assert_int_equal(hqq_ring_claim_read(&consumed.ring, 3, &position), 3);
}

static void assert_slots_are_free(void)
{
    uint64_t position;
    assert_int_equal(hqq_ring_claim_read(&produced.ring, COUNT, &position), 2);
    assert_int_equal(hqq_ring_claim_write(&consumed.ring, COUNT, &position), 3);
}

static int claim(void)
{
    uint64_t recovered;
    return hqq_end_claim(&view, self, true, &recovered);
}

/* ---- The word ---------------------------------------------------------------------------------------------------- */

static void the_state_is_in_the_top_bits_whatever_the_identity(void **state)
{
    (void)state;
    for (uint64_t i = HQQ_END_NONE; i <= HQQ_END_DEAD; i++) {
        assert_int_equal(hqq_end_state(i << 61), i);
        assert_int_equal(hqq_end_state(i << 61 | ((UINT64_C(1) << 61) - 1)), i);
    }
}

static void a_state_that_there_is_not_is_none(void **state)
{
    (void)state;
    assert_int_equal(hqq_end_state(UINT64_C(6) << 61), HQQ_END_NONE);
    assert_int_equal(hqq_end_state(UINT64_MAX), HQQ_END_NONE);
}

/* ---- Claiming ---------------------------------------------------------------------------------------------------- */

static void an_end_that_nobody_holds_is_claimed(void **state)
{
    (void)state;
    const uint64_t free[] = {0, word(HQQ_END_CLOSED, 0), word(HQQ_END_CLOSED, dead), word(HQQ_END_DEAD, 0), UINT64_MAX};
    for (size_t i = 0; i < sizeof(free) / sizeof(free[0]); i++) {
        hqq_store_relaxed(&shared->end.owner, free[i]);
        assert_int_equal(claim(), 0);
        assert_int_equal(owner(), word(HQQ_END_ALIVE, self));
    }
}

static void an_end_that_a_living_process_holds_is_busy(void **state)
{
    (void)state;
    static const enum hqq_end_state held[] = {HQQ_END_ALIVE, HQQ_END_SHUT};
    for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++) {
        set_owner(held[i], self);
        assert_int_equal(claim(), HQQ_ERROR_BUSY);
        assert_int_equal(owner(), word(held[i], self));
    }
}

static void an_end_that_is_being_recovered_is_to_be_tried_again(void **state)
{
    (void)state;
    set_owner(HQQ_END_RECOVERING, self);
    assert_int_equal(claim(), -EAGAIN);
    assert_int_equal(owner(), word(HQQ_END_RECOVERING, self));
}

static void who_takes_an_end_says_how_it_rings(void **state)
{
    (void)state;
    uint64_t recovered;
    assert_int_equal(hqq_end_claim(&view, self, true, &recovered), 0);
    assert_int_equal(hqq_load32_relaxed(&shared->end.is_light), 1);
    set_owner(HQQ_END_CLOSED, 0);
    assert_int_equal(hqq_end_claim(&view, self, false, &recovered), 0);
    assert_int_equal(hqq_load32_relaxed(&shared->end.is_light), 0);
    hqq_end_hold(&shared->end, self, true);
    assert_int_equal(hqq_load32_relaxed(&shared->end.is_light), 1);
    assert_int_equal(owner(), word(HQQ_END_ALIVE, self));
}

static void an_end_of_an_unknown_holder_is_busy_for_ever(void **state)
{
    (void)state;
    set_owner(HQQ_END_ALIVE, HQQ_PROCESS_UNKNOWN);
    assert_int_equal(claim(), HQQ_ERROR_BUSY);
}

static void an_end_whose_holder_died_is_claimed_with_its_slots_free(void **state)
{
    (void)state;
    uint64_t recovered = 99;
    hold_five_slots();
    set_owner(HQQ_END_ALIVE, dead);
    assert_int_equal(hqq_end_claim(&view, self, false, &recovered), 0);
    assert_int_equal(recovered, 5);
    assert_int_equal(owner(), word(HQQ_END_ALIVE, self));
    assert_slots_are_free();
}

static void who_has_no_identity_may_claim_what_is_free_but_not_recover(void **state)
{
    (void)state;
    uint64_t recovered;
    set_owner(HQQ_END_ALIVE, dead);
    assert_int_equal(hqq_end_claim(&view, HQQ_PROCESS_UNKNOWN, false, &recovered), HQQ_ERROR_BUSY);
    assert_int_equal(owner(), word(HQQ_END_ALIVE, dead));
    set_owner(HQQ_END_CLOSED, 0);
    assert_int_equal(hqq_end_claim(&view, HQQ_PROCESS_UNKNOWN, false, &recovered), 0);
    assert_int_equal(owner(), word(HQQ_END_ALIVE, HQQ_PROCESS_UNKNOWN));
}

/* ---- Shutting and leaving ---------------------------------------------------------------------------------------- */

static void an_end_that_is_shut_still_names_its_holder(void **state)
{
    (void)state;
    set_owner(HQQ_END_ALIVE, self);
    hqq_end_shut(&shared->end);
    assert_int_equal(owner(), word(HQQ_END_SHUT, self));
    hqq_end_shut(&shared->end);
    assert_int_equal(owner(), word(HQQ_END_SHUT, self));
}

static void an_end_that_is_not_alive_is_not_shut(void **state)
{
    (void)state;
    static const enum hqq_end_state others[] = {HQQ_END_NONE, HQQ_END_CLOSED, HQQ_END_RECOVERING, HQQ_END_DEAD};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        set_owner(others[i], self);
        hqq_end_shut(&shared->end);
        assert_int_equal(owner(), word(others[i], self));
    }
}

static void who_leaves_gives_up_its_slots_if_it_holds_any(void **state)
{
    (void)state;
    hold_five_slots();
    set_owner(HQQ_END_SHUT, self);
    for (int i = 0; i < 2; i++) {
        hqq_store32_relaxed(&shared->bell[i].sleepers, 7);
        hqq_store32_relaxed(&shared->bell[i].armed, 1);
    }
    hqq_end_leave(&view, true);
    assert_int_equal(owner(), word(HQQ_END_CLOSED, 0));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hqq_load32_relaxed(&shared->bell[i].sleepers), 0);
        assert_int_equal(hqq_load32_relaxed(&shared->bell[i].armed), 0);
    }
    assert_slots_are_free();
    hqq_end_leave(&view, false);
    assert_int_equal(owner(), word(HQQ_END_CLOSED, 0));
}

/* ---- Recovering -------------------------------------------------------------------------------------------------- */

static void a_dead_holder_is_recovered_in_whatever_state_it_was(void **state)
{
    (void)state;
    static const enum hqq_end_state held[] = {HQQ_END_ALIVE, HQQ_END_SHUT, HQQ_END_RECOVERING};
    for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++) {
        uint64_t recovered = 99;
        set_owner(held[i], dead);
        assert_true(hqq_end_recover(&view, self, &recovered));
        assert_int_equal(recovered, 0);
        assert_int_equal(owner(), word(held[i] == HQQ_END_SHUT ? HQQ_END_CLOSED : HQQ_END_DEAD, 0));
    }
}

static void what_nobody_holds_or_a_living_process_holds_is_not_recovered(void **state)
{
    (void)state;
    const uint64_t owners[] = {
        0,
        word(HQQ_END_ALIVE, self),
        word(HQQ_END_SHUT, self),
        word(HQQ_END_RECOVERING, self),
        word(HQQ_END_CLOSED, dead),
        word(HQQ_END_DEAD, dead),
        word(HQQ_END_ALIVE, 0),
    };
    for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
        uint64_t recovered = 99;
        hqq_store_relaxed(&shared->end.owner, owners[i]);
        assert_false(hqq_end_recover(&view, self, &recovered));
        assert_int_equal(recovered, 99);
        assert_int_equal(owner(), owners[i]);
    }
}

static uint64_t owner_when_begun, owner_when_done;
static bool was_freed_when_done;

static void look_at_a_recovery(const char *label)
{
    if (strcmp(label, "recover.begun") == 0)
        owner_when_begun = owner();
    if (strcmp(label, "recover.done") == 0) {
        owner_when_done = owner();
        was_freed_when_done = hqq_ring_is_readable(&produced.ring) && hqq_ring_is_writable(&consumed.ring);
    }
}

static void the_slots_are_free_before_the_end_says_dead(void **state)
{
    (void)state;
    uint64_t recovered = 99;
    hold_five_slots();
    set_owner(HQQ_END_SHUT, dead);
    hqq_point_hook = look_at_a_recovery;
    assert_true(hqq_end_recover(&view, self, &recovered));
    assert_int_equal(recovered, 5);
    assert_int_equal(owner_when_begun, word(HQQ_END_RECOVERING, self));
    assert_int_equal(owner_when_done, word(HQQ_END_RECOVERING, self));
    assert_true(was_freed_when_done);
    assert_slots_are_free();
}

static int recover_in_a_child(void *arg)
{
    uint64_t recovered;
    (void)arg;
    return hqq_end_recover(&view, hqq_process_self(), &recovered) ? 0 : 1;
}

static void a_recoverer_that_dies_is_recovered_in_turn(void **state)
{
    (void)state;
    static const char *const labels[] = {"recover.begun", "recover.swept", "recover.done"};
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        uint64_t recovered = 99;
        plain_ring_start_at(&produced, 0);
        plain_ring_start_at(&consumed, 0);
        hold_five_slots();
        set_owner(HQQ_END_ALIVE, dead);
        assert_true(child_dies_at(labels[i], recover_in_a_child, NULL));
        assert_int_equal(hqq_end_state(owner()), HQQ_END_RECOVERING);
        assert_true(hqq_end_recover(&view, self, &recovered));
        assert_int_equal(recovered, i == 0 ? 5 : i == 1 ? 4 : 0);
        assert_int_equal(owner(), word(HQQ_END_DEAD, 0));
        assert_slots_are_free();
    }
}

/* ---- Gone? ------------------------------------------------------------------------------------------------------- */

static void an_end_is_gone_once_it_was_closed_or_its_holder_is_known_to_be_dead(void **state)
{
    (void)state;
    const struct {
        enum hqq_end_state state;
        uint64_t identity;
        bool can_check, is_gone;
    } cases[] = {
        {HQQ_END_NONE, 0, true, false},         {HQQ_END_CLOSED, 0, true, true},
        {HQQ_END_DEAD, 0, true, true},          {HQQ_END_CLOSED, 0, false, true},
        {HQQ_END_ALIVE, self, true, false},     {HQQ_END_SHUT, self, true, false},
        {HQQ_END_ALIVE, dead, true, true},      {HQQ_END_SHUT, dead, true, true},
        {HQQ_END_RECOVERING, dead, true, true}, {HQQ_END_RECOVERING, self, true, false},
        {HQQ_END_ALIVE, dead, false, false},    {HQQ_END_ALIVE, 0, true, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set_owner(cases[i].state, cases[i].identity);
        assert_int_equal(hqq_end_is_gone(&shared->end, cases[i].can_check), cases[i].is_gone);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_state_is_in_the_top_bits_whatever_the_identity),
        TEST(a_state_that_there_is_not_is_none),
        TEST(an_end_that_nobody_holds_is_claimed),
        TEST(an_end_that_a_living_process_holds_is_busy),
        TEST(an_end_that_is_being_recovered_is_to_be_tried_again),
        TEST(who_takes_an_end_says_how_it_rings),
        TEST(an_end_of_an_unknown_holder_is_busy_for_ever),
        TEST(an_end_whose_holder_died_is_claimed_with_its_slots_free),
        TEST(who_has_no_identity_may_claim_what_is_free_but_not_recover),
        TEST(an_end_that_is_shut_still_names_its_holder),
        TEST(an_end_that_is_not_alive_is_not_shut),
        TEST(who_leaves_gives_up_its_slots_if_it_holds_any),
        TEST(a_dead_holder_is_recovered_in_whatever_state_it_was),
        TEST(what_nobody_holds_or_a_living_process_holds_is_not_recovered),
        TEST(the_slots_are_free_before_the_end_says_dead),
        TEST(a_recoverer_that_dies_is_recovered_in_turn),
        TEST(an_end_is_gone_once_it_was_closed_or_its_holder_is_known_to_be_dead),
    };
    return cmocka_run_group_tests(tests, look_up_identities, NULL);
}
