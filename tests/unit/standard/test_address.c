/* Addresses: what each end is called, and reading from and writing to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "support/region.h"

#define COUNT 4
#define SIZE 64

static struct pair pair;
static unsigned char buffer[SIZE];
static size_t length;

static int set_up(void **state)
{
    (void)state;
    pair = pair_open(COUNT, SIZE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_close(&pair);
    return 0;
}

static struct hqq_address local(const struct hqq_link *link)
{
    struct hqq_address address;
    memset(&address, 0x5a, sizeof(address));
    hqq_link_local_address(link, &address);
    return address;
}

static struct hqq_address remote(const struct hqq_link *link)
{
    struct hqq_address address;
    memset(&address, 0x5a, sizeof(address));
    hqq_link_remote_address(link, &address);
    return address;
}

static void an_end_is_called_by_its_role_and_the_other_by_the_other(void **state)
{
    (void)state;
    assert_int_equal(local(pair.primary).role, HQQ_ROLE_PRIMARY);
    assert_int_equal(remote(pair.primary).role, HQQ_ROLE_SECONDARY);
    assert_int_equal(local(pair.secondary).role, HQQ_ROLE_SECONDARY);
    assert_int_equal(remote(pair.secondary).role, HQQ_ROLE_PRIMARY);
}

static void one_end_s_local_address_is_the_other_s_remote_one_byte_for_byte(void **state)
{
    (void)state;
    struct hqq_address here = local(pair.primary), there = remote(pair.secondary);
    assert_memory_equal(&here, &there, sizeof(here));
}

static void a_region_without_a_name_is_called_nothing(void **state)
{
    (void)state;
    assert_string_equal(local(pair.primary).name, "");
    assert_string_equal(remote(pair.primary).name, "");
}

static void a_named_link_is_called_by_its_name_without_the_slash(void **state)
{
    (void)state;
    char name[64];
    const struct hqq_link_config shape = {.buffer_count = COUNT, .buffer_size = SIZE};
    struct hqq_link *primary = NULL, *secondary = NULL;
    snprintf(name, sizeof(name), "/hqq-address-%d", (int)getpid());
    assert_int_equal(hqq_link_create(name, &shape, &primary), 0);
    assert_int_equal(hqq_link_open(name, NULL, &secondary), 0);
    assert_string_equal(local(primary).name, name + 1);
    assert_string_equal(remote(secondary).name, name + 1);
    hqq_link_close(secondary);
    hqq_link_close(primary);
}

static void a_read_says_from_whom(void **state)
{
    (void)state;
    struct hqq_address from = {.name = "untouched"};
    assert_int_equal(hqq_link_write(pair.primary, "hello", 5), 0);
    assert_int_equal(hqq_link_read_from(pair.secondary, buffer, SIZE, &length, &from), 0);
    assert_int_equal(length, 5);
    assert_int_equal(from.role, HQQ_ROLE_PRIMARY);
    assert_string_equal(from.name, "");
}

static void a_read_that_is_cut_says_from_whom_too(void **state)
{
    (void)state;
    struct hqq_address from = {.role = HQQ_ROLE_ANY};
    assert_int_equal(hqq_link_write(pair.primary, "hello", 5), 0);
    assert_int_equal(hqq_link_read_from(pair.secondary, buffer, 2, &length, &from), HQQ_ERROR_TRUNCATED);
    assert_int_equal(length, 5);
    assert_int_equal(from.role, HQQ_ROLE_PRIMARY);
}

static void a_read_that_fails_says_nothing(void **state)
{
    (void)state;
    struct hqq_address from = {.role = HQQ_ROLE_ANY, .name = "untouched"};
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, 0), 0);
    assert_int_equal(hqq_link_read_from(pair.secondary, buffer, SIZE, &length, &from), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(from.role, HQQ_ROLE_ANY);
    assert_string_equal(from.name, "untouched");
}

static void who_does_not_care_from_whom_need_not_ask(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_write(pair.primary, "hello", 5), 0);
    assert_int_equal(hqq_link_read_from(pair.secondary, buffer, SIZE, &length, NULL), 0);
}

static void a_write_to_the_remote_address_or_to_none_arrives(void **state)
{
    (void)state;
    struct hqq_address to = remote(pair.primary);
    assert_int_equal(hqq_link_write_to(pair.primary, "first", 5, &to), 0);
    assert_int_equal(hqq_link_write_to(pair.primary, "second", 6, NULL), 0);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), 0);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), 0);
    assert_memory_equal(buffer, "second", 6);
}

static void a_write_to_any_other_address_finds_no_connection(void **state)
{
    (void)state;
    struct hqq_address other_role = local(pair.primary), other_name = remote(pair.primary);
    other_name.name[0] = 'x';
    assert_int_equal(hqq_link_write_to(pair.primary, "datagram", 8, &other_role), HQQ_ERROR_CONN_NOT_FOUND);
    assert_int_equal(hqq_link_write_to(pair.primary, "datagram", 8, &other_name), HQQ_ERROR_CONN_NOT_FOUND);
    memset(other_name.name, 'x', sizeof(other_name.name)); /* not even terminated */
    assert_int_equal(hqq_link_write_to(pair.primary, "datagram", 8, &other_name), HQQ_ERROR_CONN_NOT_FOUND);
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_WOULD_BLOCK);
}

static void what_a_read_says_can_be_written_to(void **state)
{
    (void)state;
    struct hqq_address from;
    assert_int_equal(hqq_link_write(pair.primary, "ping", 4), 0);
    assert_int_equal(hqq_link_read_from(pair.secondary, buffer, SIZE, &length, &from), 0);
    assert_int_equal(hqq_link_write_to(pair.secondary, "pong", 4, &from), 0);
    assert_int_equal(hqq_link_read(pair.primary, buffer, SIZE, &length), 0);
    assert_memory_equal(buffer, "pong", 4);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_end_is_called_by_its_role_and_the_other_by_the_other),
        TEST(one_end_s_local_address_is_the_other_s_remote_one_byte_for_byte),
        TEST(a_region_without_a_name_is_called_nothing),
        TEST(a_named_link_is_called_by_its_name_without_the_slash),
        TEST(a_read_says_from_whom),
        TEST(a_read_that_is_cut_says_from_whom_too),
        TEST(a_read_that_fails_says_nothing),
        TEST(who_does_not_care_from_whom_need_not_ask),
        TEST(a_write_to_the_remote_address_or_to_none_arrives),
        TEST(a_write_to_any_other_address_finds_no_connection),
        TEST(what_a_read_says_can_be_written_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
