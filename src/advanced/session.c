#include "advanced/session.h"

#include "advanced/connection.h"
#include "advanced/control.h"
#include "advanced/credit.h"
#include "advanced/crypto.h"
#include "advanced/output.h"
#include "advanced/wake.h"
#include "platform/clock.h"

/* ---- Steps --------------------------------------------------------------------------------------------------------- */

bool hqq_session_is_under_way(const struct hqq_session *session)
{
    return session->state == HQQ_NEGOTIATION_NONE || session->state == HQQ_NEGOTIATION_UNDER_WAY;
}

static void begin(struct hqq_session *session)
{
    session->state = HQQ_NEGOTIATION_UNDER_WAY;
    if (session->started_ns == 0)
        session->started_ns = hqq_clock_ns();
}

static void fail(struct hqq_advanced *advanced, int result)
{
    struct hqq_session *session = &advanced->session;
    if (!hqq_session_is_under_way(session))
        return;
    session->state = HQQ_NEGOTIATION_FAILED;
    session->failure = result;
    session->version = session->features = session->capabilities = 0;
    hqq_advanced_wake(advanced, session);
}

void hqq_session_end(struct hqq_advanced *advanced, int result)
{
    fail(advanced, result);
}

/* Whether the two questions crossed, and the peer's was one that its end, waiting for the answer, does not answer ours
 * beside: the reference implementation drops what it is asked meanwhile. */
static bool is_unanswered(const struct hqq_session *session)
{
    return session->has_asked && !session->has_ack && session->has_answered && !session->is_peer_marked;
}

static int say(struct hqq_advanced *advanced, uint64_t opcode, uint64_t operand0, uint64_t operand1, uint64_t operand2)
{
    struct hqq_packet packet = hqq_control_packet(opcode, operand0, operand1, operand2);
    return hqq_control_queue(advanced, &packet);
}

static void refuse(struct hqq_advanced *advanced)
{
    const struct hqq_packet packet = hqq_control_packet(HQQ_OPCODE_ERROR, 0, HQQ_ERROR_INVALID_OP, 0);
    (void)hqq_control_answer(advanced, &packet);
    fail(advanced, HQQ_ERROR_INVALID_OP);
}

/* Done once nothing is missing any more. */
static void finish_if_complete(struct hqq_advanced *advanced)
{
    struct hqq_session *session = &advanced->session;
    if (!session->has_agreed || !hqq_session_is_under_way(session))
        return;
    if (session->has_asked && !session->has_ack && !is_unanswered(session)) /* it may refuse yet */
        return;
    if ((session->features & HQQ_FEATURES_OWN) != 0 && !session->has_setup)
        return;
    if ((session->features & HQQ_FEATURE_ENCRYPTION) != 0 && !session->has_confirmed)
        return;
    session->state = HQQ_NEGOTIATION_DONE;
    session->is_done = true;
    advanced->stats.negotiation_ns = hqq_clock_ns() - session->started_ns;
    hqq_credit_init(advanced, advanced->ground);
    hqq_connection_begin_ids(advanced);
    hqq_advanced_wake_all(advanced);
}

/* ---- Agreeing ------------------------------------------------------------------------------------------------------ */

static int say_key(struct hqq_advanced *advanced)
{
    struct hqq_packet packet = hqq_control_packet(HQQ_OPCODE_KEY_EXCHANGE, 0, 0, 0);
    hqq_crypto_public_key(advanced->session.crypto, packet.operand);
    return hqq_control_queue(advanced, &packet);
}

/* Both ends have the same in mind; the second of two answers must say so again. */
static void agree(struct hqq_advanced *advanced, uint64_t version, uint64_t features, uint64_t capabilities)
{
    struct hqq_session *session = &advanced->session;
    if (session->has_agreed) {
        if (session->version != version || session->features != features || session->capabilities != capabilities)
            fail(advanced, HQQ_ERROR_INVALID_OP);
        finish_if_complete(advanced);
        return;
    }
    session->has_agreed = true;
    session->version = version;
    session->features = features;
    session->capabilities = capabilities;
    int result = 0;
    if ((features & HQQ_FEATURES_OWN) != 0)
        result = say(advanced, HQQ_OPCODE_SETUP, advanced->config.window, advanced->config.max_message, 0);
    if (result == 0 && (features & HQQ_FEATURE_ENCRYPTION) != 0)
        result = say_key(advanced);
    if (result != 0)
        fail(advanced, result);
    finish_if_complete(advanced);
}

