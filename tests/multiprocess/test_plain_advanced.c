/*
 * An advanced link whose other end is a process that plays the reference implementation byte by byte: it drops what it is
 * asked while it asks, counts connection ids from 1, cannot abort a message, repeats the kind of a message in all its
 * chunks, and ends where it gets a packet that it does not expect.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <hqq/advanced.h>
#include <hqq/error.h>

#include "support/heavy.h"
#include "support/plain_peer.h"

#define COUNT 8
#define SIZE 64
#define PATIENCE_NS (30 * HEAVY_S)
#define LARGE 150 /* three chunks */
#define ABANDONED 300

enum { ERROR, CONN_CREATE, CONN_ACCEPT, CONN_CLOSE, CONN_COPY, NEGOTIATE, ACK };
enum { BEGIN = 1, END = 2, REQUEST = 8, RESPONSE = 16 };

struct scene {
    void *base;
    size_t bytes;
    _Atomic uint64_t turn;
};

static struct scene *scene;
static struct hqq_advanced *advanced;
static pid_t child;
static unsigned char bytes[LARGE];

/* ---- The reference implementation's side ------------------------------------------------------------------------------ */

static struct plain_peer peer;
static uint64_t next_message = 1;

static void say(uint64_t opcode, uint64_t operand0, uint64_t operand1, uint64_t operand2)
{
    const uint64_t packet[8] = {opcode, operand0, operand1, operand2};
    while (!plain_peer_send_packet(&peer, packet))
        sched_yield();
}

/* The next packet, whatever it is. */
static void await_any(uint64_t packet[8], unsigned char data[SIZE])
{
    uint64_t until = hqq_clock_ns() + PATIENCE_NS;
    while (!plain_peer_take(&peer, packet, data)) {
        if (hqq_clock_ns() > until)
            heavy_fail("the plain peer waited in vain");
        usleep(50);
    }
}

static void expect(uint64_t opcode, uint64_t operand0, uint64_t operand1, uint64_t operand2)
{
    uint64_t packet[8];
    unsigned char data[SIZE];
    const uint64_t expected[8] = {opcode, operand0, operand1, operand2};
    await_any(packet, data);
    if (memcmp(packet, expected, sizeof(packet)) != 0)
        heavy_fail("packet %llu of %llu, %llu where %llu was expected", (unsigned long long)packet[0],
                   (unsigned long long)packet[1], (unsigned long long)packet[2], (unsigned long long)opcode);
}

/* Asks, and waits for the answer; what it is asked meanwhile it drops. */
static void ask(uint64_t features, uint64_t expected)
{
    uint64_t packet[8];
    unsigned char data[SIZE];
    say(NEGOTIATE, 0x100, features, 7);
    do {
        await_any(packet, data);
    } while (packet[0] == NEGOTIATE);
    if (packet[0] != ACK || packet[1] != 0x100 || packet[2] != expected || packet[3] != 7)
        heavy_fail("answered by packet %llu, features %llx", (unsigned long long)packet[0],
                   (unsigned long long)packet[2]);
}

static void send_chunk(uint64_t connection, uint64_t message, uint64_t offset, uint64_t kind, uint64_t method)
{
    uint64_t size = LARGE - offset < SIZE ? LARGE - offset : SIZE;
    uint64_t flags = kind | (offset == 0 ? BEGIN : 0) | (offset + size == LARGE ? END : 0);
    const uint64_t packet[8] = {CONN_COPY, connection, message, LARGE, offset, size, flags, offset == 0 ? method : 0};
    while (!plain_peer_send_chunk(&peer, packet, bytes + offset))
        sched_yield();
}

static uint64_t send_message(uint64_t connection, uint64_t kind, uint64_t method)
{
    uint64_t message = next_message++;
    for (uint64_t offset = 0; offset < LARGE; offset += SIZE)
        send_chunk(connection, message, offset, kind, method);
    return message;
}

