/* How much memory channels may take: what control groups say, and that what is taken and given back adds up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "channel/channel.h"
#include "platform/sys.h"
#include "runtime/budget.h"

#define MIB (UINT64_C(1) << 20)

/* ---- Control groups --------------------------------------------------------------------------------------------- */

static char root[] = "/tmp/hqq-budget-XXXXXX";

static void make_folder(const char *name)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void write_file(const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static uint64_t limit_of(const char *lines)
{
    char text[400];
    snprintf(text, sizeof(text), "%s", lines);
    return hqq_budget_group_limit(root, text);
}

static int make_groups(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(root));
    make_folder("a");
    make_folder("a/b");
    make_folder("memory");
    make_folder("memory/c");
    write_file("a/memory.max", "50000000\n");
    write_file("a/b/memory.max", "max\n");
    write_file("memory/memory.limit_in_bytes", "9223372036854771712\n");
    write_file("memory/c/memory.limit_in_bytes", "25165824\n");
    return 0;
}

static int remove_groups(void **state)
{
    char command[100];
    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", root);
    return system(command); /* NOLINT(cert-env33-c): a folder of this test's */
}

static void a_group_has_the_least_limit_of_those_above_it(void **state)
{
    (void)state;
    assert_true(limit_of("0::/a/b\n") == 50000000);
    assert_true(limit_of("0::/a\n") == 50000000);
    assert_true(limit_of("0::/a/b/not/seen/here\n") == 50000000);
    assert_true(limit_of("4:memory:/c\n0::/\n") == 25165824);
    assert_true(limit_of("9:cpu,cpuacct:/x\n4:memory:/c\n0::/a\n") == 25165824);
    assert_true(limit_of("4:memory:/elsewhere\n") == 9223372036854771712u);
}

static void what_cannot_be_told_is_no_limit(void **state)
{
    static const char *const lines[] = {"", "\n", "0::/\n", "0::/none", "1:name=systemd:/a", "x", ":", "::", "0::"};
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_true(limit_of(lines[i]) == UINT64_MAX);
}

static void the_usual_limit_leaves_the_program_its_share(void **state)
{
    const uint64_t none = UINT64_MAX, gib = 1024 * MIB;
    (void)state;
    assert_true(hqq_budget_usual(24 * gib, none) == 1536 * MIB);
    assert_true(hqq_budget_usual(24 * gib, 512 * MIB) == 32 * MIB);
    assert_true(hqq_budget_usual(24 * gib, 64 * MIB) == 16 * MIB);
    assert_true(hqq_budget_usual(24 * gib, 24 * MIB) == 12 * MIB);
    assert_true(hqq_budget_usual(24 * gib, 4 * MIB) == 2 * MIB);
    assert_true(hqq_budget_usual(24 * gib, 0) == 0);
    assert_true(hqq_budget_usual(256 * MIB, 24 * gib) == 16 * MIB);
}

static struct hqq_sys real_sys;

/* What the process is told of its group is what the test has written. */
static int open_in_root(const char *name, int flags, mode_t mode)
{
    char path[300];
    const char *rest = strncmp(name, "/sys/fs/cgroup", 14) == 0 ? name + 14 : "/cgroup";
    snprintf(path, sizeof(path), "%s%s", root, rest);
    return real_sys.open(path, flags, mode);
}

static void a_limit_that_is_lowered_is_noticed(void **state)
{
    const struct timespec moment = {.tv_sec = 1, .tv_nsec = 50000000};
    (void)state;
    write_file("cgroup", "4:memory:/d\n");
    make_folder("memory/d");
    write_file("memory/d/memory.limit_in_bytes", "41943040\n");
    real_sys = hqq_sys;
    hqq_sys.open = open_in_root;
    assert_true(hqq_budget_take(0, 4 * MIB));
    assert_true(hqq_budget_left(0) == 12 * MIB);
    write_file("memory/d/memory.limit_in_bytes", "12582912\n");
    nanosleep(&moment, NULL);
    assert_true(hqq_budget_left(0) == 2 * MIB);
    assert_false(hqq_budget_take(0, 3 * MIB));
    write_file("memory/d/memory.limit_in_bytes", "4194304\n");
    nanosleep(&moment, NULL);
    assert_true(hqq_budget_left(0) == 0);
    hqq_budget_give(3 * MIB);
    assert_true(hqq_budget_left(0) == HQQ_BUDGET_LEAST - MIB); /* for so few it is not looked up */
    hqq_budget_give(MIB);
    hqq_sys = real_sys;
}