int hqq_session_ask(struct hqq_advanced *advanced, uint64_t version, uint64_t features, uint64_t capabilities)
{
    struct hqq_session *session = &advanced->session;
    struct hqq_packet packet = hqq_control_packet(HQQ_OPCODE_PROTO_NEGOTIATE, version, features, capabilities);
    if ((features & HQQ_FEATURES_OWN) != 0)
        packet.operand[HQQ_NEGOTIATE_MARK_OPERAND] = HQQ_NEGOTIATE_MARK;
    int result = hqq_control_queue(advanced, &packet);
    if (result != 0)
        return result;
    begin(session);
    session->has_asked = true;
    session->asked_version = version;
    session->asked_features = features;
    session->asked_capabilities = capabilities;
    hqq_output_push(advanced);
    return 0;
}

static bool lacks_required(const struct hqq_advanced *advanced, uint64_t features)
{
    return (advanced->config.required_features & ~features) != 0;
}

static void handle_ask(struct hqq_advanced *advanced, const struct hqq_packet *packet)
{
    struct hqq_session *session = &advanced->session;
    uint64_t version = packet->operand[0];
    uint64_t features = packet->operand[1] & advanced->config.features;
    uint64_t capabilities = packet->operand[2] & advanced->config.capabilities;
    bool is_marked = packet->operand[HQQ_NEGOTIATE_MARK_OPERAND] == HQQ_NEGOTIATE_MARK;
    if (!is_marked) /* its other bits are not what they would mean here */
        features &= HQQ_FEATURES_ORIGINAL;
    if (session->has_answered || !hqq_session_is_under_way(session)) {
        advanced->stats.invalid_frames++;
        refuse(advanced); /* one attempt a link */
        return;
    }
    begin(session);
    session->has_answered = true;
    session->is_peer_marked = is_marked;
    if (HQQ_VERSION_MAJOR(version) != HQQ_VERSION_MAJOR(advanced->config.version) ||
        lacks_required(advanced, features)) {
        refuse(advanced);
        return;
    }
    if (version > advanced->config.version)
        version = advanced->config.version;
    int result = say(advanced, HQQ_OPCODE_PROTO_ACK, version, features, capabilities);
    if (result != 0)
        fail(advanced, result);
    else
        agree(advanced, version, features, capabilities);
}

static void handle_ack(struct hqq_advanced *advanced, const struct hqq_packet *packet)
{
    struct hqq_session *session = &advanced->session;
    uint64_t version = packet->operand[0], features = packet->operand[1], capabilities = packet->operand[2];
    if (is_unanswered(session) && session->is_done) { /* it did answer: it must have the same in mind */
        session->has_ack = true;
        if (version != session->version || features != session->features || capabilities != session->capabilities)
            advanced->stats.invalid_frames++;
        return;
    }
    if (!session->has_asked || session->has_ack || !hqq_session_is_under_way(session)) {
        advanced->stats.invalid_frames++;
        return;
    }
    session->has_ack = true;
    if (HQQ_VERSION_MAJOR(version) != HQQ_VERSION_MAJOR(session->asked_version) ||
        HQQ_VERSION_MINOR(version) > HQQ_VERSION_MINOR(session->asked_version) ||
        (features & ~session->asked_features) != 0 || (capabilities & ~session->asked_capabilities) != 0)
        fail(advanced, HQQ_ERROR_INVALID_OP);
    else if (lacks_required(advanced, features))
        refuse(advanced); /* an honest peer, which waits for more */
    else
        agree(advanced, version, features, capabilities);
}

/* ---- Setup and keys ------------------------------------------------------------------------------------------------ */

static bool is_owed(const struct hqq_session *session, uint64_t features, bool has_come)
{
    return session->has_agreed && hqq_session_is_under_way(session) && (session->features & features) != 0 && !has_come;
}

