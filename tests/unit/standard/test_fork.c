/* A forked child's copy of a link: every call is refused, closing it leaves the parent's alone, and the parent's goes
 * on. The child opens links of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "support/caller.h"
#include "support/child.h"
#include "support/region.h"

#define COUNT 4
#define SIZE 64

static struct pair pair;
static unsigned char buffer[2 * SIZE];
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

/* In the child: the number of the first call, from 1, that was not refused; 0 if all were. */
#define REFUSED(call)                                                                                                  \
    do {                                                                                                               \
        number++;                                                                                                      \
        if ((call) != HQQ_ERROR_FORKED)                                                                                \
            return number;                                                                                             \
    } while (0)

static int fill(void *data, size_t capacity, size_t *ret_length, void *arg)
{
    (void)data;
    (void)arg;
    *ret_length = capacity;
    return 0;
}

static int look(const void *data, size_t bytes, void *arg)
{
    (void)data;
    (void)bytes;
    (void)arg;
    return 0;
}

static int call_everything(void *arg)
{
    struct hqq_link *link = arg;
    struct hqq_message message = {.data = buffer, .capacity = SIZE, .length = 8};
    struct hqq_slot slot = {.data = buffer, .length = 8};
    struct hqq_address address;
    enum hqq_peer peer;
    int number = 0;

    hqq_link_remote_address(link, &address);
    REFUSED(hqq_link_write(link, "datagram", 8));
    REFUSED(hqq_link_try_write(link, "datagram", 8));
    REFUSED(hqq_link_read(link, buffer, SIZE, &length));
    REFUSED(hqq_link_try_read(link, buffer, SIZE, &length));
    REFUSED(hqq_link_peek(link, &length));
    REFUSED(hqq_link_write_batch(link, &message, 1, &length));
    REFUSED(hqq_link_read_batch(link, &message, 1, &length));
    REFUSED(hqq_link_reserve(link, &slot));
    REFUSED(hqq_link_commit(link, &slot, 8));
    REFUSED(hqq_link_abort(link, &slot, 8));
    REFUSED(hqq_link_borrow(link, &slot));
    REFUSED(hqq_link_release(link, &slot));
    REFUSED(hqq_link_write_with(link, fill, NULL));
    REFUSED(hqq_link_read_with(link, look, NULL));
    REFUSED(hqq_link_set_deadline(link, 0));
    REFUSED(hqq_link_set_read_deadline(link, 0));
    REFUSED(hqq_link_set_write_deadline(link, 0));
    REFUSED(hqq_link_set_read_timeout(link, 0));
    REFUSED(hqq_link_set_write_timeout(link, 0));
    REFUSED(hqq_link_check_peer(link, &peer));
    REFUSED(hqq_link_read_from(link, buffer, SIZE, &length, NULL));
    REFUSED(hqq_link_write_to(link, "datagram", 8, &address));
    REFUSED(hqq_link_set_large_threshold(link, 1000));
    REFUSED(hqq_link_shutdown(link));
    return 0;
}

/* Those that say something else of their arguments first, or have nothing to do. */
static int call_with_odd_arguments(void *arg)
{
    struct hqq_link *link = arg;
    struct hqq_message message = {.data = buffer, .capacity = SIZE, .length = 0};
    struct hqq_address elsewhere = {.role = HQQ_ROLE_PRIMARY, .name = "elsewhere"};
    int number = 0;

    REFUSED(hqq_link_write(link, "", 0));
    REFUSED(hqq_link_write(link, buffer, SIZE + 1));
    REFUSED(hqq_link_write_batch(link, &message, 0, &length));
    REFUSED(hqq_link_write_batch(link, &message, 1, &length));
    REFUSED(hqq_link_read_batch(link, &message, 0, &length));
    REFUSED(hqq_link_write_to(link, "datagram", 8, &elsewhere));
    REFUSED(hqq_link_set_large_threshold(link, 0));
    return 0;
}

static int call_after_a_shutdown(void *arg)
{
    struct hqq_link *link = arg;
    int number = 0;
    REFUSED(hqq_link_write(link, "datagram", 8));
    REFUSED(hqq_link_read(link, buffer, SIZE, &length));
    REFUSED(hqq_link_shutdown(link));
    return 0;
}

static int ask_what_needs_no_refusal(void *arg)
{
    struct hqq_link *link = arg;
    struct hqq_link_stats stats;
    hqq_link_get_stats(link, &stats);
    return hqq_link_role(link) == HQQ_ROLE_PRIMARY && hqq_link_buffer_count(link) == COUNT &&
                   hqq_link_buffer_size(link) == SIZE && hqq_link_peer(link) == HQQ_PEER_UNKNOWN &&
                   stats.write_depth == 0 && stats.read_depth == 0
               ? 0
               : 1;
}

static int close_link(void *arg)
{
    hqq_link_close(arg);
    return 0;
}

static int call_stream_reads(void *arg)
{
    struct hqq_link *link = arg;
    int number = 0;
    REFUSED(hqq_link_read(link, buffer, SIZE, &length));
    REFUSED(hqq_link_try_read(link, buffer, SIZE, &length));
    hqq_link_close(link);
    return 0;
}

