/* Named links between processes that were executed on their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include <hqq/error.h>

#include "multiprocess/actor.h"
#include "support/heavy.h"

static struct heavy_holdings before;
static char name[64];

static int set_up(void **state)
{
    (void)state;
    before = heavy_holdings();
    actor_name(name, sizeof(name));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    struct heavy_holdings after = heavy_holdings();
    assert_int_equal(hqq_link_unlink(name), -ENOENT);
    assert_int_equal(after.descriptors, before.descriptors);
    assert_int_equal(after.shared_mappings, before.shared_mappings);
    return 0;
}

static struct hqq_link *create(void)
{
    const struct hqq_link_config config = actor_config(HQQ_ROLE_ANY);
    struct hqq_link *link;
    assert_int_equal(hqq_link_create(name, &config, &link), 0);
    return link;
}

static void an_executed_process_that_opens_the_name_exchanges_datagrams_with_its_creator(void **state)
{
    (void)state;
    struct hqq_link *link = create();
    pid_t child = actor_start(ACTOR_OPEN, name, ACTOR_ECHO, 1000);
    actor_converse(link, 0, 1000);
    assert_int_equal(heavy_reap(child), 0);
    hqq_link_close(link);
}

static void a_name_that_another_process_is_creating_can_be_opened_once_it_is_ready(void **state)
{
    (void)state;
    pid_t child = actor_start(ACTOR_CREATE, name, ACTOR_ECHO, 100);
    struct hqq_link *link = actor_open_when_there(name);
    assert_int_equal(hqq_link_role(link), HQQ_ROLE_SECONDARY);
    actor_converse(link, 0, 100);
    assert_int_equal(heavy_reap(child), 0);
    hqq_link_close(link);
}

static void an_end_that_a_live_process_holds_is_busy_to_another(void **state)
{
    (void)state;
    const struct hqq_link_config config = actor_config(HQQ_ROLE_SECONDARY);
    struct hqq_link *link = create(), *another;
    pid_t child = actor_start(ACTOR_OPEN, name, ACTOR_ECHO, 2);
    actor_converse(link, 0, 1); /* so it holds its end */
    assert_int_equal(hqq_link_open(name, &config, &another), HQQ_ERROR_BUSY);
    actor_converse(link, 1, 1);
    assert_int_equal(heavy_reap(child), 0);
    hqq_link_close(link);
}

static void a_process_that_closes_is_seen_to_have_closed(void **state)
{
    (void)state;
    struct hqq_link *link = create();
    char data[ACTOR_BUFFER_SIZE];
    size_t length;
    pid_t child = actor_start(ACTOR_OPEN, name, ACTOR_ECHO, 1);
    actor_converse(link, 0, 1);
    assert_int_equal(hqq_link_read(link, data, sizeof(data), &length), HQQ_ERROR_CLOSED);
    assert_int_equal(heavy_reap(child), 0);
    assert_int_equal(hqq_link_peer(link), HQQ_PEER_CLOSED);
    assert_int_equal(hqq_link_write(link, "x", 1), HQQ_ERROR_CLOSED);
    hqq_link_close(link);
}

static void the_name_of_a_creator_that_died_can_be_replaced(void **state)
{
    (void)state;
    struct hqq_link_config config = actor_config(HQQ_ROLE_ANY);
    struct hqq_link *link;
    pid_t child = actor_start(ACTOR_CREATE, name, ACTOR_DIE_WRITING, 0);
    assert_int_equal(heavy_reap(child), 128 + 9);
    assert_int_equal(hqq_link_create(name, &config, &link), -EEXIST);
    config.flags = HQQ_LINK_REPLACE_STALE;
    assert_int_equal(hqq_link_create(name, &config, &link), 0);
    child = actor_start(ACTOR_OPEN, name, ACTOR_ECHO, 100);
    actor_converse(link, 0, 100);
    assert_int_equal(heavy_reap(child), 0);
    hqq_link_close(link);
}

int main(int argc, char **argv)
{
    actor_run_if_asked(argc, argv);
    alarm(120);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_executed_process_that_opens_the_name_exchanges_datagrams_with_its_creator,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_that_another_process_is_creating_can_be_opened_once_it_is_ready, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_end_that_a_live_process_holds_is_busy_to_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_process_that_closes_is_seen_to_have_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_name_of_a_creator_that_died_can_be_replaced, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
