/* Calls: answers and errors, deadlines, what is given up, and who serves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <hqq/error.h>

#include "platform/clock.h"
#include "support/advanced.h"
#include "support/pattern.h"

#define COUNT 16
#define SIZE 64
#define MIB ((size_t)1 << 20)
#define CALLERS 6

static struct duo duo;
static unsigned char bytes[MIB];

static int set_up(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.features = ORIGINAL_FEATURES};
    pattern(bytes, sizeof(bytes), 6);
    duo = duo_agreed(COUNT, SIZE, &config);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    duo_close(&duo);
    return 0;
}

/* Answers with what it was asked, and the method plus one for the status. */
static void echo(struct hqq_request *request, void *arg)
{
    hqq_atomic_u64 *count = arg;
    if (count)
        hqq_add_relaxed(count, 1);
    (void)hqq_request_respond(request, hqq_request_method(request) + 1, hqq_request_data(request),
                              hqq_request_length(request), advanced_soon());
}

static void serve_by(hqq_request_fn *handle, void *arg)
{
    assert_int_equal(hqq_advanced_handle(duo.end[1], HQQ_ANY_METHOD, handle, arg), 0);
    assert_int_equal(hqq_advanced_start(duo.end[1], NULL), 0);
}

static struct hqq_request *serve(void)
{
    struct hqq_request *request = NULL;
    assert_int_equal(hqq_advanced_serve(duo.end[1], 0, &request), 0);
    return request;
}

static struct hqq_pending *begin(uint64_t method)
{
    struct hqq_pending *pending = NULL;
    assert_int_equal(hqq_pending_begin(duo.end[0], NULL, method, bytes, 10, 0, &pending), 0);
    return pending;
}

/* ---- Answers ------------------------------------------------------------------------------------------------------- */

static void a_call_returns_the_status_and_the_answer(void **state)
{
    (void)state;
    serve_by(echo, NULL);
    const size_t sizes[] = {0, 1, SIZE, SIZE + 1, 5000, MIB};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct hqq_received answer;
        uint64_t status = 0;
        assert_int_equal(hqq_advanced_call(duo.end[0], i, bytes, sizes[i], advanced_soon(), &status, &answer), 0);
        assert_int_equal(status, i + 1);
        assert_int_equal(answer.length, sizes[i]);
        assert_memory_equal(answer.data, bytes, sizes[i]);
        hqq_received_free(duo.end[0], &answer);
    }
    assert_int_equal(hqq_advanced_call(duo.end[0], UINT64_MAX - 1, bytes, 5, advanced_soon(), NULL, NULL), 0);
    struct hqq_advanced_stats caller = advanced_stats(duo.end[0]), server = advanced_stats(duo.end[1]);
    assert_int_equal(caller.requests_sent, 7);
    assert_int_equal(caller.responses_received, 7);
    assert_int_equal(server.requests_received, 7);
    assert_int_equal(server.responses_sent, 7);
    assert_int_equal(caller.calls, 0);
}

static void an_error_is_an_answer_with_status_and_payload(void **state)
{
    (void)state;
    struct hqq_pending *pending = begin(3);
    struct hqq_request *request = serve();
    struct hqq_received answer;
    uint64_t status;
    assert_int_equal(hqq_request_respond_error(request, 99, "bad thing", 9, 0), 0);
    assert_int_equal(hqq_pending_wait(pending, 0, &status, &answer), HQQ_ERROR_REMOTE);
    assert_int_equal(status, 99);
    assert_int_equal(answer.length, 9);
    assert_memory_equal(answer.data, "bad thing", 9);
    hqq_received_free(duo.end[0], &answer);
    assert_int_equal(advanced_stats(duo.end[0]).error_responses_received, 1);
    assert_int_equal(advanced_stats(duo.end[1]).error_responses_sent, 1);
}

static void a_request_says_what_was_asked_and_on_which_connection(void **state)
{
    (void)state;
    struct hqq_connection *ends[2];
    struct hqq_pending *pending;
    duo_connect(&duo, ends);
    assert_int_equal(hqq_pending_begin(duo.end[0], ends[0], 8, "abc", 3, 0, &pending), 0);
    struct hqq_request *request = serve();
    assert_int_equal(hqq_request_method(request), 8);
    assert_int_equal(hqq_request_connection(request), hqq_connection_id(ends[0]));
    assert_int_equal(hqq_request_length(request), 3);
    assert_memory_equal(hqq_request_data(request), "abc", 3);
    assert_int_equal(hqq_request_respond(request, 1, NULL, 0, 0), 0);
    assert_int_equal(hqq_pending_wait(pending, 0, NULL, NULL), 0);

    assert_int_equal(hqq_pending_begin(duo.end[0], ends[0], 8, "abc", 3, 0, &pending), 0);
    request = serve();
    hqq_connection_close(ends[0], 0); /* which nobody can answer any more */
    assert_int_equal(hqq_pending_wait(pending, 0, NULL, NULL), HQQ_ERROR_CLOSED);
    (void)advanced_drive(duo.end[1]);
    assert_int_equal(hqq_request_respond(request, 1, NULL, 0, 0), HQQ_ERROR_CLOSED);
}

