/*
 * A look at a superblock while another process makes the region ready, at every point in between: the look runs one
 * instruction at a time (the processor's trap flag), and after the nth the region is claimed and published, for n from
 * 1 until the look is through before that. Where there is no such flag, or a tool stands between, this is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "layout/superblock.h"
#include "support/region.h"

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)

#define TRAP_FLAG 0x100

static struct hqq_layout layout;
static struct region region;

static volatile sig_atomic_t steps_left; /* until the other process acts; below 0 once it has */
static volatile sig_atomic_t is_over;    /* no more steps */

static void act_as_another_process(void)
{
    if (hqq_superblock_claim(region.base))
        hqq_superblock_publish(region.base, &layout);
}

static void step(int number, siginfo_t *info, void *context)
{
    greg_t *flags = &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];
    (void)number;
    (void)info;
    if (steps_left-- == 0)
        act_as_another_process();
    if (is_over || steps_left < 0)
        *flags &= ~(greg_t)TRAP_FLAG;
    else
        *flags |= TRAP_FLAG;
}

static enum hqq_attach look_with_a_change_after(int steps, bool *ret_changed)
{
    const struct hqq_attach_wish wish = {.page_size = layout.page_size, .memory_bytes = region.length};
    struct hqq_layout found;
    int error = 0;
    steps_left = steps;
    is_over = 0;
    raise(SIGTRAP);
    enum hqq_attach attach = hqq_superblock_look(region.base, &wish, &found, &error);
    is_over = 1;
    *ret_changed = steps_left < 0;
    return attach;
}

static void a_region_that_becomes_ready_during_a_look_is_never_taken_for_broken(void **state)
{
    (void)state;
    struct sigaction action = {.sa_sigaction = step, .sa_flags = SA_SIGINFO}, before;
    assert_int_equal(hqq_layout_compute(4, 64, hqq_page_size(), &layout), 0);
    region = region_for(4, 64);
    assert_int_equal(sigaction(SIGTRAP, &action, &before), 0);

    bool changed = true;
    int broken = 0;
    for (int steps = 1; changed && steps < 100000; steps++) {
        memset(region.base, 0, hqq_page_size());
        enum hqq_attach attach = look_with_a_change_after(steps, &changed);
        if (attach != HQQ_ATTACH_EMPTY && attach != HQQ_ATTACH_INITIALIZING && attach != HQQ_ATTACH_READY)
            broken++;
    }

    sigaction(SIGTRAP, &before, NULL);
    region_delete(&region);
    assert_false(changed);
    assert_int_equal(broken, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_that_becomes_ready_during_a_look_is_never_taken_for_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    puts("skipped: no trap flag here, or a tool that stands between");
    return 77;
}

#endif
