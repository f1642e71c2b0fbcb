/* The notify word: every move of its table and every illegal one, and its encoding where counters wrap around. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

#include "channel/bound.h"
#include "channel/notify.h"
#include "support/child.h"

#define RING_MOST (UINT64_C(1) << 16)

/* Written down a second time, by name, from the table in the header: from, and the states that may follow. */
static const char *const may_follow[HQQ_NOTIFY_STATES] = {
    [HQQ_ARMED] = "APSCH", [HQQ_POLLING] = "ASCH", [HQQ_SUSPENDED] = "APSCH",
    [HQQ_CLOSED] = "CH",   [HQQ_HANDOFF] = "SCH",
};
static const char letters[] = {
    [HQQ_ARMED] = 'A', [HQQ_POLLING] = 'P', [HQQ_SUSPENDED] = 'S', [HQQ_CLOSED] = 'C', [HQQ_HANDOFF] = 'H'};

static bool may(unsigned from, unsigned to)
{
    for (const char *at = may_follow[from]; *at; at++) {
        if (*at == letters[to])
            return true;
    }
    return false;
}

static void the_table_of_moves_is_the_headers(void **state)
{
    (void)state;
    for (unsigned from = 0; from < HQQ_NOTIFY_STATES; from++) {
        for (unsigned to = 0; to < HQQ_NOTIFY_STATES; to++)
            assert_int_equal(hqq_notify_may_move((enum hqq_notify)from, (enum hqq_notify)to), may(from, to));
    }
}

static void every_legal_move_is_one_swap_that_counts(void **state)
{
    (void)state;
    for (unsigned from = 0; from < HQQ_NOTIFY_STATES; from++) {
        for (unsigned to = 0; to < HQQ_NOTIFY_STATES; to++) {
            if (!may(from, to))
                continue;
            hqq_atomic_u64 notify = hqq_notify_moved(0, (enum hqq_notify)from, 100);
            uint64_t word = hqq_load_relaxed(&notify), before = word;
            uint64_t moves = hqq_load_relaxed(&hqq_notify_moves[to]);
            assert_true(hqq_notify_move(&notify, &word, (enum hqq_notify)to, 200));
            uint64_t after = hqq_load_relaxed(&notify);
            assert_int_equal(hqq_notify_state(after), to);
            assert_int_equal(after >> HQQ_NOTIFY_TURN_SHIFT, (before >> HQQ_NOTIFY_TURN_SHIFT) + 1);
            assert_int_equal(hqq_notify_limit(after, 150), to == HQQ_POLLING ? 0 : 200);
            assert_false(hqq_notify_is_withdrawn(after));
            assert_int_equal(hqq_load_relaxed(&hqq_notify_moves[to]), moves + 1);
        }
    }
}

static void a_move_from_a_word_that_has_changed_says_what_it_is_now(void **state)
{
    (void)state;
    for (unsigned from = 0; from < HQQ_NOTIFY_STATES; from++) {
        for (unsigned to = 0; to < HQQ_NOTIFY_STATES; to++) {
            if (!may(from, to))
                continue;
            /* the same state and limit, a turn later: a handler has been there and back */
            uint64_t read = hqq_notify_moved(0, (enum hqq_notify)from, 100);
            uint64_t now = read + (UINT64_C(1) << HQQ_NOTIFY_TURN_SHIFT), word = read;
            hqq_atomic_u64 notify = now;
            uint64_t moves = hqq_load_relaxed(&hqq_notify_moves[to]);
            assert_false(hqq_notify_move(&notify, &word, (enum hqq_notify)to, 100));
            assert_true(word == now && hqq_load_relaxed(&notify) == now);
            assert_int_equal(hqq_load_relaxed(&hqq_notify_moves[to]), moves);
        }
    }
}

/* ---- Illegal moves ----------------------------------------------------------------------------------------------- */

struct move {
    unsigned from, to;
};

static int move_in_child(void *argument)
{
    const struct move *move = argument;
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGABRT, SIG_DFL); /* the test framework catches it */
    int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDERR_FILENO);
    hqq_atomic_u64 notify = hqq_notify_moved(0, (enum hqq_notify)move->from, 0);
    uint64_t word = hqq_load_relaxed(&notify);
    hqq_notify_move(&notify, &word, (enum hqq_notify)move->to, 0);
    return 0;
}

static void every_illegal_move_is_an_assertion(void **state)
{
    (void)state;
#ifdef NDEBUG
    skip();
#endif
    int illegal = 0;
    for (unsigned from = 0; from < HQQ_NOTIFY_STATES; from++) {
        for (unsigned to = 0; to < HQQ_NOTIFY_STATES; to++) {
            struct move move = {from, to};
            if (may(from, to))
                continue;
            illegal++;
            assert_int_equal(child_run(move_in_child, &move), 128 + SIGABRT);
        }
    }
    assert_int_equal(illegal, 6);
}

/* ---- Encoding ---------------------------------------------------------------------------------------------------- */

/* Counters about which 20 bits, or 64, wrap around. */
static const uint64_t about[] = {0,
                                 1,
                                 RING_MOST,
                                 (UINT64_C(1) << 20) - 1,
                                 UINT64_C(1) << 20,
                                 (UINT64_C(1) << 32) + 5,
                                 (UINT64_C(5) << 20) + RING_MOST,
                                 UINT64_MAX - RING_MOST,
                                 UINT64_MAX - 1,
                                 UINT64_MAX};
#define ABOUT (sizeof(about) / sizeof(about[0]))

static const uint64_t apart[] = {0, 1, 2, 255, 256, RING_MOST - 1, RING_MOST, 2 * RING_MOST};
#define APART (sizeof(apart) / sizeof(apart[0]))

