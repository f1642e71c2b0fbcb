/*
 * A link whose other end is held by a process that knows the original format and nothing else: it rings no bell, says
 * not who it is, and polls. Nothing may wait for it longer than a bounded moment beyond what it takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <hqq/error.h>

#include "support/heavy.h"
#include "support/plain_peer.h"

#define COUNT 8
#define SIZE 96
#define DATAGRAMS 5000
#define BURST 16 /* after so many the plain peer pauses, for the other end to fall asleep */
#define PATIENCE_NS (20 * HEAVY_S)
#define NOTICED_NS (20 * HEAVY_MS) /* how soon a sleeper sees what nobody told it of: 1 ms and the scheduler */

/* Memory of a link, and a word between the processes. */
struct scene {
    void *base;
    size_t bytes;
    _Atomic uint64_t turn;
};

static struct scene *scene;

static int set_up(void **state)
{
    (void)state;
    scene = heavy_shared(sizeof(*scene));
    scene->bytes = plain_peer_bytes(COUNT, SIZE);
    scene->base = heavy_shared(scene->bytes);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    heavy_shared_free(scene->base, scene->bytes);
    heavy_shared_free(scene, sizeof(*scene));
    return 0;
}

static struct hqq_link *attach(enum hqq_role role)
{
    const struct hqq_link_config config = {
        .buffer_count = COUNT,
        .buffer_size = SIZE,
        .spin_ns = HQQ_SPIN_NEVER,
        .attach_timeout_ns = PATIENCE_NS,
        .role = role,
    };
    struct hqq_link *link;
    assert_int_equal(hqq_link_attach(scene->base, scene->bytes, &config, &link), 0);
    assert_int_equal(hqq_link_set_deadline(link, hqq_clock_ns() + PATIENCE_NS), 0);
    return link;
}

static void await_turn(uint64_t turn)
{
    while (atomic_load(&scene->turn) != turn)
        usleep(200);
}

/* ---- In the plain peer's process ----------------------------------------------------------------------------------
 * */

static void open_plain(struct plain_peer *peer, bool expected_primary)
{
    bool primary;
    if (!plain_peer_open(peer, scene->base, COUNT, SIZE, &primary) || primary != expected_primary)
        heavy_fail("the plain peer did not get its end");
}

static void pause_now_and_then(unsigned done)
{
    if (done % BURST == 0)
        usleep(100 + done % 5000);
}

/* Sends numbered datagrams, with tombstones among them, while it takes and checks as many. */
static void converse(struct plain_peer *peer)
{
    unsigned char data[SIZE];
    unsigned sent = 0, got = 0;
    while (sent < DATAGRAMS || got < DATAGRAMS) {
        heavy_element_fill(data, HEAVY_ELEMENT_MIN + sent % (SIZE - HEAVY_ELEMENT_MIN + 1), 2, sent);
        bool has_sent =
            sent < DATAGRAMS && plain_peer_send(peer, data, HEAVY_ELEMENT_MIN + sent % (SIZE - HEAVY_ELEMENT_MIN + 1));
        if (has_sent && ++sent % 7 == 0)
            plain_peer_send_tombstone(peer);

        int64_t length = plain_peer_receive(peer, data);
        unsigned producer;
        uint32_t number;
        if (length < 0 ||
            (length > 0 && (heavy_element_check(data, (size_t)length, &producer, &number) != HEAVY_WHOLE ||
                            producer != 1 || number != got)))
            heavy_fail("the plain peer got something else than number %u", got);
        if (length > 0)
            got++;
        if (has_sent)
            pause_now_and_then(sent);
        if (!has_sent && length == 0)
            sched_yield();
    }
}

/* ---- Traffic ------------------------------------------------------------------------------------------------------
 * */

static void *write_all(void *arg)
{
    struct hqq_link *link = arg;
    unsigned char data[SIZE];
    for (unsigned i = 0; i < DATAGRAMS; i++) {
        size_t length = HEAVY_ELEMENT_MIN + i % (SIZE - HEAVY_ELEMENT_MIN + 1);
        struct hqq_slot slot;
        if (i % 11 == 0) {
            heavy_expect("reserve", hqq_link_reserve(link, &slot), 0);
            heavy_expect("abort", hqq_link_abort(link, &slot, 9), 0);
        }
        heavy_element_fill(data, length, 1, i);
        heavy_expect("write", hqq_link_write(link, data, length), 0);
    }
    return NULL;
}

