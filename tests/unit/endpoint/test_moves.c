/* The moves of a destination and of an endpoint's mode: every legal one, and every illegal one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "endpoint/destinations.h"
#include "endpoint/mode.h"
#include "support/child.h"

/* Written down a second time from the table in the header: from, and the states that may follow. */
static const char *const may_follow[HQQ_PROGRESS_STATES] = {
    [HQQ_PROGRESS_NONE] = "OF",                                    /* offered; or found open */
    [HQQ_PROGRESS_OFFERED] = "NC",                                 /* given up; challenged */
    [HQQ_PROGRESS_CHALLENGED] = "NCF", [HQQ_PROGRESS_OPEN] = "NR", /* over; to be sent again */
    [HQQ_PROGRESS_RESENDING] = "N",
};
static const char letters[] = {[HQQ_PROGRESS_NONE] = 'N',
                               [HQQ_PROGRESS_OFFERED] = 'O',
                               [HQQ_PROGRESS_CHALLENGED] = 'C',
                               [HQQ_PROGRESS_OPEN] = 'F',
                               [HQQ_PROGRESS_RESENDING] = 'R'};

struct move {
    unsigned from, to;
};

static bool may(const struct move *move)
{
    return strchr(may_follow[move->from], letters[move->to]) != NULL;
}

#ifndef NDEBUG
static int move_in_child(void *argument)
{
    const struct move *move = argument;
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGABRT, SIG_DFL); /* the test framework catches it */
    dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    struct hqq_destination destination = {.progress = (enum hqq_progress)move->from};
    hqq_destination_set(&destination, (enum hqq_progress)move->to);
    return 0;
}
#endif

static void destinations_move_as_the_table_says(void **state)
{
    (void)state;
    int illegal = 0;
    for (struct move move = {0, 0}; move.from < HQQ_PROGRESS_STATES; move.from++) {
        for (move.to = 0; move.to < HQQ_PROGRESS_STATES; move.to++) {
            bool is_legal = may(&move);
            assert_int_equal(hqq_destination_may_move((enum hqq_progress)move.from, (enum hqq_progress)move.to),
                             is_legal);
            if (is_legal) {
                struct hqq_destination destination = {.progress = (enum hqq_progress)move.from, .kernel_run = 7};
                uint64_t moves = hqq_load_relaxed(&hqq_destination_moves[move.to]);
                hqq_destination_set(&destination, (enum hqq_progress)move.to);
                assert_int_equal(destination.progress, move.to);
                assert_int_equal(hqq_load32_relaxed(&destination.kernel_run), 0);
                assert_int_equal(hqq_load_relaxed(&hqq_destination_moves[move.to]), moves + 1);
            } else {
                illegal++;
#ifndef NDEBUG
                assert_int_equal(child_run(move_in_child, &move), 128 + SIGABRT);
#endif
            }
        }
    }
    assert_int_equal(illegal, 25 - 10);
}

static void every_state_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (unsigned a = 0; a < HQQ_PROGRESS_STATES; a++) {
        for (unsigned b = 0; b < a; b++)
            assert_string_not_equal(hqq_destination_text((enum hqq_progress)a),
                                    hqq_destination_text((enum hqq_progress)b));
    }
}

static void modes_only_fall_but_for_a_foreign_endpoint_that_is_ours_again(void **state)
{
    (void)state;
    for (int from = HQQ_MODE_ACCELERATED; from <= HQQ_MODE_KERNEL; from++) {
        for (int to = HQQ_MODE_ACCELERATED; to <= HQQ_MODE_KERNEL; to++) {
            bool is_legal = to >= from || (from == HQQ_MODE_FOREIGN && to == HQQ_MODE_ACCELERATED);
            assert_int_equal(hqq_mode_may_move((enum hqq_mode)from, (enum hqq_mode)to), is_legal);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(destinations_move_as_the_table_says),
        cmocka_unit_test(every_state_has_a_name_of_its_own),
        cmocka_unit_test(modes_only_fall_but_for_a_foreign_endpoint_that_is_ours_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
