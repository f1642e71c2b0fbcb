/* Negotiation, as the program calls for it and asks what came of it. */
#include "advanced/enter.h"
#include "advanced/input.h"
#include "advanced/session.h"
#include "advanced/wait.h"

/* ---- Agreeing ------------------------------------------------------------------------------------------------------ */

static bool is_decided(void *arg)
{
    const struct hqq_session *session = arg;
    return !hqq_session_is_under_way(session);
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

/* Nobody has asked yet. */
static bool is_open(const struct hqq_session *session)
{
    return !session->has_asked && !session->has_answered && hqq_session_is_under_way(session);
}

/* A question of the peer that lies in the link already is answered, and not crossed. An answer that lies there is taken
 * for one to the question that is about to be asked, and so stays for that. */
static void take_what_was_asked(struct hqq_advanced *advanced)
{
    uint64_t opcode;
    while (is_open(&advanced->session) && hqq_advanced_may_take(advanced) &&
           hqq_link_peek_opcode(advanced->link, &opcode) && opcode != HQQ_OPCODE_PROTO_ACK &&
           opcode != HQQ_OPCODE_ERROR)
        (void)hqq_input_take(advanced, 0);
}

int hqq_advanced_negotiate(struct hqq_advanced *advanced, uint64_t deadline_ns)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    take_what_was_asked(advanced);
    if (is_open(&advanced->session))
        result = hqq_session_ask(advanced, advanced->config.version, advanced->config.features,
                                 advanced->config.capabilities);
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