static void converse_with_plain(struct hqq_link *link)
{
    unsigned char data[SIZE];
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_all, link), 0);
    for (unsigned i = 0; i < DATAGRAMS; i++) {
        unsigned producer;
        uint32_t number;
        size_t length;
        assert_int_equal(hqq_link_read(link, data, sizeof(data), &length), 0);
        assert_int_equal(heavy_element_check(data, length, &producer, &number), HEAVY_WHOLE);
        assert_int_equal(producer, 2);
        assert_int_equal(number, i);
    }
    pthread_join(writer, NULL);
    assert_int_equal(hqq_link_peer(link), HQQ_PEER_UNKNOWN);
}

static void datagrams_go_both_ways_with_a_plain_secondary(void **state)
{
    (void)state;
    struct hqq_link *link = attach(HQQ_ROLE_PRIMARY);
    pid_t child = heavy_fork();
    if (child == 0) {
        struct plain_peer peer;
        open_plain(&peer, false);
        converse(&peer);
        _exit(0);
    }
    converse_with_plain(link);
    assert_int_equal(heavy_reap(child), 0);
    hqq_link_close(link);
}

static void datagrams_go_both_ways_with_a_plain_primary(void **state)
{
    (void)state;
    pid_t child = heavy_fork();
    if (child == 0) {
        struct plain_peer peer;
        open_plain(&peer, true);
        converse(&peer);
        _exit(0);
    }
    struct hqq_link *link = attach(HQQ_ROLE_SECONDARY); /* waits for the primary */
    assert_int_equal(hqq_link_role(link), HQQ_ROLE_SECONDARY);
    converse_with_plain(link);
    assert_int_equal(heavy_reap(child), 0);
    hqq_link_close(link);
}

static void a_secondary_takes_the_end_that_another_left_beside_a_plain_primary(void **state)
{
    (void)state;
    pid_t child = heavy_fork();
    if (child == 0) {
        struct plain_peer peer;
        open_plain(&peer, true);
        converse(&peer);
        _exit(0);
    }
    hqq_link_close(attach(HQQ_ROLE_SECONDARY));
    struct hqq_link *link = attach(HQQ_ROLE_ANY);
    assert_int_equal(hqq_link_role(link), HQQ_ROLE_SECONDARY);
    converse_with_plain(link);
    assert_int_equal(heavy_reap(child), 0);
    hqq_link_close(link);
}

/* ---- Waiting ------------------------------------------------------------------------------------------------------
 * */

/* The child sends when it is its turn, and notes when in the datagram; the reader has been asleep for longer than the
 * longest of its timed looks. */
static void a_sleeping_reader_sees_what_a_plain_peer_sends_within_a_bounded_time(void **state)
{
    (void)state;
    enum { TIMES = 20 };
    struct hqq_link *link = attach(HQQ_ROLE_PRIMARY);
    pid_t child = heavy_fork();
    if (child == 0) {
        struct plain_peer peer;
        open_plain(&peer, false);
        for (uint64_t i = 1; i <= TIMES; i++) {
            await_turn(i);
            usleep(10000);
            uint64_t now = hqq_clock_ns();
            plain_peer_send(&peer, &now, sizeof(now));
        }
        _exit(0);
    }
    uint64_t quickest = UINT64_MAX;
    for (uint64_t i = 1; i <= TIMES; i++) {
        uint64_t sent;
        size_t length;
        atomic_store(&scene->turn, i);
        assert_int_equal(hqq_link_read(link, &sent, sizeof(sent), &length), 0);
        uint64_t took = hqq_clock_ns() - sent;
        quickest = took < quickest ? took : quickest;
    }
    assert_true(quickest < NOTICED_NS);
    assert_int_equal(heavy_reap(child), 0);
    hqq_link_close(link);
}