static void assert_link_works(void)
{
    assert_int_equal(hqq_link_write(pair.primary, "ping", 4), 0);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), 0);
    assert_int_equal(hqq_link_write(pair.secondary, "pong", 4), 0);
    assert_int_equal(hqq_link_read(pair.primary, buffer, SIZE, &length), 0);
    assert_int_equal(hqq_link_peer(pair.primary), HQQ_PEER_ALIVE);
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static void every_call_is_refused_in_a_child(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_write(pair.secondary, "there", 5), 0);
    assert_int_equal(child_run(call_everything, pair.primary), 0);
    assert_int_equal(hqq_link_read(pair.primary, buffer, SIZE, &length), 0);
    assert_link_works();
}

static void a_child_is_refused_before_its_arguments_are_looked_at(void **state)
{
    (void)state;
    assert_int_equal(child_run(call_with_odd_arguments, pair.primary), 0);
}

static void a_child_of_a_link_that_was_shut_down_is_refused_as_a_child(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_shutdown(pair.primary), 0);
    assert_int_equal(child_run(call_after_a_shutdown, pair.primary), 0);
}

static void a_child_may_ask_what_the_link_is(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_write(pair.primary, "there", 5), 0);
    assert_int_equal(child_run(ask_what_needs_no_refusal, pair.primary), 0);
}

static void a_child_that_closes_its_copy_leaves_the_parent_s_link_alone(void **state)
{
    (void)state;
    assert_int_equal(child_run(close_link, pair.primary), 0);
    assert_int_equal(child_run(close_link, pair.secondary), 0);
    assert_link_works();
}

static void a_child_that_ends_is_no_peer_that_died(void **state)
{
    (void)state;
    enum hqq_peer peer;
    assert_int_equal(child_run(call_after_a_shutdown, pair.primary), 0);
    assert_int_equal(hqq_link_check_peer(pair.secondary, &peer), 0);
    assert_int_equal(peer, HQQ_PEER_ALIVE);
    assert_link_works();
}

static void a_child_that_closes_leaves_the_name_and_the_mapping_to_its_parent(void **state)
{
    (void)state;
    char name[64], path[80];
    struct stat stat;
    struct hqq_link *link = NULL;
    const struct hqq_link_config shape = {.buffer_count = COUNT, .buffer_size = SIZE};
    snprintf(name, sizeof(name), "hqq-fork-%d", (int)getpid());
    snprintf(path, sizeof(path), "/dev/shm/%s", name);
    assert_int_equal(hqq_link_create(name, &shape, &link), 0);
    assert_int_equal(child_run(close_link, link), 0);
    assert_int_equal(lstat(path, &stat), 0);
    assert_int_equal(hqq_link_try_write(link, "still", 5), 0);
    hqq_link_close(link);
    assert_int_not_equal(lstat(path, &stat), 0);
}

/* The lock of a stream's remainder is held by a thread that the child does not have. */
static void a_child_of_a_reading_thread_is_refused_and_may_close(void **state)
{
    (void)state;
    const struct hqq_link_config config = {.buffer_count = COUNT, .buffer_size = SIZE, .flags = HQQ_LINK_STREAM_READ};
    struct pair streams = pair_open_with(&config);
    struct caller reader = {.call = caller_read, .link = streams.secondary};
    sleepers_watch();
    caller_start(&reader);
    sleepers_await(1);
    assert_int_equal(child_run(call_stream_reads, streams.secondary), 0);
    assert_int_equal(hqq_link_write(streams.primary, "data", 4), 0);
    assert_int_equal(caller_join(&reader), 0);
    sleepers_forget();
    pair_close(&streams);
}

static int open_a_link_of_its_own(void *arg)
{
    struct pair own = pair_open(COUNT, SIZE);
    (void)arg;
    int result = hqq_link_write(own.primary, "own", 3);
    if (result == 0)
        result = hqq_link_read(own.secondary, buffer, SIZE, &length);
    pair_close(&own);
    return result;
}

static int fork_again(void *arg)
{
    struct pair own = pair_open(COUNT, SIZE);
    (void)arg;
    return child_run(call_everything, own.primary) + child_run(call_everything, pair.primary);
}

static void a_child_opens_links_of_its_own_which_its_children_may_not_use(void **state)
{
    (void)state;
    assert_int_equal(child_run(open_a_link_of_its_own, NULL), 0);
    assert_int_equal(child_run(fork_again, NULL), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_call_is_refused_in_a_child),
        TEST(a_child_is_refused_before_its_arguments_are_looked_at),
        TEST(a_child_of_a_link_that_was_shut_down_is_refused_as_a_child),
        TEST(a_child_may_ask_what_the_link_is),
        TEST(a_child_that_closes_its_copy_leaves_the_parent_s_link_alone),
        TEST(a_child_that_ends_is_no_peer_that_died),
        TEST(a_child_that_closes_leaves_the_name_and_the_mapping_to_its_parent),
        TEST(a_child_of_a_reading_thread_is_refused_and_may_close),
        TEST(a_child_opens_links_of_its_own_which_its_children_may_not_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