/* The chunks of one message, each as it must be. Returns its id. */
static uint64_t take_message(uint64_t connection, uint64_t kind, uint64_t method)
{
    uint64_t packet[8], message = 0;
    unsigned char data[SIZE];
    for (uint64_t offset = 0; offset < LARGE; offset += SIZE) {
        uint64_t size = LARGE - offset < SIZE ? LARGE - offset : SIZE;
        await_any(packet, data);
        if (offset == 0)
            message = packet[2];
        const uint64_t expected[8] = {
            CONN_COPY,
            connection,
            message,
            LARGE,
            offset,
            size,
            kind | (offset == 0 ? BEGIN : 0) | (offset + size == LARGE ? END : 0),
            offset == 0 ? method : 0,
        };
        if (memcmp(packet, expected, sizeof(packet)) != 0 || memcmp(data, bytes + offset, size) != 0)
            heavy_fail("the chunk at %llu is not as it must be", (unsigned long long)offset);
    }
    return message;
}

static void await_turn(uint64_t turn)
{
    while (atomic_load(&scene->turn) != turn)
        usleep(100);
}

/* ---- The scene --------------------------------------------------------------------------------------------------------- */

/* Starts the plain peer, as the secondary, and opens the other end. */
static void begin(void (*act)(void), const struct hqq_advanced_config *config)
{
    const struct hqq_link_config shape = {.buffer_count = COUNT, .buffer_size = SIZE, .role = HQQ_ROLE_PRIMARY};
    struct hqq_link *link;
    assert_int_equal(hqq_link_attach(scene->base, scene->bytes, &shape, &link), 0);
    child = heavy_fork();
    if (child == 0) {
        bool primary;
        if (!plain_peer_open(&peer, scene->base, COUNT, SIZE, &primary) || primary)
            heavy_fail("the plain peer did not get its end");
        act();
        _exit(0);
    }
    assert_int_equal(hqq_advanced_open(link, config, &advanced), 0);
}

static uint64_t soon(void)
{
    return hqq_clock_ns() + PATIENCE_NS;
}

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (unsigned char)(i * 7 + 1);
    scene = heavy_shared(sizeof(*scene));
    scene->bytes = plain_peer_bytes(COUNT, SIZE);
    scene->base = heavy_shared(scene->bytes);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_advanced_close(advanced);
    heavy_shared_free(scene->base, scene->bytes);
    heavy_shared_free(scene, sizeof(*scene));
    return 0;
}

static void end(void)
{
    assert_int_equal(heavy_reap(child), 0);
    struct hqq_advanced_stats stats;
    assert_int_equal(hqq_advanced_get_stats(advanced, &stats), 0);
    assert_int_equal(stats.invalid_frames, 0);
}

static void assert_receives(void)
{
    struct hqq_received received;
    assert_int_equal(hqq_advanced_receive(advanced, soon(), &received), 0);
    assert_int_equal(received.length, LARGE);
    assert_memory_equal(received.data, bytes, LARGE);
    hqq_received_free(advanced, &received);
}

/* ---- Negotiation ----------------------------------------------------------------------------------------------------------- */

static void ask_and_talk(void)
{
    ask(3, 3);
    send_message(0, 0, 0);
    take_message(0, 0, 0);
}

static void ask_first_and_talk(void)
{
    say(NEGOTIATE, 0x100, 3, 7);
    atomic_store(&scene->turn, 1);
    uint64_t packet[8];
    unsigned char data[SIZE];
    do {
        await_any(packet, data);
    } while (packet[0] == NEGOTIATE);
    if (packet[0] != ACK || packet[2] != 3)
        heavy_fail("answered by packet %llu", (unsigned long long)packet[0]);
    send_message(0, 0, 0);
    take_message(0, 0, 0);
}

static void talk(void)
{
    assert_receives();
    assert_int_equal(hqq_advanced_send(advanced, 0, bytes, LARGE, soon()), 0);
    end();
}

static void who_negotiates_beside_a_question_that_lies_there_answers_it(void **state)
{
    (void)state;
    begin(ask_first_and_talk, NULL);
    await_turn(1);
    assert_int_equal(hqq_advanced_negotiate(advanced, soon()), 0);
    assert_int_equal(hqq_advanced_features(advanced), 3);
    talk();
}

