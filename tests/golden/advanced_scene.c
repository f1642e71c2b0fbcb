#include "golden/advanced_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <talloc.h>

#include "advanced/connect.h"
#include "advanced/session.h"
#include "support/pattern.h"

struct duo advanced_scene_open(void)
{
    const struct hqq_advanced_config config = {.features = ORIGINAL_FEATURES};
    return duo_open(ADVANCED_SCENE_COUNT, ADVANCED_SCENE_SIZE, &config, &config);
}

/* Asks for anything, and lets the packet go. */
static void ask(struct hqq_advanced *advanced, uint64_t version, uint64_t features)
{
    hqq_advanced_lock(advanced);
    assert_int_equal(hqq_session_ask(advanced, version, features, 7), 0);
    hqq_advanced_unlock(advanced);
}

static struct hqq_connection *begin_to_dial(struct hqq_advanced *advanced)
{
    struct hqq_connection *connection = NULL;
    hqq_advanced_lock(advanced);
    assert_int_equal(hqq_connect_begin(advanced, &connection), 0);
    hqq_advanced_unlock(advanced);
    return connection;
}

/* ---- Steps --------------------------------------------------------------------------------------------------------- */

static void ask_for_all(struct duo *duo)
{
    ask(duo->end[0], 0x109, 0xff);
}

static void then_acknowledge(struct duo *duo)
{
    ask_for_all(duo);
    assert_int_equal(hqq_advanced_accept_negotiation(duo->end[1], 0), 0);
}

static void ask_for_another_major_version(struct duo *duo)
{
    ask(duo->end[0], 0x200, ORIGINAL_FEATURES);
    assert_int_equal(hqq_advanced_accept_negotiation(duo->end[1], 0), HQQ_ERROR_INVALID_OP);
}

static void negotiate(struct duo *duo)
{
    ask(duo->end[0], ORIGINAL_VERSION, ORIGINAL_FEATURES);
    assert_int_equal(hqq_advanced_accept_negotiation(duo->end[1], 0), 0);
    assert_int_equal(hqq_advanced_negotiate(duo->end[0], 0), 0);
    duo->end[0]->first_id = duo->end[0]->next_id =
        1; /* as the original counts, to which this library leaves these ids */
}

static void send_three_chunks(struct duo *duo)
{
    unsigned char bytes[150];
    pattern(bytes, sizeof(bytes), 3);
    negotiate(duo);
    assert_int_equal(hqq_advanced_send(duo->end[0], 0, bytes, sizeof(bytes), 0), 0);
}

static void then_send_nothing(struct duo *duo)
{
    send_three_chunks(duo);
    assert_int_equal(hqq_advanced_send(duo->end[0], 9, "", 0, 0), 0);
}

static void call(struct duo *duo)
{
    struct hqq_pending *pending;
    negotiate(duo);
    assert_int_equal(hqq_pending_begin(duo->end[0], NULL, 7, "ping", 4, 0, &pending), 0);
}

/* The second answer is one too many, which no call of the library would send. */
static void then_respond_twice(struct duo *duo)
{
    struct hqq_request *request, *again;
    call(duo);
    assert_int_equal(hqq_advanced_serve(duo->end[1], 0, &request), 0);
    again = talloc_memdup(duo->end[1]->memory, request, sizeof(*request));
    assert_int_equal(hqq_request_respond(request, 42, "ok", 2, 0), 0);
    assert_int_equal(hqq_request_respond_error(again, 99, "bad thing", 9, 0), 0);
}

static void dial(struct duo *duo)
{
    negotiate(duo);
    assert_int_equal(hqq_connection_state(begin_to_dial(duo->end[0])), HQQ_CONNECTION_OPENING);
}

static void dial_where_nobody_listens(struct duo *duo)
{
    negotiate(duo);
    struct hqq_connection *connection = begin_to_dial(duo->end[0]);
    duo_settle(duo);
    assert_int_equal(hqq_connection_state(connection), HQQ_CONNECTION_CLOSED);
}

static void dial_where_somebody_listens(struct duo *duo)
{
    struct hqq_connection *ends[2];
    negotiate(duo);
    duo_connect(duo, ends);
}

/* ---- The scenes ---------------------------------------------------------------------------------------------------- */

const struct advanced_scene advanced_scenes[] = {
    {"adv-negotiate-pending", ask_for_all},
    {"adv-ack-pending", then_acknowledge},
    {"adv-negotiate-refused", ask_for_another_major_version},
    {"adv-large-pending", send_three_chunks},
    {"adv-large-and-empty", then_send_nothing},
    {"adv-request-pending", call},
    {"adv-responses-pending", then_respond_twice},
    {"adv-create-pending", dial},
    {"adv-create-refused", dial_where_nobody_listens},
    {"adv-stream-open", dial_where_somebody_listens},
};

const size_t advanced_scene_count = sizeof(advanced_scenes) / sizeof(advanced_scenes[0]);
