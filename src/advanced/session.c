#include "advanced/session.h"

#include <talloc.h>

#include "advanced/credit.h"
#include "advanced/crypto.h"
#include "advanced/output.h"
#include "advanced/wait.h"
#include "platform/clock.h"

/* ---- Steps --------------------------------------------------------------------------------------------------------- */

static bool is_under_way(const struct hqq_session *session)
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
    if (!is_under_way(session))
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

static int say(struct hqq_advanced *advanced, uint64_t opcode, uint64_t operand0, uint64_t operand1, uint64_t operand2)
{
    struct hqq_packet packet = hqq_control_packet(opcode, operand0, operand1, operand2);
    return hqq_output_control(advanced, &packet);
}

static void refuse(struct hqq_advanced *advanced)
{
    (void)say(advanced, HQQ_OPCODE_ERROR, 0, HQQ_ERROR_INVALID_OP, 0);
    fail(advanced, HQQ_ERROR_INVALID_OP);
}

/* Done once nothing is missing any more. */
static void finish_if_complete(struct hqq_advanced *advanced)
{
    struct hqq_session *session = &advanced->session;
    if (!session->has_agreed || !is_under_way(session))
        return;
    if (session->has_asked && !session->has_ack) /* the peer has asked as well, and may refuse yet */
        return;
    if ((session->features & HQQ_FEATURES_OWN) != 0 && !session->has_setup)
        return;
    if ((session->features & HQQ_FEATURE_ENCRYPTION) != 0 && !session->has_confirmed)
        return;
    session->state = HQQ_NEGOTIATION_DONE;
    session->is_done = true;
    advanced->stats.negotiation_ns = hqq_clock_ns() - session->started_ns;
    hqq_credit_init(advanced, advanced->ground);
    hqq_advanced_wake_all(advanced);
}

/* ---- Agreeing ------------------------------------------------------------------------------------------------------ */

static int say_key(struct hqq_advanced *advanced)
{
    struct hqq_packet packet = hqq_control_packet(HQQ_OPCODE_KEY_EXCHANGE, 0, 0, 0);
    hqq_crypto_public_key(advanced->session.crypto, packet.operand);
    return hqq_output_control(advanced, &packet);
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
    int result = say(advanced, HQQ_OPCODE_PROTO_NEGOTIATE, version, features, capabilities);
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
    if (session->has_answered || !is_under_way(session)) {
        advanced->stats.invalid_frames++;
        refuse(advanced); /* one attempt a link */
        return;
    }
    begin(session);
    session->has_answered = true;
    if (HQQ_VERSION_MAJOR(version) != HQQ_VERSION_MAJOR(HQQ_WIRE_VERSION) || lacks_required(advanced, features)) {
        refuse(advanced);
        return;
    }
    if (version > HQQ_WIRE_VERSION)
        version = HQQ_WIRE_VERSION;
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
    if (!session->has_asked || session->has_ack || !is_under_way(session)) {
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
    return session->has_agreed && is_under_way(session) && (session->features & features) != 0 && !has_come;
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
        if (packet->operand[0] != 0 || !is_under_way(session) || (!session->has_asked && !session->has_answered))
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

/* ---- For the program ----------------------------------------------------------------------------------------------- */

static bool is_decided(void *arg)
{
    const struct hqq_session *session = arg;
    return !is_under_way(session);
}

static int wait_until_decided(struct hqq_advanced *advanced, uint64_t deadline_ns)
{
    struct hqq_session *session = &advanced->session;
    const struct hqq_await wait = {
        .object = session,
        .is_ready = is_decided,
        .arg = session,
        .kind = HQQ_AWAIT_PEER,
        .deadline_ns = deadline_ns,
    };
    int result = hqq_advanced_wait(advanced, &wait);
    return session->state == HQQ_NEGOTIATION_FAILED ? session->failure : result;
}

int hqq_advanced_negotiate(struct hqq_advanced *advanced, uint64_t deadline_ns)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    const struct hqq_session *session = &advanced->session;
    if (!session->has_asked && !session->has_answered && is_under_way(session))
        result = hqq_session_ask(advanced, HQQ_WIRE_VERSION, advanced->config.features, advanced->config.capabilities);
    if (result == 0)
        result = wait_until_decided(advanced, deadline_ns);
    return hqq_advanced_end(advanced, result);
}

int hqq_advanced_accept_negotiation(struct hqq_advanced *advanced, uint64_t deadline_ns)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    return hqq_advanced_end(advanced, wait_until_decided(advanced, deadline_ns));
}

/* One word of the session, as it is once negotiation is done. */
static uint64_t agreed(const struct hqq_advanced *advanced, const uint64_t *word)
{
    struct hqq_advanced *lockable = advanced->self;
    if (hqq_advanced_begin(lockable) != 0)
        return 0;
    uint64_t value = advanced->session.is_done ? *word : 0;
    (void)hqq_advanced_end(lockable, 0);
    return value;
}

enum hqq_negotiation hqq_advanced_negotiation(const struct hqq_advanced *advanced)
{
    struct hqq_advanced *lockable = advanced->self;
    if (hqq_advanced_begin(lockable) != 0)
        return HQQ_NEGOTIATION_NONE;
    enum hqq_negotiation state = advanced->session.state;
    (void)hqq_advanced_end(lockable, 0);
    return state;
}

uint64_t hqq_advanced_version(const struct hqq_advanced *advanced)
{
    return agreed(advanced, &advanced->session.version);
}

uint64_t hqq_advanced_features(const struct hqq_advanced *advanced)
{
    return agreed(advanced, &advanced->session.features);
}

uint64_t hqq_advanced_capabilities(const struct hqq_advanced *advanced)
{
    return agreed(advanced, &advanced->session.capabilities);
}

static bool is_enabled(const struct hqq_advanced *advanced, uint64_t feature)
{
    return (hqq_advanced_features(advanced) & feature) != 0;
}

bool hqq_advanced_is_large_copy_enabled(const struct hqq_advanced *advanced)
{
    return is_enabled(advanced, HQQ_FEATURE_LARGE_COPY);
}

bool hqq_advanced_is_request_response_enabled(const struct hqq_advanced *advanced)
{
    return is_enabled(advanced, HQQ_FEATURE_REQUEST_RESPONSE);
}

bool hqq_advanced_is_compression_enabled(const struct hqq_advanced *advanced)
{
    return is_enabled(advanced, HQQ_FEATURE_COMPRESSION);
}

bool hqq_advanced_is_encryption_enabled(const struct hqq_advanced *advanced)
{
    return is_enabled(advanced, HQQ_FEATURE_ENCRYPTION);
}

bool hqq_advanced_is_flow_control_enabled(const struct hqq_advanced *advanced)
{
    return is_enabled(advanced, HQQ_FEATURE_FLOW_CONTROL);
}

bool hqq_advanced_is_statistics_enabled(const struct hqq_advanced *advanced)
{
    return is_enabled(advanced, HQQ_FEATURE_STATISTICS);
}

bool hqq_advanced_is_qos_enabled(const struct hqq_advanced *advanced)
{
    return is_enabled(advanced, HQQ_FEATURE_QOS);
}

bool hqq_advanced_is_streaming_enabled(const struct hqq_advanced *advanced)
{
    return is_enabled(advanced, HQQ_FEATURE_STREAMING);
}