static void limits_and_places_are_told_apart_as_far_as_the_largest_ring(void **state)
{
    (void)state;
    static const enum hqq_notify states[] = {HQQ_ARMED, HQQ_SUSPENDED, HQQ_CLOSED, HQQ_HANDOFF};
    for (size_t i = 0; i < ABOUT; i++) {
        for (size_t k = 0; k < APART; k++) {
            for (size_t s = 0; s < 4; s++) {
                uint64_t limit = about[i], place = limit + apart[k];
                uint64_t word = hqq_notify_withdrawn_at(hqq_notify_moved(0, states[s], limit), place);
                assert_int_equal(hqq_notify_state(word), states[s]);
                assert_true(hqq_notify_is_withdrawn(word));
                assert_true(hqq_notify_limit(word, limit) == limit);
                assert_true(hqq_notify_limit(word, place) == limit);
                assert_true(hqq_notify_limit(word, limit - apart[k]) == limit);
                assert_true(hqq_notify_place(word, limit) == place);
                assert_true(hqq_notify_place(word, place + apart[k]) == place);
                assert_int_equal(word >> HQQ_NOTIFY_TURN_SHIFT, 1);
            }
        }
    }
}

static void a_withdrawal_changes_nothing_but_its_two_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < ABOUT; i++) {
        uint64_t word = hqq_notify_moved(UINT64_C(0x12345) << HQQ_NOTIFY_TURN_SHIFT, HQQ_ARMED, about[i]);
        uint64_t after = hqq_notify_withdrawn_at(word, about[i] + 3);
        uint64_t fields = HQQ_NOTIFY_WITHDRAWN | HQQ_NOTIFY_POSITION_MASK << HQQ_NOTIFY_PLACE_SHIFT;
        assert_true((word & ~fields) == (after & ~fields));
        assert_true((word & fields) == 0);
    }
}

static void moves_keep_what_is_withdrawn_and_polling_forgets_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < ABOUT; i++) {
        uint64_t word = hqq_notify_withdrawn_at(hqq_notify_moved(0, HQQ_ARMED, about[i]), about[i] + 7);
        for (unsigned to = 0; to < HQQ_NOTIFY_STATES; to++) {
            uint64_t after = hqq_notify_moved(word, (enum hqq_notify)to, about[i] + 5);
            if (to == HQQ_POLLING) {
                assert_int_equal(after & (HQQ_POLLING | ~(~UINT64_C(0) << HQQ_NOTIFY_TURN_SHIFT)), HQQ_POLLING);
                continue;
            }
            assert_true(hqq_notify_is_withdrawn(after));
            assert_true(hqq_notify_place(after, about[i]) == about[i] + 7);
            assert_true(hqq_notify_limit(after, about[i]) == about[i] + 5);
        }
    }
}

static void turns_wrap_around_and_touch_nothing_else(void **state)
{
    (void)state;
    uint64_t last = UINT64_MAX << HQQ_NOTIFY_TURN_SHIFT;
    for (unsigned to = 0; to < HQQ_NOTIFY_STATES; to++) {
        uint64_t after = hqq_notify_moved(last | HQQ_ARMED, (enum hqq_notify)to, HQQ_NOTIFY_POSITION_MASK);
        assert_int_equal(after >> HQQ_NOTIFY_TURN_SHIFT, 0);
        assert_int_equal(hqq_notify_state(after), to);
        assert_false(hqq_notify_is_withdrawn(after));
    }
}

static void zeroed_memory_is_armed_with_nothing_published(void **state)
{
    (void)state;
    assert_int_equal(hqq_notify_state(0), HQQ_ARMED);
    assert_false(hqq_notify_is_withdrawn(0));
    assert_int_equal(hqq_notify_limit(0, 0), 0);
}

static void a_state_that_nobody_writes_reads_closed(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 8; value++) {
        for (int others = 0; others < 2; others++) {
            uint64_t word = value | (others ? ~UINT64_C(7) : 0);
            assert_int_equal(hqq_notify_state(word), value < HQQ_NOTIFY_STATES ? value : HQQ_CLOSED);
        }
    }
}

static void the_bound_is_w_the_place_or_the_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < ABOUT; i++) {
        uint64_t r = about[i], w = r + 9;
        assert_true(hqq_bound_of(hqq_notify_moved(0, HQQ_POLLING, r), r, w) == w);
        for (unsigned to = 0; to < HQQ_NOTIFY_STATES; to++) {
            if (to == HQQ_POLLING)
                continue;
            uint64_t word = hqq_notify_moved(0, (enum hqq_notify)to, r + 4);
            assert_true(hqq_bound_of(word, r, w) == r + 4);
            assert_true(hqq_bound_of(hqq_notify_withdrawn_at(word, r + 6), r, w) == r + 6);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_moves_is_the_headers),
        cmocka_unit_test(every_legal_move_is_one_swap_that_counts),
        cmocka_unit_test(a_move_from_a_word_that_has_changed_says_what_it_is_now),
        cmocka_unit_test(every_illegal_move_is_an_assertion),
        cmocka_unit_test(limits_and_places_are_told_apart_as_far_as_the_largest_ring),
        cmocka_unit_test(a_withdrawal_changes_nothing_but_its_two_fields),
        cmocka_unit_test(moves_keep_what_is_withdrawn_and_polling_forgets_it),
        cmocka_unit_test(turns_wrap_around_and_touch_nothing_else),
        cmocka_unit_test(zeroed_memory_is_armed_with_nothing_published),
        cmocka_unit_test(a_state_that_nobody_writes_reads_closed),
        cmocka_unit_test(the_bound_is_w_the_place_or_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