static void handle_setup(struct hqq_advanced *advanced, const struct hqq_packet *packet)
{
    struct hqq_session *session = &advanced->session;
    if (!is_owed(session, HQQ_FEATURES_OWN, session->has_setup)) {
        advanced->stats.invalid_frames++;
        return;
    }
    session->has_setup = true;
    session->peer_window = packet->operand[0];
    session->peer_max_message = packet->operand[1];
    if (session->peer_window > HQQ_WIRE_MAX || session->peer_max_message > HQQ_WIRE_MAX)
        fail(advanced, HQQ_ERROR_INVALID_SIZE);
    finish_if_complete(advanced);
}

/* What both ends must have seen alike, for the keys to be the same. */
static int derive_keys(struct hqq_advanced *advanced, const uint64_t peer_key[HQQ_CRYPTO_KEY_WORDS])
{
    const struct hqq_session *session = &advanced->session;
    bool is_primary = hqq_link_role(advanced->link) == HQQ_ROLE_PRIMARY;
    const uint64_t own[2] = {advanced->config.window, advanced->config.max_message};
    const uint64_t peer[2] = {session->peer_window, session->peer_max_message};
    const uint64_t *first = is_primary ? own : peer, *second = is_primary ? peer : own;
    const uint64_t transcript[] = {
        session->version, session->features, session->capabilities, first[0], first[1], second[0], second[1],
    };
    return hqq_crypto_agree(session->crypto, peer_key, transcript, sizeof(transcript) / sizeof(transcript[0]));
}

static void handle_key(struct hqq_advanced *advanced, const struct hqq_packet *packet)
{
    struct hqq_session *session = &advanced->session;
    if (!session->has_setup || !is_owed(session, HQQ_FEATURE_ENCRYPTION, session->has_key)) {
        advanced->stats.invalid_frames++;
        return;
    }
    session->has_key = true;
    int result = derive_keys(advanced, packet->operand);
    if (result == 0)
        result = say(advanced, HQQ_OPCODE_KEY_CONFIRM, 0, 0, 0);
    if (result != 0)
        fail(advanced, result);
    session->is_opening = result == 0; /* the peer sends nothing unsealed after its key */
}

/* That it opened is what it has to say. */
static void handle_confirm(struct hqq_advanced *advanced)
{
    struct hqq_session *session = &advanced->session;
    if (!session->has_key || !is_owed(session, HQQ_FEATURE_ENCRYPTION, session->has_confirmed)) {
        advanced->stats.invalid_frames++;
        return;
    }
    session->has_confirmed = true;
    finish_if_complete(advanced);
}

/* The peer asked, got its answer, and refuses what it was asked: it takes the negotiation for failed. */
static void revoke(struct hqq_advanced *advanced, int result)
{
    struct hqq_session *session = &advanced->session;
    session->is_done = false;
    session->state = HQQ_NEGOTIATION_UNDER_WAY;
    fail(advanced, result);
    hqq_advanced_wake_all(advanced);
}

bool hqq_session_handle(struct hqq_advanced *advanced, const struct hqq_packet *packet)
{
    struct hqq_session *session = &advanced->session;
    switch (packet->opcode) {
    case HQQ_OPCODE_PROTO_NEGOTIATE:
        handle_ask(advanced, packet);
        return true;
    case HQQ_OPCODE_PROTO_ACK:
        handle_ack(advanced, packet);
        return true;
    case HQQ_OPCODE_ERROR:
        if (packet->operand[0] == 0 && is_unanswered(session) && session->is_done) {
            revoke(advanced, hqq_wire_error(packet->operand[1]));
            return true;
        }
        if (packet->operand[0] != 0 || !hqq_session_is_under_way(session) ||
            (!session->has_asked && !session->has_answered))
            return false;
        fail(advanced, hqq_wire_error(packet->operand[1]));
        return true;
    case HQQ_OPCODE_SETUP:
        handle_setup(advanced, packet);
        return true;
    case HQQ_OPCODE_KEY_EXCHANGE:
        handle_key(advanced, packet);
        return true;
    case HQQ_OPCODE_KEY_CONFIRM:
        handle_confirm(advanced);
        return true;
    default:
        return false;
    }
}