struct asking {
    struct hqq_advanced *advanced;
    uint64_t method, status;
};

static int ask(struct caller *caller)
{
    struct asking *asking = caller->arg;
    return hqq_advanced_call(asking->advanced, asking->method, "q", 1, advanced_soon(), &asking->status, NULL);
}

static void calls_of_many_threads_are_answered_in_any_order(void **state)
{
    (void)state;
    struct asking asking[CALLERS];
    struct caller callers[CALLERS];
    struct hqq_request *requests[CALLERS];
    for (size_t i = 0; i < CALLERS; i++) {
        asking[i] = (struct asking){duo.end[0], 100 + i, 0};
        callers[i] = (struct caller){.call = ask, .arg = &asking[i]};
        caller_start(&callers[i]);
    }
    for (size_t i = 0; i < CALLERS; i++)
        assert_int_equal(hqq_advanced_serve(duo.end[1], advanced_soon(), &requests[i]), 0);
    assert_int_equal(advanced_stats(duo.end[0]).calls, CALLERS);
    for (size_t i = CALLERS; i-- > 0;)
        assert_int_equal(hqq_request_respond(requests[i], hqq_request_method(requests[i]) * 2, NULL, 0, 0), 0);
    for (size_t i = 0; i < CALLERS; i++) {
        assert_int_equal(caller_join(&callers[i]), 0);
        assert_int_equal(asking[i].status, 2 * (100 + i));
    }
}

static void answers_that_do_not_fit_at_once_are_posted(void **state)
{
    (void)state;
    struct hqq_pending *pending = begin(3);
    struct hqq_received answer;
    assert_int_equal(hqq_request_respond(serve(), 1, bytes, 10000, 0), 0);
    duo_settle(&duo);
    assert_int_equal(hqq_pending_wait(pending, 0, NULL, &answer), 0);
    assert_int_equal(answer.length, 10000);
    assert_memory_equal(answer.data, bytes, 10000);
    hqq_received_free(duo.end[0], &answer);
}

static void an_answer_that_fails_may_be_tried_again(void **state)
{
    (void)state;
    struct hqq_pending *pending = begin(3);
    struct hqq_request *request = serve();
    uint64_t status;
    uint64_t deadline = hqq_clock_ns() + HQQ_NS_PER_MS;
    assert_int_equal(hqq_request_respond(request, 1, bytes, 10000, deadline), HQQ_ERROR_TIMEOUT);
    assert_int_equal(hqq_request_respond(request, 2, "short", 5, 0), 0);
    duo_settle(&duo);
    /* The first answer was aborted midway, and that is what the caller hears; the second is late. */
    assert_int_equal(hqq_pending_wait(pending, 0, &status, NULL), HQQ_ERROR_ABORTED);
    assert_int_equal(advanced_stats(duo.end[0]).late_responses, 1);
}

static void a_second_answer_finds_nobody(void **state)
{
    (void)state;
    struct by_hand hand = by_hand_agreed(COUNT, SIZE, NULL, ORIGINAL_FEATURES);
    struct hqq_pending *pending;
    struct hqq_packet packet;
    uint64_t status;
    assert_int_equal(hqq_pending_begin(hand.advanced, NULL, 1, "q", 1, 0, &pending), 0);
    assert_true(by_hand_take(&hand, &packet, NULL, 0));
    struct hqq_chunk answer = {
        .message = packet.operand[1], .flags = HQQ_FRAME_BEGIN | HQQ_FRAME_END | HQQ_FRAME_RESPONSE, .method = 5};
    by_hand_chunk(&hand, &answer, NULL);
    answer.method = 6;
    by_hand_chunk(&hand, &answer, NULL);
    assert_int_equal(hqq_pending_wait(pending, 0, &status, NULL), 0);
    assert_int_equal(status, 5);
    assert_int_equal(advanced_stats(hand.advanced).late_responses, 1);
    by_hand_close(&hand);
}

/* ---- Giving up ----------------------------------------------------------------------------------------------------- */

