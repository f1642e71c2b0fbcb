/* What hqq-perf-sockets makes of the pairs of a row. Plain memory, no processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "tools/sockets/judge.h"

#define PAIRS 20

static struct pair pairs[PAIRS];

/* A row of pairs that all count; plain figures of 100, preloaded ones from lowest on in steps. */
static struct measured make_row(double lowest, double step)
{
    memset(pairs, 0, sizeof(pairs));
    for (size_t i = 0; i < PAIRS; i++) {
        pairs[i].is_kept = true;
        pairs[i].plain.figures[0] = 100;
        pairs[i].preloaded.figures[0] = lowest + (double)i * step;
        pairs[i].beside_ns = 50;
    }
    return (struct measured){.made = PAIRS, .kept = PAIRS, .pairs = pairs};
}

static struct row_line line_of(enum row_comparison comparison, double bound)
{
    return (struct row_line){.label = "x", .unit = 1, .comparison = comparison, .bound = bound};
}

static enum verdict verdict_of(const struct measured *measured, enum row_comparison comparison, double bound)
{
    struct row_line line = line_of(comparison, bound);
    return judge_line(measured, &line).verdict;
}

static void a_cost_is_met_up_to_its_bound(void **state)
{
    struct measured measured = make_row(104, 0);
    (void)state;
    assert_int_equal(verdict_of(&measured, ROW_COST, 1.05), VERDICT_MET);
    measured = make_row(106, 0);
    assert_int_equal(verdict_of(&measured, ROW_COST, 1.05), VERDICT_NOT_MET); /* no interval to include it */
}

static void an_interval_that_includes_the_bound_is_enough_while_the_median_is_near(void **state)
{
    struct measured measured = make_row(98, 1); /* 98 to 117, median 107.5 */
    (void)state;
    assert_int_equal(verdict_of(&measured, ROW_COST, 1.05), VERDICT_MET);
    measured = make_row(98, 2); /* median 117 */
    assert_int_equal(verdict_of(&measured, ROW_COST, 1.05), VERDICT_NOT_MET);
}

static void a_gain_is_met_from_its_bound_on(void **state)
{
    struct measured measured = make_row(10, 0);
    (void)state;
    assert_int_equal(verdict_of(&measured, ROW_GAIN, 10), VERDICT_MET);
    assert_int_equal(verdict_of(&measured, ROW_GAIN, 10.1), VERDICT_NOT_MET);
    measured = make_row(9, 0.1); /* 11.1 times down to 9.2: the median is 10.05 */
    assert_int_equal(verdict_of(&measured, ROW_GAIN, 10.5), VERDICT_MET);
    assert_int_equal(verdict_of(&measured, ROW_GAIN, 10.7), VERDICT_NOT_MET);
}

static void more_of_a_rate_is_a_gain(void **state)
{
    struct measured measured = make_row(150, 0);
    struct row_line line = line_of(ROW_GAIN, 1.5);
    (void)state;
    line.is_rate = true;
    assert_int_equal(judge_line(&measured, &line).verdict, VERDICT_MET);
    line.is_rate = false;
    assert_int_equal(judge_line(&measured, &line).verdict, VERDICT_NOT_MET);
}

static void limits_differences_and_what_is_beside_have_bounds_of_their_own(void **state)
{
    struct measured measured = make_row(110, 0);
    (void)state;
    assert_int_equal(verdict_of(&measured, ROW_LIMIT, 110), VERDICT_MET);
    assert_int_equal(verdict_of(&measured, ROW_LIMIT, 104), VERDICT_NOT_MET);
    assert_int_equal(verdict_of(&measured, ROW_MORE, 10), VERDICT_MET);
    assert_int_equal(verdict_of(&measured, ROW_MORE, 9), VERDICT_NOT_MET);
    assert_int_equal(verdict_of(&measured, ROW_BESIDE, 2.2), VERDICT_MET);
    assert_int_equal(verdict_of(&measured, ROW_BESIDE, 2), VERDICT_NOT_MET);
    assert_int_equal(verdict_of(&measured, ROW_COST, 0), VERDICT_NONE);
}

static void pairs_that_are_set_aside_do_not_count(void **state)
{
    struct measured measured = make_row(100, 0);
    struct row_line line = line_of(ROW_COST, 1.05);
    (void)state;
    assert_false(judge_line(&measured, &line).is_doubtful);
    for (size_t i = 0; i < 6; i++) {
        pairs[i].preloaded.figures[0] = 1e9;
        pairs[i].is_kept = false;
    }
    struct judged judged = judge_line(&measured, &line);
    assert_int_equal(judged.value.count, PAIRS - 6);
    assert_int_equal(judged.verdict, VERDICT_MET);
    assert_true(judged.is_doubtful); /* fewer than 15 */
}

static void no_pair_has_no_verdict(void **state)
{
    struct measured measured = make_row(100, 0);
    (void)state;
    measured.made = 0;
    assert_int_equal(verdict_of(&measured, ROW_COST, 1.05), VERDICT_NONE);
    assert_int_equal(verdict_of(&measured, ROW_LIMIT, 1), VERDICT_NONE);
}

static void fill_curve(struct scene_result *result, size_t from, double ns)
{
    for (size_t i = from; i < SCENE_CURVE_MS; i++)
        result->curve[i] = ns;
}

static void polling_is_found_where_most_of_what_follows_is_quick(void **state)
{
    struct pair pair = {0};
    (void)state;
    fill_curve(&pair.plain, 0, 40000);
    fill_curve(&pair.preloaded, 0, 42000);
    judge_curve(&pair);
    assert_true(pair.preloaded.figures[SCENE_EACH] == SCENE_CURVE_MS); /* never */
    pair.preloaded.curve[3] = 500;                                     /* a trial that led to nothing */
    judge_curve(&pair);
    assert_true(pair.preloaded.figures[SCENE_EACH] == SCENE_CURVE_MS);
    fill_curve(&pair.preloaded, 60, 500);
    pair.preloaded.curve[100] = 41000; /* a moment without a processor */
    pair.preloaded.curve[101] = 0;
    judge_curve(&pair);
    assert_true(pair.preloaded.figures[SCENE_EACH] >= 3 && pair.preloaded.figures[SCENE_EACH] <= 60);
    fill_curve(&pair.preloaded, 0, 500);
    judge_curve(&pair);
    assert_true(pair.preloaded.figures[SCENE_EACH] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cost_is_met_up_to_its_bound),
        cmocka_unit_test(an_interval_that_includes_the_bound_is_enough_while_the_median_is_near),
        cmocka_unit_test(a_gain_is_met_from_its_bound_on),
        cmocka_unit_test(more_of_a_rate_is_a_gain),
        cmocka_unit_test(limits_differences_and_what_is_beside_have_bounds_of_their_own),
        cmocka_unit_test(pairs_that_are_set_aside_do_not_count),
        cmocka_unit_test(no_pair_has_no_verdict),
        cmocka_unit_test(polling_is_found_where_most_of_what_follows_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
