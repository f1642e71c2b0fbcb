/* Which addresses are configured, how; and what is said, once, about settings that can't be used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <hqq/link.h>

#include "platform/clock.h"
#include "platform/trace.h"
#include "runtime/config.h"
#include "runtime/glob.h"

static char said[8192]; /* all lines */
static size_t said_length;
static ssize_t (*real_write)(const void *line, size_t size);
static char folder[] = "/tmp/hqq-test-config.XXXXXX";
static char file[sizeof(folder) + 16];

static ssize_t hear(const void *line, size_t size)
{
    assert_true(said_length + size < sizeof(said));
    memcpy(said + said_length, line, size);
    said_length += size;
    said[said_length] = '\0';
    return (ssize_t)size;
}

static void clear_environment(void)
{
    static const char *const names[] = {"HQQ_PATHS", "HQQ_LINK_AFTER", "HQQ_SPIN_US", "HQQ_DISABLE",
                                        "HQQ_LOG",   "HQQ_REPORT",     "HQQ_COLOR"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    setenv("HQQ_CONFIG", "/dev/null", 1); /* not what the machine has */
}

static int set_up(void **state)
{
    (void)state;
    clear_environment();
    said_length = 0;
    said[0] = '\0';
    real_write = hqq_log_write;
    hqq_log_write = hear;
    hqq_log_set_level(HQQ_LOG_OFF);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_log_write = real_write;
    unlink(file);
    return 0;
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof(file), "%s/hqq.conf", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* A first character of @ stands for an abstract name's NUL. */
static const struct hqq_rule *match(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    assert_true(length < sizeof(address.sun_path));
    memcpy(address.sun_path, name, length);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    else
        length++;
    return hqq_config_match((const struct sockaddr *)&address,
                            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
}

static const struct hqq_rule *match_unnamed(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    return hqq_config_match((const struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path));
}

static void load_paths(const char *paths)
{
    setenv("HQQ_PATHS", paths, 1);
    hqq_config_load(true);
}

static void load_file(const char *text)
{
    FILE *stream = fopen(file, "we");
    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
    setenv("HQQ_CONFIG", file, 1);
    hqq_config_load(true);
}

static void assert_one_line(const char *part)
{
    const char *end = strchr(said, '\n');
    if (!end || end[1] != '\0' || !strstr(said, part))
        fail_msg("wanted one line with \"%s\", got: %s", part, said);
    assert_int_equal(strncmp(said, "hqq: ", 5), 0);
}

/* ---- Globs ------------------------------------------------------------------------------------------------------- */

static bool glob(const char *pattern, const char *text)
{
    return hqq_glob_matches(pattern, text, strlen(text));
}

static void a_star_is_any_bytes_also_slashes(void **state)
{
    (void)state;
    assert_true(glob("/run/*.sock", "/run/a.sock"));
    assert_true(glob("/run/*.sock", "/run/a/b/c.sock"));
    assert_true(glob("/run/*.sock", "/run/.sock.sock"));
    assert_false(glob("/run/*.sock", "/run/a.socket"));
    assert_true(glob("*", ""));
    assert_true(glob("**a**b*", "xaxxbx"));
    assert_false(glob("*a*b", "xaxxbx"));
    assert_true(hqq_glob_matches("a*c", "a\0b\0c", 5));
}

static void a_question_mark_is_one_byte(void **state)
{
    (void)state;
    assert_true(glob("/run/?", "/run/a"));
    assert_true(glob("/run?a", "/run/a"));
    assert_false(glob("/run/?", "/run/"));
    assert_false(glob("/run/?", "/run/ab"));
}

static void a_set_is_one_of_its_bytes(void **state)
{
    (void)state;
    assert_true(glob("[abc]", "b"));
    assert_false(glob("[abc]", "d"));
    assert_true(glob("x[0-9]y", "x7y"));
    assert_false(glob("x[0-9]y", "xay"));
    assert_true(glob("[!a]", "b"));
    assert_false(glob("[^a]", "a"));
    assert_true(glob("[]a]", "]"));
    assert_true(glob("[a-]", "-"));
    assert_true(glob("[\\]]", "]"));
    assert_true(glob("[a\\-z]", "-"));
    assert_false(glob("[a\\-z]", "b"));
    assert_true(glob("[\x80-\xff]", "\xc3"));
}

static void a_backslash_takes_the_next_byte_as_it_is(void **state)
{
    (void)state;
    assert_true(glob("\\*", "*"));
    assert_false(glob("\\*", "a"));
    assert_true(glob("a\\[b", "a[b"));
    assert_true(glob("a\\\\b", "a\\b"));
}

static void a_flawed_glob_is_told_and_matches_without_harm(void **state)
{
    (void)state;
    static const char *const flawed[] = {"[", "[]", "[!", "[!]", "[a-", "a[b", "\\", "a\\", "[\\", "[a\\"};
    for (size_t i = 0; i < sizeof(flawed) / sizeof(flawed[0]); i++) {
        assert_non_null(hqq_glob_flaw(flawed[i]));
        glob(flawed[i], "a[b");
    }
    assert_null(hqq_glob_flaw("/a[b]*?\\*"));
    assert_null(hqq_glob_flaw(""));
}

static void many_stars_are_no_long_search(void **state)
{
    (void)state;
    char pattern[100], text[100];
    for (size_t i = 0; i < 98; i += 2)
        memcpy(pattern + i, "*a", 2);
    memcpy(pattern + 98, "b", 2);
    memset(text, 'a', sizeof(text));
    uint64_t before = hqq_clock_ns();
    assert_false(hqq_glob_matches(pattern, text, sizeof(text)));
    assert_true(hqq_clock_ns() - before < 10 * HQQ_NS_PER_S); /* years, if it were one */
}

/* ---- Paths ------------------------------------------------------------------------------------------------------- */

static void without_paths_a_preload_moves_nothing(void **state)
{
    (void)state;
    hqq_config_load(true);
    assert_false(hqq_config_is_enabled());
    assert_null(match("/run/a"));
    assert_null(match_unnamed());
    assert_string_equal(said, "");
}

static void without_paths_a_ported_program_moves_all_at_once(void **state)
{
    (void)state;
    hqq_config_load(false);
    assert_true(hqq_config_is_enabled());
    assert_non_null(match("/run/a"));
    assert_non_null(match("@a"));
    assert_non_null(match_unnamed());
    assert_int_equal(match("/run/a")->link_after, 0);
}

static void what_is_not_said_has_the_documented_default(void **state)
{
    (void)state;
    load_paths("/run/a");
    const struct hqq_rule *rule = match("/run/a");
    assert_non_null(rule);
    assert_int_equal(rule->slots, 256);
    assert_int_equal(rule->slot_size, 2048);
    assert_int_equal(rule->spin_ns, 50 * HQQ_NS_PER_US);
    assert_int_equal(rule->link_after, 4);
    assert_int_equal(rule->peers, HQQ_PEERS_SAME_USER);
    assert_int_equal(rule->rendezvous, HQQ_RENDEZVOUS_ABSTRACT);
}

static void paths_and_abstract_names_are_kept_apart(void **state)
{
    (void)state;
    load_paths("/run/app/*.sock:@metrics*::\\@odd");
    assert_non_null(match("/run/app/x/y.sock"));
    assert_non_null(match("@metrics.1"));
    assert_null(match("metrics.1"));
    assert_null(match("/run/other"));
    assert_null(match("@/run/app/x.sock"));
    assert_null(match_unnamed());
    assert_string_equal(said, "");
}

static void a_star_alone_is_every_name(void **state)
{
    (void)state;
    load_paths("*");
    assert_non_null(match("/run/app"));
    assert_non_null(match("@metrics"));
    assert_null(match_unnamed());
}

static void an_abstract_name_may_hold_any_bytes(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    load_paths("@a*z");
    memcpy(address.sun_path, "\0a\0\n/z", 6);
    assert_non_null(
        hqq_config_match((const struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 6)));
    assert_null(
        hqq_config_match((const struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 5)));
}

static void a_colon_in_a_path_is_written_with_a_backslash(void **state)
{
    (void)state;
    load_paths("/run/a\\:b:/run/c");
    assert_non_null(match("/run/a:b"));
    assert_non_null(match("/run/c"));
    assert_null(match("/run/a"));
}

static void a_path_without_end_is_as_long_as_its_address(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    load_paths("*z");
    memset(address.sun_path, '/', sizeof(address.sun_path));
    address.sun_path[sizeof(address.sun_path) - 1] = 'z';
    assert_non_null(hqq_config_match((const struct sockaddr *)&address, sizeof(address)));
    assert_null(hqq_config_match((const struct sockaddr *)&address, sizeof(address) - 1));
    assert_null(hqq_config_match((const struct sockaddr *)&address, sizeof(address) + 1));
    assert_null(hqq_config_match((const struct sockaddr *)&address, 1));
    assert_null(hqq_config_match(NULL, 0));
    address.sun_family = AF_INET;
    assert_null(hqq_config_match((const struct sockaddr *)&address, sizeof(address)));
}

static void a_relative_path_is_judged_as_it_stands_and_as_absolute(void **state)
{
    (void)state;
    char before[4096], paths[sizeof(folder) + 32];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(folder), 0);
    snprintf(paths, sizeof(paths), "%s/*:stands*", folder);
    load_paths(paths);
    assert_non_null(match("relative"));
    assert_non_null(match("./relative"));
    assert_non_null(match("stands"));
    snprintf(paths, sizeof(paths), "%s/relative", folder);
    load_paths(paths);
    assert_non_null(match("./relative"));
    assert_null(match("../relative"));
    assert_int_equal(chdir("/"), 0);
    load_paths("/relative");
    assert_non_null(match("relative"));
    assert_int_equal(chdir(before), 0);
}

/* ---- Variables --------------------------------------------------------------------------------------------------- */

static void variables_set_what_rules_do_not_say(void **state)
{
    (void)state;
    setenv("HQQ_SPIN_US", "7", 1);
    setenv("HQQ_LINK_AFTER", "9", 1);
    load_paths("/run/a");
    assert_int_equal(match("/run/a")->spin_ns, 7000);
    assert_int_equal(match("/run/a")->link_after, 9);
    load_file("path /run/b spin-us=0\n");
    assert_int_equal(match("/run/b")->spin_ns, 0);
    assert_int_equal(match("/run/b")->link_after, 9);
    unsetenv("HQQ_PATHS");
    hqq_config_load(false);
    assert_int_equal(match("/run/a")->link_after, 9);
}

static void each_bad_variable_is_one_line_and_has_no_effect(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
    } bad[] = {
        {"HQQ_SPIN_US", "x"},          {"HQQ_SPIN_US", "-1"},     {"HQQ_SPIN_US", "1000001"},
        {"HQQ_SPIN_US", "1 "},         {"HQQ_LINK_AFTER", "1.5"}, {"HQQ_LINK_AFTER", "99999999999999999999999"},
        {"HQQ_LINK_AFTER", "0x10"},    {"HQQ_LOG", "loud"},       {"HQQ_LOG", "1"},
        {"HQQ_SPIN_US", "a\n\x1b[2J"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        said_length = 0;
        clear_environment();
        setenv(bad[i].name, bad[i].value, 1);
        load_paths("/run/a");
        assert_one_line(bad[i].name);
        assert_one_line("bad value \"");
        assert_int_equal(match("/run/a")->spin_ns, 50000);
        assert_int_equal(match("/run/a")->link_after, 4);
        assert_int_equal(hqq_log_level(), HQQ_LOG_OFF);
    }
}

static void a_bad_value_is_quoted(void **state)
{
    (void)state;
    setenv("HQQ_SPIN_US", "x", 1);
    load_paths("/run/a");
    assert_string_equal(said, "hqq: HQQ_SPIN_US: bad value \"x\": not microseconds from 0 to 1000000\n");
}

static void a_bad_glob_is_one_line_and_the_others_count(void **state)
{
    (void)state;
    load_paths("/run/[a:/run/b:@");
    assert_non_null(strstr(said, "hqq: HQQ_PATHS: bad glob \"/run/[a\": a set has no ]\n"));
    assert_non_null(strstr(said, "hqq: HQQ_PATHS: bad glob \"@\": it is empty\n"));
    assert_non_null(match("/run/b"));
    assert_null(match("/run/a"));
}

static void an_unknown_variable_is_one_line(void **state)
{
    (void)state;
    setenv("HQQ_COLOR", "blue", 1);
    setenv("HQQ_TEST_ANYTHING", "1", 1);
    setenv("HQQ_CONTRACT_EXPECT_RING", "1", 1);
    load_paths("/run/a");
    assert_string_equal(said, "hqq: HQQ_COLOR: unknown setting\n");
    unsetenv("HQQ_TEST_ANYTHING");
    unsetenv("HQQ_CONTRACT_EXPECT_RING");
}

static void disabled_is_disabled(void **state)
{
    (void)state;
    setenv("HQQ_DISABLE", "1", 1);
    load_paths("*");
    assert_false(hqq_config_is_enabled());
    assert_null(match("/run/a"));
    setenv("HQQ_DISABLE", "maybe", 1);
    hqq_config_load(true);
    assert_false(hqq_config_is_enabled());
    assert_one_line("HQQ_DISABLE");
    setenv("HQQ_DISABLE", "0", 1);
    hqq_config_load(true);
    assert_true(hqq_config_is_enabled());
}

static void the_log_level_is_set_by_name(void **state)
{
    (void)state;
    setenv("HQQ_LOG", "info", 1);
    load_paths("*");
    assert_int_equal(hqq_log_level(), HQQ_LOG_INFO);
    hqq_log(HQQ_LOG_DEBUG, "not %s", "this");
    assert_string_equal(said, "");
    hqq_log(HQQ_LOG_INFO, "but %s\n%d", "this", 1);
    char expected[64];
    snprintf(expected, sizeof(expected), "hqq[%ld]: but this?1\n", (long)getpid());
    assert_string_equal(said, expected);
}

static void the_report_folder_is_told(void **state)
{
    (void)state;
    hqq_config_load(true);
    assert_null(hqq_config_report_folder());
    setenv("HQQ_REPORT", folder, 1);
    hqq_config_load(true);
    assert_string_equal(hqq_config_report_folder(), folder);
}

/* ---- The file ---------------------------------------------------------------------------------------------------- */

static void a_file_has_a_rule_a_line(void **state)
{
    (void)state;
    load_file("# a comment\n"
              "\n"
              "  path /run/app/*.sock slots=64 slot-size=512 spin-us=20 link-after=0 peers=any rendezvous=file # so\r\n"
              "path\t@metrics*\tslots=2\n"
              "path /run/with\\ space");
    const struct hqq_rule *rule = match("/run/app/a.sock");
    assert_non_null(rule);
    assert_int_equal(rule->slots, 64);
    assert_int_equal(rule->slot_size, 512);
    assert_int_equal(rule->spin_ns, 20000);
    assert_int_equal(rule->link_after, 0);
    assert_int_equal(rule->peers, HQQ_PEERS_ANY);
    assert_int_equal(rule->rendezvous, HQQ_RENDEZVOUS_FILE);
    assert_int_equal(match("@metrics")->slots, 2);
    assert_non_null(match("/run/with space"));
    assert_string_equal(said, "");
}

static void the_first_rule_counts_and_those_of_the_file_come_first(void **state)
{
    (void)state;
    setenv("HQQ_PATHS", "*", 1);
    load_file("path /run/a* slots=2\npath /run/* slots=4\n");
    assert_int_equal(match("/run/abc")->slots, 2);
    assert_int_equal(match("/run/bcd")->slots, 4);
    assert_int_equal(match("/tmp/x")->slots, 256);
}

static void each_bad_line_is_one_line_with_its_number(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "paths /run/a",
        "path",
        "path /run/b slots=3",
        "path /run/b slots",
        "path /run/b slots=",
        "path /run/b slots=131072",
        "path /run/b size=1",
        "path /run/b slot-size=60",
        "path /run/[b",
        "path /run/b slot-size=68",
        "path @",
        "path /run/b spin-us=-1",
        "path /run/b peers=me",
        "path /run/b rendezvous=here",
        "/run/a",
        "path /run/b link-after=x",
        "path /run/b memory=0",
        "path /run/b memory=16M",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[200], place[sizeof(file) + 16];
        said_length = 0;
        snprintf(text, sizeof(text), "# 1\npath /run/a slots=8\n%s\n", bad[i]);
        load_file(text);
        snprintf(place, sizeof(place), "hqq: %s:3: ", file);
        assert_one_line(place);
        assert_int_equal(match("/run/a")->slots, 8);
        if (strstr(bad[i], "/run/b "))
            assert_int_equal(match("/run/b")->slots, 256);
    }
}

static void a_file_that_is_named_must_be_readable(void **state)
{
    (void)state;
    setenv("HQQ_CONFIG", "/nonexistent/hqq.conf", 1);
    load_paths("/run/a");
    assert_one_line("/nonexistent/hqq.conf: cannot be read: No such file or directory");
    assert_non_null(match("/run/a"));
    said_length = 0;
    setenv("HQQ_CONFIG", "/", 1);
    load_paths("/run/a");
    assert_one_line("/: cannot be read: Is a directory");
    assert_non_null(match("/run/a"));
}

static void a_file_that_is_too_long_or_no_text_is_left_out(void **state)
{
    (void)state;
    static char text[70000];
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = '\n';
    memcpy(text, "path /run/a", 11);
    setenv("HQQ_PATHS", "/run/b", 1);
    load_file(text);
    assert_one_line("longer than");
    assert_null(match("/run/a"));
    assert_non_null(match("/run/b"));

    said_length = 0;
    FILE *stream = fopen(file, "we");
    assert_non_null(stream);
    fwrite("path /run/a\n\0\n", 1, 14, stream);
    assert_int_equal(fclose(stream), 0);
    hqq_config_load(true);
    assert_one_line("no text");
    assert_null(match("/run/a"));
}

static void more_rules_than_fit_are_told(void **state)
{
    (void)state;
    static char paths[60000];
    size_t at = 0;
    for (int i = 0; i < 513; i++)
        at += (size_t)sprintf(paths + at, "/run/%d:", i);
    load_paths(paths);
    assert_one_line("/run/512");
    assert_non_null(match("/run/511"));
    assert_null(match("/run/512"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_star_is_any_bytes_also_slashes),
        TEST(a_question_mark_is_one_byte),
        TEST(a_set_is_one_of_its_bytes),
        TEST(a_backslash_takes_the_next_byte_as_it_is),
        TEST(a_flawed_glob_is_told_and_matches_without_harm),
        TEST(many_stars_are_no_long_search),
        TEST(without_paths_a_preload_moves_nothing),
        TEST(without_paths_a_ported_program_moves_all_at_once),
        TEST(what_is_not_said_has_the_documented_default),
        TEST(paths_and_abstract_names_are_kept_apart),
        TEST(a_star_alone_is_every_name),
        TEST(an_abstract_name_may_hold_any_bytes),
        TEST(a_colon_in_a_path_is_written_with_a_backslash),
        TEST(a_path_without_end_is_as_long_as_its_address),
        TEST(a_relative_path_is_judged_as_it_stands_and_as_absolute),
        TEST(variables_set_what_rules_do_not_say),
        TEST(each_bad_variable_is_one_line_and_has_no_effect),
        TEST(a_bad_value_is_quoted),
        TEST(a_bad_glob_is_one_line_and_the_others_count),
        TEST(an_unknown_variable_is_one_line),
        TEST(disabled_is_disabled),
        TEST(the_log_level_is_set_by_name),
        TEST(the_report_folder_is_told),
        TEST(a_file_has_a_rule_a_line),
        TEST(the_first_rule_counts_and_those_of_the_file_come_first),
        TEST(each_bad_line_is_one_line_with_its_number),
        TEST(a_file_that_is_named_must_be_readable),
        TEST(a_file_that_is_too_long_or_no_text_is_left_out),
        TEST(more_rules_than_fit_are_told),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