static void an_answer_after_the_deadline_is_dropped_and_counted(void **state)
{
    (void)state;
    uint64_t deadline = hqq_clock_ns() + HQQ_NS_PER_MS;
    assert_int_equal(hqq_advanced_call(duo.end[0], 1, "q", 1, deadline, NULL, NULL), HQQ_ERROR_TIMEOUT);
    assert_int_equal(hqq_advanced_call(duo.end[0], 1, "q", 1, 0, NULL, NULL), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(advanced_stats(duo.end[0]).calls, 0);
    assert_int_equal(hqq_request_respond(serve(), 1, "late", 4, 0), 0);
    hqq_request_drop(serve());
    hqq_request_drop(NULL);
    duo_settle(&duo);
    assert_int_equal(advanced_stats(duo.end[0]).late_responses, 1);
    assert_int_equal(advanced_stats(duo.end[0]).waiting_messages, 0);
}

static void a_wait_that_times_out_leaves_the_call_pending(void **state)
{
    (void)state;
    struct hqq_pending *pending = begin(3);
    uint64_t status;
    assert_int_equal(hqq_pending_wait(pending, 0, NULL, NULL), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_pending_wait(pending, hqq_clock_ns() + HQQ_NS_PER_MS, NULL, NULL), HQQ_ERROR_TIMEOUT);
    assert_int_equal(hqq_request_respond(serve(), 7, NULL, 0, 0), 0);
    assert_int_equal(hqq_pending_wait(pending, advanced_soon(), &status, NULL), 0);
    assert_int_equal(status, 7);
}

static void a_call_that_is_canceled_drops_its_answer(void **state)
{
    (void)state;
    struct hqq_pending *pending = begin(3), *answered = begin(4);
    hqq_pending_cancel(pending);
    hqq_pending_cancel(NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(hqq_request_respond(serve(), 7, bytes, 100, 0), 0);
    duo_settle(&duo);
    assert_int_equal(advanced_stats(duo.end[0]).late_responses, 1);
    hqq_pending_cancel(answered); /* with an answer that nobody will fetch */
    assert_int_equal(advanced_stats(duo.end[0]).calls, 0);
}

static int wait_for_answer(struct caller *caller)
{
    return hqq_pending_wait(caller->arg, advanced_soon(), NULL, NULL);
}

static void a_cancel_wakes_the_thread_that_waits(void **state)
{
    (void)state;
    struct hqq_pending *pending = begin(3);
    struct caller waiter = {.call = wait_for_answer, .arg = pending};
    caller_start(&waiter);
    advanced_await_waiters(duo.end[0], 1);
    hqq_pending_cancel(pending);
    assert_int_equal(caller_join(&waiter), HQQ_ERROR_CANCELED);
    assert_int_equal(advanced_stats(duo.end[0]).calls, 0);
}

static void the_end_of_the_link_ends_every_call(void **state)
{
    (void)state;
    struct hqq_pending *pending = begin(3);
    struct hqq_pending *unwatched = begin(4);
    struct caller waiter = {.call = wait_for_answer, .arg = pending};
    caller_start(&waiter);
    advanced_await_waiters(duo.end[0], 1);
    assert_int_equal(hqq_advanced_shutdown(duo.end[1]), 0);
    assert_int_equal(caller_join(&waiter), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_pending_wait(unwatched, HQQ_FOREVER, NULL, NULL), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_advanced_call(duo.end[0], 1, "q", 1, HQQ_FOREVER, NULL, NULL), HQQ_ERROR_CLOSED);
}

/* ---- Who serves ---------------------------------------------------------------------------------------------------- */

static void a_handler_of_its_own_comes_before_that_of_any_method(void **state)
{
    (void)state;
    hqq_atomic_u64 own = 0, any = 0;
    assert_int_equal(hqq_advanced_handle(duo.end[1], 5, echo, &own), 0);
    struct hqq_pending *pending[] = {begin(5), begin(6), begin(5)};
    duo_settle(&duo);
    assert_int_equal(hqq_load_relaxed(&own), 2);
    assert_int_equal(hqq_request_method(serve()), 6); /* which no handler was for; freed with the link */
    assert_int_equal(hqq_advanced_handle(duo.end[1], HQQ_ANY_METHOD, echo, &any), 0);
    struct hqq_pending *more[] = {begin(6), begin(5)};
    duo_settle(&duo);
    assert_int_equal(hqq_load_relaxed(&own), 3);
    assert_int_equal(hqq_load_relaxed(&any), 1);
    assert_int_equal(hqq_advanced_handle(duo.end[1], 5, NULL, NULL), 0);
    assert_int_equal(hqq_advanced_handle(duo.end[1], HQQ_ANY_METHOD, NULL, NULL), 0);
    struct hqq_pending *last = begin(5);
    duo_settle(&duo);
    hqq_request_drop(serve());
    hqq_pending_cancel(last);
    hqq_pending_cancel(pending[1]);
    assert_int_equal(hqq_pending_wait(pending[0], 0, NULL, NULL), 0);
    assert_int_equal(hqq_pending_wait(pending[2], 0, NULL, NULL), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(hqq_pending_wait(more[i], 0, NULL, NULL), 0);
}

/* Asks the other end in its turn, and answers with what it was told. */
static void ask_back(struct hqq_request *request, void *arg)
{
    uint64_t status = 0;
    if (hqq_advanced_call(arg, 10, "q", 1, advanced_soon(), &status, NULL) == 0)
        (void)hqq_request_respond(request, status, NULL, 0, advanced_soon());
    else
        hqq_request_drop(request);
}

static void a_handler_may_call_the_peer(void **state)
{
    (void)state;
    uint64_t status;
    assert_int_equal(hqq_advanced_handle(duo.end[0], 10, echo, NULL), 0);
    assert_int_equal(hqq_advanced_start(duo.end[0], NULL), 0);
    serve_by(ask_back, duo.end[1]);
    assert_int_equal(hqq_advanced_call(duo.end[0], 1, "q", 1, advanced_soon(), &status, NULL), 0);
    assert_int_equal(status, 11);
}

struct forbidden {
    struct hqq_advanced *advanced;
    int process, stop;
};

static void try_what_is_forbidden(struct hqq_request *request, void *arg)
{
    struct forbidden *forbidden = arg;
    forbidden->process = hqq_advanced_process(forbidden->advanced, 0);
    forbidden->stop = hqq_advanced_stop(forbidden->advanced);
    (void)hqq_request_respond(request, 0, NULL, 0, 0);
}

static void a_handler_may_not_process_or_stop(void **state)
{
    (void)state;
    struct forbidden forbidden = {.advanced = duo.end[1]};
    struct hqq_pending *pending = begin(1);
    assert_int_equal(hqq_advanced_handle(duo.end[1], 1, try_what_is_forbidden, &forbidden), 0);
    assert_int_equal(hqq_advanced_process(duo.end[1], 0), 0);
    assert_int_equal(hqq_pending_wait(pending, 0, NULL, NULL), 0);
    assert_int_equal(forbidden.process, HQQ_ERROR_INVALID_OP);
    assert_int_equal(forbidden.stop, HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_advanced_process(duo.end[1], 0), HQQ_ERROR_WOULD_BLOCK); /* now it may */

    assert_int_equal(hqq_advanced_start(duo.end[1], NULL), 0);
    assert_int_equal(hqq_advanced_call(duo.end[0], 1, "q", 1, advanced_soon(), NULL, NULL), 0);
    assert_int_equal(forbidden.process, HQQ_ERROR_INVALID_OP);
    assert_int_equal(forbidden.stop, HQQ_ERROR_INVALID_OP);
}

static int serve_one(struct caller *caller)
{
    struct hqq_request *request;
    int result = hqq_advanced_serve(caller->arg, advanced_soon(), &request);
    return result == 0 ? hqq_request_respond(request, 1, NULL, 0, advanced_soon()) : result;
}

static void several_threads_may_serve(void **state)
{
    (void)state;
    struct caller servers[3];
    for (int i = 0; i < 3; i++) {
        servers[i] = (struct caller){.call = serve_one, .arg = duo.end[1]};
        caller_start(&servers[i]);
    }
    advanced_await_waiters(duo.end[1], 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(hqq_advanced_call(duo.end[0], 1, "q", 1, advanced_soon(), NULL, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(caller_join(&servers[i]), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_returns_the_status_and_the_answer),
        TEST(an_error_is_an_answer_with_status_and_payload),
        TEST(a_request_says_what_was_asked_and_on_which_connection),
        TEST(calls_of_many_threads_are_answered_in_any_order),
        TEST(answers_that_do_not_fit_at_once_are_posted),
        TEST(an_answer_that_fails_may_be_tried_again),
        TEST(a_second_answer_finds_nobody),
        TEST(an_answer_after_the_deadline_is_dropped_and_counted),
        TEST(a_wait_that_times_out_leaves_the_call_pending),
        TEST(a_call_that_is_canceled_drops_its_answer),
        TEST(a_cancel_wakes_the_thread_that_waits),
        TEST(the_end_of_the_link_ends_every_call),
        TEST(a_handler_of_its_own_comes_before_that_of_any_method),
        TEST(a_handler_may_call_the_peer),
        TEST(a_handler_may_not_process_or_stop),
        TEST(several_threads_may_serve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