static void ask_when_asked(void)
{
    uint64_t packet[8];
    unsigned char data[SIZE];
    await_any(packet, data);
    if (packet[0] != NEGOTIATE)
        heavy_fail("packet %llu, not a question", (unsigned long long)packet[0]);
    ask_and_talk(); /* its own question had been on its way */
}

static void questions_that_cross_end_in_the_same_result_at_both_ends(void **state)
{
    (void)state;
    begin(ask_when_asked, NULL);
    assert_int_equal(hqq_advanced_negotiate(advanced, soon()), 0);
    assert_int_equal(hqq_advanced_features(advanced), 3);
    talk();
}

static void an_attempt_that_timed_out_can_be_waited_for_again(void **state)
{
    (void)state;
    begin(ask_when_asked, NULL);
    while (hqq_advanced_negotiate(advanced, 1) == HQQ_ERROR_TIMEOUT)
        usleep(100);
    assert_int_equal(hqq_advanced_negotiate(advanced, soon()), 0);
    talk();
}

static void ask_for_everything_and_talk(void)
{
    ask(UINT64_MAX, 3);
    send_message(0, 0, 0);
    take_message(0, 0, 0);
}

static void bits_without_a_meaning_are_not_granted(void **state)
{
    (void)state;
    begin(ask_for_everything_and_talk, NULL);
    assert_int_equal(hqq_advanced_accept_negotiation(advanced, soon()), 0);
    talk();
}

/* ---- Messages ---------------------------------------------------------------------------------------------------------------- */

static void abandon_many_and_send_one(void)
{
    ask(3, 3);
    for (int i = 0; i < ABANDONED; i++)
        send_chunk(0, next_message++, 0, 0, 0);
    send_message(0, 0, 0);
}

static void messages_that_were_left_midway_do_not_keep_others_out(void **state)
{
    (void)state;
    struct hqq_received received;
    struct hqq_advanced_stats stats;
    begin(abandon_many_and_send_one, NULL);
    assert_int_equal(hqq_advanced_accept_negotiation(advanced, soon()), 0);
    assert_int_equal(hqq_advanced_receive(advanced, soon(), &received), HQQ_ERROR_ABORTED);
    assert_int_equal(received.message, 1);
    int result; /* of those that were displaced since then some more is told */
    while ((result = hqq_advanced_receive(advanced, soon(), &received)) == HQQ_ERROR_ABORTED)
        ;
    assert_int_equal(result, 0);
    assert_int_equal(received.length, LARGE);
    assert_memory_equal(received.data, bytes, LARGE);
    hqq_received_free(advanced, &received);
    assert_int_equal(hqq_advanced_get_stats(advanced, &stats), 0);
    assert_int_equal(stats.messages_displaced, ABANDONED + 1 - 256);
    end();
}

static void call_and_be_called(void)
{
    ask(3, 3);
    uint64_t message = send_message(0, REQUEST, 42);
    if (take_message(0, RESPONSE, 7) != message)
        heavy_fail("the answer to another request");
    message = take_message(0, REQUEST, 43);
    for (uint64_t offset = 0; offset < LARGE; offset += SIZE)
        send_chunk(0, message, offset, RESPONSE, 8);
}

static void calls_of_many_chunks_go_both_ways(void **state)
{
    (void)state;
    struct hqq_request *request;
    struct hqq_received answer;
    uint64_t status;
    begin(call_and_be_called, NULL);
    assert_int_equal(hqq_advanced_accept_negotiation(advanced, soon()), 0);
    assert_int_equal(hqq_advanced_serve(advanced, soon(), &request), 0);
    assert_int_equal(hqq_request_method(request), 42);
    assert_int_equal(hqq_request_length(request), LARGE);
    assert_int_equal(hqq_request_respond(request, 7, bytes, LARGE, soon()), 0);
    assert_int_equal(hqq_advanced_call(advanced, 43, bytes, LARGE, soon(), &status, &answer), 0);
    assert_int_equal(status, 8);
    assert_memory_equal(answer.data, bytes, LARGE);
    hqq_received_free(advanced, &answer);
    end();
}

/* ---- Connections -------------------------------------------------------------------------------------------------------------- */