static void a_sleeping_writer_sees_the_space_that_a_plain_peer_makes_within_a_bounded_time(void **state)
{
    (void)state;
    enum { TIMES = 20 };
    struct hqq_link *link = attach(HQQ_ROLE_PRIMARY);
    _Atomic uint64_t *released = heavy_shared(sizeof(*released));
    pid_t child = heavy_fork();
    if (child == 0) {
        struct plain_peer peer;
        unsigned char data[SIZE];
        open_plain(&peer, false);
        for (uint64_t i = 1; i <= TIMES; i++) {
            await_turn(i);
            usleep(10000);
            atomic_store(released, hqq_clock_ns());
            plain_peer_receive(&peer, data);
        }
        _exit(0);
    }
    while (hqq_link_try_write(link, "full", 4) == 0) {
    }
    uint64_t quickest = UINT64_MAX;
    for (uint64_t i = 1; i <= TIMES; i++) {
        atomic_store(&scene->turn, i);
        assert_int_equal(hqq_link_write(link, "more", 4), 0);
        uint64_t took = hqq_clock_ns() - atomic_load(released);
        quickest = took < quickest ? took : quickest;
    }
    assert_true(quickest < NOTICED_NS);
    assert_int_equal(heavy_reap(child), 0);
    heavy_shared_free((void *)(uintptr_t)released, sizeof(*released));
    hqq_link_close(link);
}

static void a_wait_for_a_plain_peer_ends_with_its_deadline(void **state)
{
    (void)state;
    struct hqq_link *link = attach(HQQ_ROLE_PRIMARY);
    struct plain_peer peer;
    char data[SIZE];
    size_t length;
    open_plain(&peer, false);
    assert_int_equal(hqq_link_set_read_timeout(link, 30 * HEAVY_MS), 0);
    uint64_t began = hqq_clock_ns();
    assert_int_equal(hqq_link_read(link, data, sizeof(data), &length), HQQ_ERROR_TIMEOUT);
    uint64_t took = hqq_clock_ns() - began;
    assert_in_range(took, 30 * HEAVY_MS, PATIENCE_NS / 2); /* the link's deadline comes later */
    hqq_link_close(link);
}

/* ---- What is odd --------------------------------------------------------------------------------------------------
 * */

static void packets_of_a_plain_peer_that_are_no_datagrams_are_dropped_and_told(void **state)
{
    (void)state;
    struct hqq_link *link = attach(HQQ_ROLE_PRIMARY);
    struct plain_peer peer;
    char data[SIZE];
    size_t length;
    open_plain(&peer, false);
    assert_true(plain_peer_send_packet(&peer, (const uint64_t[8]){0x42, 1, 0, 8}));
    assert_true(plain_peer_send_packet(&peer, (const uint64_t[8]){0xff, 1, 0, SIZE + 1}));
    assert_true(plain_peer_send_packet(&peer, (const uint64_t[8]){0xff, 1, 0, 0}));
    assert_true(plain_peer_send_tombstone(&peer));
    assert_true(plain_peer_send(&peer, "datagram", 8));
    assert_int_equal(hqq_link_read(link, data, sizeof(data), &length), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_read(link, data, sizeof(data), &length), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(hqq_link_read(link, data, sizeof(data), &length), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(hqq_link_read(link, data, sizeof(data), &length), 0);
    assert_int_equal(length, 8);
    assert_memory_equal(data, "datagram", 8);
    hqq_link_close(link);
}

int main(void)
{
    alarm(180);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(datagrams_go_both_ways_with_a_plain_secondary, set_up, tear_down),
        cmocka_unit_test_setup_teardown(datagrams_go_both_ways_with_a_plain_primary, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_secondary_takes_the_end_that_another_left_beside_a_plain_primary, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_sleeping_reader_sees_what_a_plain_peer_sends_within_a_bounded_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_sleeping_writer_sees_the_space_that_a_plain_peer_makes_within_a_bounded_time,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wait_for_a_plain_peer_ends_with_its_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(packets_of_a_plain_peer_that_are_no_datagrams_are_dropped_and_told, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