/* ---- Channels --------------------------------------------------------------------------------------------------- */

static void what_is_given_back_may_be_taken_again(void **state)
{
    (void)state;
    assert_true(hqq_budget_left(4 * MIB) == 4 * MIB);
    assert_true(hqq_budget_take(4 * MIB, 3 * MIB));
    assert_false(hqq_budget_take(4 * MIB, 2 * MIB));
    assert_true(hqq_budget_left(4 * MIB) == MIB);
    assert_true(hqq_budget_left(2 * MIB) == 0);
    hqq_budget_give(3 * MIB);
    assert_true(hqq_budget_take(4 * MIB, 4 * MIB));
    hqq_budget_give(4 * MIB);
    assert_true(hqq_budget_left(0) >= HQQ_BUDGET_LEAST);
}

static void channels_grow_smaller_and_end_at_the_limit(void **state)
{
    enum { MANY = 400 };
    static struct hqq_channel *channels[MANY];
    const struct hqq_rule rule = {.slots = 256, .slot_size = 2048, .memory = 16 * MIB};
    uint64_t bytes = 0, last = UINT64_MAX;
    int fd, count = 0, result = 0;
    (void)state;
    for (; count < MANY && (result = hqq_channel_create(&rule, &fd, &channels[count])) == 0; count++) {
        uint64_t length = channels[count]->mapping.length;
        hqq_sys.close(fd);
        assert_true(count > 0 || length > MIB); /* the first ones are whole */
        assert_true(length <= last);
        last = length;
        bytes += length;
    }
    assert_int_equal(result, -ENOBUFS);
    assert_in_range(count, 40, MANY - 1);
    assert_in_range(bytes, 15 * MIB, 16 * MIB);
    assert_false(hqq_channel_has_room(&rule));
    while (count > 0)
        hqq_channel_drop(channels[--count]);
    assert_true(hqq_budget_left(rule.memory) == 16 * MIB);
}

static void answers_are_charged_once(void **state)
{
    struct hqq_channel *made, *other;
    const struct hqq_rule rule = {.slots = 256, .slot_size = 2048, .memory = 16 * MIB};
    const struct hqq_rule little = {.slots = 256, .slot_size = 2048, .memory = MIB};
    int fd;
    (void)state;
    assert_int_equal(hqq_channel_create(&rule, &fd, &made), 0);
    assert_int_equal(hqq_channel_attach(fd, &other), 0);
    hqq_sys.close(fd);
    uint64_t left = hqq_budget_left(rule.memory), half = made->mapping.length / 2;
    assert_false(hqq_channel_charge_replies(other, &little));
    for (int i = 0; i < 3; i++) {
        assert_true(hqq_channel_charge_replies(other, &rule));
        assert_true(hqq_channel_charge_replies(made, &rule));
        assert_true(hqq_budget_left(rule.memory) == left - half);
    }
    hqq_channel_drop(other);
    hqq_channel_drop(made);
    assert_true(hqq_budget_left(rule.memory) == 16 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_has_the_least_limit_of_those_above_it),
        cmocka_unit_test(what_cannot_be_told_is_no_limit),
        cmocka_unit_test(the_usual_limit_leaves_the_program_its_share),
        cmocka_unit_test(a_limit_that_is_lowered_is_noticed),
        cmocka_unit_test(what_is_given_back_may_be_taken_again),
        cmocka_unit_test(channels_grow_smaller_and_end_at_the_limit),
        cmocka_unit_test(answers_are_charged_once),
    };
    return cmocka_run_group_tests(tests, make_groups, remove_groups);
}