/* Counts its ids from 1 whatever the other end does, and refuses one that is taken. */
static void dial_from_one(void)
{
    ask(3, 3);
    for (uint64_t id = 1; id <= 3; id++) {
        uint64_t theirs = (UINT64_C(1) << 31) + 2 * id - 1;
        expect(CONN_CREATE, theirs, 0, 0);
        say(CONN_ACCEPT, theirs, 0, 0);
        say(CONN_CREATE, id, 0, 0);
        expect(CONN_ACCEPT, id, 0, 0);
        send_message(id, 0, 0);
        take_message(theirs, 0, 0);
    }
    expect(CONN_CREATE, (UINT64_C(1) << 31) + 7, 0, 0);
    say(ERROR, (UINT64_C(1) << 31) + 7, 5, 0);
    expect(CONN_CREATE, (UINT64_C(1) << 31) + 7, 0, 0); /* the id was given back */
    say(CONN_ACCEPT, (UINT64_C(1) << 31) + 7, 0, 0);
}

static void both_ends_dial_and_their_ids_do_not_meet(void **state)
{
    (void)state;
    begin(dial_from_one, NULL);
    assert_int_equal(hqq_advanced_listen(advanced, 5), 0);
    assert_int_equal(hqq_advanced_accept_negotiation(advanced, soon()), 0);
    for (int i = 0; i < 3; i++) {
        struct hqq_connection *dialled;
        struct hqq_next next;
        assert_int_equal(hqq_advanced_dial(advanced, soon(), &dialled), 0);
        assert_int_equal(hqq_advanced_next(advanced, soon(), &next), 0);
        assert_int_equal(next.kind, HQQ_NEXT_CONNECTION);
        struct hqq_connection *accepted = next.connection;
        assert_int_equal(hqq_advanced_next(advanced, soon(), &next), 0);
        assert_int_equal(next.kind, HQQ_NEXT_MESSAGE);
        assert_ptr_equal(next.connection, accepted);
        assert_memory_equal(next.message.data, bytes, LARGE);
        hqq_received_free(advanced, &next.message);
        assert_int_equal(hqq_connection_send(dialled, bytes, LARGE, soon()), 0);
    }
    struct hqq_connection *connection;
    assert_int_equal(hqq_advanced_dial(advanced, soon(), &connection), HQQ_ERROR_CONN_NOT_FOUND);
    assert_int_equal(hqq_advanced_dial(advanced, soon(), &connection), 0);
    end();
}

/* ---- Datagrams ------------------------------------------------------------------------------------------------------------------ */

static void exchange_datagrams(void)
{
    uint64_t packet[8];
    unsigned char data[SIZE];
    ask(3, 3);
    if (!plain_peer_send(&peer, "from there", 10))
        heavy_fail("no room for a datagram");
    await_any(packet, data);
    if (packet[0] != 0xff || packet[3] != 9 || memcmp(data, "from here", 9) != 0)
        heavy_fail("packet %llu, not the datagram", (unsigned long long)packet[0]);
}

static void plain_datagrams_go_both_ways_beside_messages(void **state)
{
    (void)state;
    struct hqq_received received;
    begin(exchange_datagrams, NULL);
    assert_int_equal(hqq_advanced_accept_negotiation(advanced, soon()), 0);
    assert_int_equal(hqq_advanced_receive(advanced, soon(), &received), 0);
    assert_int_equal(received.flags, HQQ_MESSAGE_DATAGRAM);
    assert_int_equal(received.length, 10);
    hqq_received_free(advanced, &received);
    assert_int_equal(hqq_advanced_send_datagram(advanced, "from here", 9, soon()), 0);
    end();
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    alarm(240);
    const struct CMUnitTest tests[] = {
        TEST(who_negotiates_beside_a_question_that_lies_there_answers_it),
        TEST(questions_that_cross_end_in_the_same_result_at_both_ends),
        TEST(an_attempt_that_timed_out_can_be_waited_for_again),
        TEST(bits_without_a_meaning_are_not_granted),
        TEST(messages_that_were_left_midway_do_not_keep_others_out),
        TEST(calls_of_many_chunks_go_both_ways),
        TEST(both_ends_dial_and_their_ids_do_not_meet),
        TEST(plain_datagrams_go_both_ways_beside_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
