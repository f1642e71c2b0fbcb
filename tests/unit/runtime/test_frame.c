/* Records of what a thread is in the middle of: left by jumps out of them, and found by later calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "runtime/filter.h"
#include "runtime/frame.h"

static int left[8];
static int left_count;

static void note_left(struct hqq_frame *frame)
{
    const int *number = frame->object;
    left[left_count++] = *number;
}

static int numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};

static void push(struct hqq_frame *frame, int number)
{
    frame->leave = note_left;
    frame->object = &numbers[number];
    hqq_frame_push(frame);
}

static int start(void **state)
{
    (void)state;
    left_count = 0;
    hqq_frame_top = NULL;
    return 0;
}

static sigjmp_buf out;            /* with the mask, which ThreadSanitizer changes around handlers */
static volatile uintptr_t target; /* lies in the frame that is jumped to */

/* As a hook of longjmp() does it. */
static void jump(void)
{
    hqq_frames_leave_below(target);
    siglongjmp(out, 1);
}

/* A call below another, with a record in each: number, number + 1, ... last; the last one calls bottom(). */
__attribute__((noinline)) static void nest(int number, int last, void (*bottom)(void))
{
    struct hqq_frame frame;
    push(&frame, number);
    if (number < last)
        nest(number + 1, last, bottom);
    else
        bottom();
    hqq_frame_pop(&frame);
}

static void nothing(void)
{
}

static void calls_that_return_leave_nothing(void **state)
{
    (void)state;
    nest(0, 3, nothing);
    assert_null(hqq_frame_top);
    assert_int_equal(left_count, 0);
}

/* noinline: the records of what it calls are below its frame. */
__attribute__((noinline)) static void jump_out_of(int first, int last, void (*bottom)(void))
{
    if (sigsetjmp(out, 1) == 0) {
        target = (uintptr_t)__builtin_frame_address(0) - 64;
        nest(first, last, bottom);
    }
}

static void a_jump_leaves_every_call_below_its_target_innermost_first(void **state)
{
    (void)state;
    jump_out_of(0, 2, jump);
    assert_int_equal(left_count, 3);
    assert_memory_equal(left, ((int[]){2, 1, 0}), 3 * sizeof(int));
    assert_null(hqq_frame_top);
}

static void jump_sideways(void)
{
    jump_out_of(2, 3, jump);
}

static void a_jump_into_a_call_in_between_leaves_those_below_only(void **state)
{
    (void)state;
    nest(0, 1, jump_sideways);
    assert_int_equal(left_count, 2);
    assert_memory_equal(left, ((int[]){3, 2}), 2 * sizeof(int));
    assert_null(hqq_frame_top);
}

static void on_signal(int signal)
{
    (void)signal;
    nest(4, 5, jump);
}

static void interrupt(void)
{
    raise(SIGUSR1);
}

static void handle(int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
}

static void a_handler_jumps_out_of_what_it_interrupted(void **state)
{
    (void)state;
    handle(0);
    jump_out_of(0, 1, interrupt);
    assert_int_equal(left_count, 4);
    assert_memory_equal(left, ((int[]){5, 4, 1, 0}), 4 * sizeof(int));
    assert_null(hqq_frame_top);
}

static char other_stack[256 * 1024] __attribute__((aligned(16)));

static void a_handler_jumps_from_the_alternate_stack(void **state)
{
    (void)state;
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)};
    stack_t none = {.ss_flags = SS_DISABLE};
    assert_int_equal(sigaltstack(&stack, NULL), 0);
    handle(SA_ONSTACK);
    jump_out_of(0, 1, interrupt);
    sigaltstack(&none, NULL);
    assert_int_equal(left_count, 4);
    assert_memory_equal(left, ((int[]){5, 4, 1, 0}), 4 * sizeof(int));
    assert_null(hqq_frame_top);
}

static void on_signal_inside(int signal)
{
    (void)signal;
    jump_out_of(4, 5, jump);
}

static void a_jump_within_the_alternate_stack_keeps_what_was_interrupted(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = on_signal_inside, .sa_flags = SA_ONSTACK};
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)};
    stack_t none = {.ss_flags = SS_DISABLE};
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    assert_int_equal(sigaltstack(&stack, NULL), 0);
    nest(0, 1, interrupt);
    sigaltstack(&none, NULL);
    assert_int_equal(left_count, 2);
    assert_memory_equal(left, ((int[]){5, 4}), 2 * sizeof(int));
    assert_null(hqq_frame_top);
}

static void jump_unseen(void)
{
    siglongjmp(out, 1);
}

/* A call of the library. */
__attribute__((noinline)) static void enter(void)
{
    hqq_frames_recover();
}

/* noinline, and nothing between the jump and the call: what is recovered is what still stands there. */
__attribute__((noinline)) static void jump_unseen_and_enter(void)
{
    if (sigsetjmp(out, 1) == 0) {
        volatile char *space = __builtin_alloca(8192);
        space[0] = 0;
        nest(0, 1, jump_unseen);
    }
    enter();
}

