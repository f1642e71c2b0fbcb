/* Places that the copies of a socket share: who holds one, and when it is free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "endpoint/shared.h"

static void a_place_that_was_returned_is_taken_again_and_is_empty(void **state)
{
    (void)state;
    uint32_t first_take, second_take;
    struct hqq_shared *first = hqq_shared_take(&first_take);
    assert_non_null(first);
    hqq_store_relaxed(&first->kernel_sends, 7);
    hqq_store32_relaxed(&first->is_contested, 1);
    hqq_shared_return(first, first_take);
    struct hqq_shared *second = hqq_shared_take(&second_take);
    assert_ptr_equal(second, first);
    assert_int_not_equal(second_take, first_take);
    assert_int_equal(hqq_load_relaxed(&second->kernel_sends), 0);
    assert_int_equal(hqq_load32_relaxed(&second->is_contested), 0);
    hqq_shared_return(second, second_take);
}

static void a_place_is_free_once_the_last_holder_has_returned_it(void **state)
{
    (void)state;
    uint32_t take, other;
    struct hqq_shared *place = hqq_shared_take(&take);
    assert_true(hqq_shared_hold(place, take));
    hqq_shared_return(place, take);
    struct hqq_shared *another = hqq_shared_take(&other);
    assert_ptr_not_equal(another, place);
    hqq_shared_return(place, take);
    struct hqq_shared *again = hqq_shared_take(&take);
    assert_ptr_equal(again, place);
    hqq_shared_return(again, take);
    hqq_shared_return(another, other);
}

static void who_comes_too_late_neither_holds_nor_returns_it(void **state)
{
    (void)state;
    uint32_t early, late, other;
    struct hqq_shared *place = hqq_shared_take(&early);
    hqq_shared_return(place, early);
    assert_ptr_equal(hqq_shared_take(&late), place);
    assert_false(hqq_shared_hold(place, early));
    hqq_shared_return(place, early);
    struct hqq_shared *another = hqq_shared_take(&other);
    assert_ptr_not_equal(another, place);
    hqq_shared_return(another, other);
    hqq_shared_return(place, late);
}

static void a_child_that_ends_gives_back_what_it_held(void **state)
{
    (void)state;
    uint32_t take, again;
    int status;
    struct hqq_shared *place = hqq_shared_take(&take);
    assert_true(hqq_shared_hold(place, take)); /* for the child */
    pid_t child = fork();
    if (child == 0) {
        hqq_shared_begin_pool();
        hqq_shared_return(place, take);
        _exit(0);
    }
    hqq_shared_return(place, take);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_ptr_equal(hqq_shared_take(&again), place);
    hqq_shared_return(place, again);
}

static void more_places_than_a_pool_has_are_found(void **state)
{
    enum { MANY = 3000 };
    (void)state;
    static struct hqq_shared *places[MANY];
    static uint32_t takes[MANY];
    for (int i = 0; i < MANY; i++) {
        places[i] = hqq_shared_take(&takes[i]);
        assert_non_null(places[i]);
        hqq_store_relaxed(&places[i]->changes, (uint64_t)i);
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(hqq_load_relaxed(&places[i]->changes), i);
        hqq_shared_return(places[i], takes[i]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_that_was_returned_is_taken_again_and_is_empty),
        cmocka_unit_test(a_place_is_free_once_the_last_holder_has_returned_it),
        cmocka_unit_test(who_comes_too_late_neither_holds_nor_returns_it),
        cmocka_unit_test(a_child_that_ends_gives_back_what_it_held),
        cmocka_unit_test(more_places_than_a_pool_has_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