static void the_next_call_finds_what_an_unseen_jump_has_left(void **state)
{
    (void)state;
    jump_unseen_and_enter();
    assert_int_equal(left_count, 2);
    assert_memory_equal(left, ((int[]){1, 0}), 2 * sizeof(int));
    assert_null(hqq_frame_top);
}

static void a_record_that_was_overwritten_is_dropped_and_not_called(void **state)
{
    (void)state;
    struct hqq_frame frames[3];
    for (int i = 0; i < 3; i++)
        push(&frames[i], i);
    struct hqq_frame *below = frames[1].below;
    frames[1].below = (struct hqq_frame *)(uintptr_t)0xdead;
    hqq_frames_leave_below(UINTPTR_MAX);
    assert_int_equal(left_count, 1);
    assert_int_equal(left[0], 2);
    assert_null(hqq_frame_top);
    frames[1].below = below;
    hqq_frame_pop(&frames[1]); /* no longer there: ignored */
    hqq_frame_pop(&frames[0]);
    assert_null(hqq_frame_top);
}

static void a_live_call_is_not_taken_for_a_stale_one(void **state)
{
    (void)state;
    nest(0, 2, enter);
    assert_int_equal(left_count, 0);
    assert_null(hqq_frame_top);
}

static void calls_end_in_any_order(void **state)
{
    (void)state;
    struct hqq_frame frames[3];
    for (int i = 0; i < 3; i++)
        push(&frames[i], i);
    hqq_frame_pop(&frames[1]);
    enter(); /* finds the rest sound */
    assert_ptr_equal(hqq_frame_top, &frames[2]);
    assert_ptr_equal(frames[2].below, &frames[0]);
    hqq_frame_pop(&frames[2]);
    hqq_frame_pop(&frames[0]);
    assert_null(hqq_frame_top);
    assert_int_equal(left_count, 0);
}

static ucontext_t main_context, other_context;

static void run_other(void)
{
    struct hqq_frame frame;
    push(&frame, 7);
    swapcontext(&other_context, &main_context);
    hqq_frame_pop(&frame);
}

static void a_record_on_another_stack_stays(void **state)
{
    (void)state;
    assert_int_equal(getcontext(&other_context), 0);
    other_context.uc_stack.ss_sp = other_stack;
    other_context.uc_stack.ss_size = sizeof(other_stack);
    other_context.uc_link = &main_context;
    makecontext(&other_context, run_other, 0);
    assert_int_equal(swapcontext(&main_context, &other_context), 0);
    jump_out_of(0, 1, jump);
    enter();
    assert_int_equal(left_count, 2);
    assert_non_null(hqq_frame_top);
    swapcontext(&main_context, &other_context);
    assert_null(hqq_frame_top);
    assert_int_equal(left_count, 2);
}

static void under_a_filter_jumps_on_one_stack_are_left_still(void **state)
{
    (void)state;
    hqq_filter_begin();
    handle(0);
    jump_out_of(0, 1, interrupt);
    hqq_filter_failed();
    assert_int_equal(left_count, 4);
    assert_null(hqq_frame_top);
}

static void fork_and_jump(void)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        jump();
    if (waitpid(child, &status, 0) != child || status != 0)
        fail();
}

static void a_forked_child_jumps_out_of_its_parents_calls(void **state)
{
    (void)state;
    pid_t parent = getpid();
    jump_out_of(0, 2, fork_and_jump);
    if (getpid() != parent)
        _exit(left_count == 3 && !hqq_frame_top ? 0 : 1);
    assert_int_equal(left_count, 0);
    assert_null(hqq_frame_top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(calls_that_return_leave_nothing, start),
        cmocka_unit_test_setup(a_jump_leaves_every_call_below_its_target_innermost_first, start),
        cmocka_unit_test_setup(a_jump_into_a_call_in_between_leaves_those_below_only, start),
        cmocka_unit_test_setup(a_handler_jumps_out_of_what_it_interrupted, start),
        cmocka_unit_test_setup(a_handler_jumps_from_the_alternate_stack, start),
        cmocka_unit_test_setup(a_jump_within_the_alternate_stack_keeps_what_was_interrupted, start),
        cmocka_unit_test_setup(the_next_call_finds_what_an_unseen_jump_has_left, start),
        cmocka_unit_test_setup(a_record_that_was_overwritten_is_dropped_and_not_called, start),
        cmocka_unit_test_setup(a_live_call_is_not_taken_for_a_stale_one, start),
        cmocka_unit_test_setup(calls_end_in_any_order, start),
        cmocka_unit_test_setup(a_record_on_another_stack_stays, start),
        cmocka_unit_test_setup(under_a_filter_jumps_on_one_stack_are_left_still, start),
        cmocka_unit_test_setup(a_forked_child_jumps_out_of_its_parents_calls, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
