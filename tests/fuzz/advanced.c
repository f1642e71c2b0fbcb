#include "fuzz/advanced.h"

#include <string.h>

#include <hqq/advanced.h>
#include <talloc.h>

#include "advanced/connect.h"
#include "advanced/crypto.h"
#include "advanced/state.h"
#include "support/heavy.h"
#include "support/region.h"

#define COUNT 32u
#define SIZE 64u
#define CONNECTIONS 4u
#define CALLS 4u
#define NUMBERS 8u /* of messages */

struct fuzz_figures fuzz_figures;

static const unsigned char key[HQQ_KEY_BYTES] = "the key of the victim";

/* ---- Input -------------------------------------------------------------------------------------------------------- */

struct input {
    const uint8_t *at;
    size_t left;
};

static uint8_t take(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

/* A byte stands for itself, or for a number at an edge. */
static uint64_t take_number(struct input *input)
{
    static const uint64_t edges[] = {
        SIZE,       SIZE - 16,      SIZE + 1,          HQQ_WIRE_MAX,      HQQ_WIRE_MAX + 1,
        UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63, UINT64_C(1) << 32, 1 << 16,
        4096,       1 << 20,        UINT32_MAX,
    };
    const uint8_t first_edge = 256 - sizeof(edges) / sizeof(edges[0]);
    uint8_t byte = take(input);
    return byte < first_edge ? byte : edges[byte - first_edge];
}

/* ---- The scene ---------------------------------------------------------------------------------------------------- */

enum setup {
    SETUP_COMPRESSION = 1,
    SETUP_ENCRYPTION = 2,
    SETUP_FLOW_CONTROL = 4,
    SETUP_OTHERS = 8, /* statistics, priorities, streaming */
    SETUP_STREAM = 16,
    SETUP_LISTENER = 32,
    SETUP_UNSEALED = 64, /* packets are put as they are, whatever was agreed on */
    SETUP_NEGOTIATES = 128,
};

struct scene {
    struct pair pair;
    struct hqq_advanced *victim;
    struct hqq_advanced *peer; /* NULL: the input negotiates */
    uint8_t setup;
    struct hqq_connection *connections[CONNECTIONS];
    struct hqq_pending *calls[CALLS];
    bool is_proof; /* every byte that comes is known */
};

static uint64_t features_of(uint8_t setup)
{
    uint64_t features = HQQ_FEATURE_LARGE_COPY | HQQ_FEATURE_REQUEST_RESPONSE;
    if ((setup & SETUP_COMPRESSION) != 0)
        features |= HQQ_FEATURE_COMPRESSION;
    if ((setup & SETUP_ENCRYPTION) != 0)
        features |= HQQ_FEATURE_ENCRYPTION;
    if ((setup & SETUP_FLOW_CONTROL) != 0)
        features |= HQQ_FEATURE_FLOW_CONTROL;
    if ((setup & SETUP_OTHERS) != 0)
        features |= HQQ_FEATURE_STATISTICS | HQQ_FEATURE_QOS | HQQ_FEATURE_STREAMING;
    return features & hqq_advanced_supported_features();
}

/* Byte of a message at that place, where the input is not asked for it. */
static uint8_t proof(uint64_t connection, uint64_t message, uint64_t offset)
{
    return (uint8_t)heavy_mix(heavy_mix(connection + 3 * message) + offset);
}

static void check(const struct scene *scene, uint64_t connection, uint64_t message, uint64_t offset, const void *data,
                  size_t length)
{
    const uint8_t *bytes = data;
    uint8_t sum = 0;
    for (size_t i = 0; i < length; i++) {
        sum = (uint8_t)(sum + bytes[i]); /* all of it may be read */
        if (scene->is_proof && bytes[i] != proof(connection, message, offset + i))
            heavy_fail("byte %llu of message %llu, connection %llu, was never sent", (unsigned long long)(offset + i),
                       (unsigned long long)message, (unsigned long long)connection);
    }
    heavy_steps += sum == 0 ? 2 : 1;
}

static int take_piece(const struct hqq_stream_piece *piece, void *arg)
{
    const struct scene *scene = arg;
    if (piece->offset > piece->total || piece->length > piece->total - piece->offset)
        heavy_fail("a piece that is not in its message");
    check(scene, piece->connection, piece->message, piece->offset, piece->data, piece->length);
    fuzz_figures.pieces++;
    return piece->event == HQQ_STREAM_DATA && piece->length == 13; /* now and then it has had enough */
}

static struct hqq_advanced *open_end(const struct scene *scene, struct hqq_link *link)
{
    const struct hqq_advanced_config config = {
        .features = features_of(scene->setup),
        .key = key,
        .max_message = 4096,
        .max_partial_count = 6,
        .max_received_bytes = 16384,
        .max_connections = 8,
        .max_calls = 8,
        .window = 2048,
    };
    struct hqq_advanced *advanced;
    heavy_expect("open", hqq_advanced_open(link, &config, &advanced), 0);
    return advanced;
}

/* The victim has dialled connections, and calls under way. */
static void agree(struct scene *scene)
{
    scene->peer = open_end(scene, scene->pair.primary);
    (void)hqq_advanced_listen(scene->peer, CONNECTIONS);
    for (int i = 0; i < 8; i++) {
        (void)hqq_advanced_negotiate(scene->peer, 0);
        (void)hqq_advanced_accept_negotiation(scene->victim, 0);
    }
    if (hqq_advanced_negotiation(scene->victim) != HQQ_NEGOTIATION_DONE)
        heavy_fail("not negotiated");
    for (unsigned i = 0; i < 2; i++) {
        hqq_advanced_lock(scene->victim);
        heavy_expect("dial", hqq_connect_begin(scene->victim, &scene->connections[i]), 0);
        hqq_advanced_unlock(scene->victim);
        (void)hqq_advanced_process(scene->peer, 0);
        (void)hqq_advanced_process(scene->victim, 0);
    }
    for (unsigned i = 0; i < CALLS; i++)
        heavy_expect(
            "call",
            hqq_pending_begin(scene->victim, i % 2 == 0 ? NULL : scene->connections[0], i, "?", 1, 0, &scene->calls[i]),
            0);
    (void)hqq_advanced_process(scene->peer, 0);
}

static void open_scene(struct scene *scene, uint8_t setup)
{
    const struct hqq_link_config config = {.buffer_count = COUNT, .buffer_size = SIZE, .spin_ns = HQQ_SPIN_NEVER};
    *scene = (struct scene){.pair = pair_open_with(&config), .setup = setup};
    scene->is_proof = (setup & (SETUP_COMPRESSION | SETUP_NEGOTIATES)) == 0;
    scene->victim = open_end(scene, scene->pair.secondary);
    if ((setup & SETUP_STREAM) != 0)
        (void)hqq_advanced_set_stream(scene->victim, HQQ_ANY_CONNECTION, take_piece, scene);
    if ((setup & SETUP_LISTENER) != 0)
        (void)hqq_advanced_listen(scene->victim, 2);
    if ((setup & SETUP_NEGOTIATES) == 0)
        agree(scene);
    else if ((setup & SETUP_UNSEALED) != 0)
        (void)hqq_advanced_negotiate(scene->victim, 0);
}

static void close_scene(struct scene *scene)
{
    for (unsigned i = 0; i < CALLS; i++)
        hqq_pending_cancel(scene->calls[i]);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        hqq_connection_close(scene->connections[i], i);
    hqq_advanced_close(scene->victim);
    if (scene->peer)
        hqq_advanced_close(scene->peer);
    else
        hqq_link_close(scene->pair.primary);
    region_delete(&scene->pair.region);
}

/* ---- What the peer puts ------------------------------------------------------------------------------------------- */

static bool seals(const struct scene *scene)
{
    return scene->peer && scene->peer->session.is_sealing && (scene->setup & SETUP_UNSEALED) == 0;
}

/* With the next number of the honest peer, which sends nothing any more. */
static void seal(struct scene *scene, struct hqq_packet *packet, const uint8_t *body, size_t length,
                 unsigned char *slot)
{
    struct hqq_session *session = &scene->peer->session;
    unsigned char tag[HQQ_CRYPTO_TAG];
    if (packet->opcode == HQQ_OPCODE_CONN_COPY) {
        hqq_crypto_seal(session->crypto, session->sealed++, hqq_packet_words(packet), body, length, slot);
        return;
    }
    memset(&packet->operand[HQQ_CONTROL_TAG], 0, sizeof(tag));
    hqq_crypto_seal(session->crypto, session->sealed++, hqq_packet_words(packet), NULL, 0, tag);
    memcpy(&packet->operand[HQQ_CONTROL_TAG], tag, sizeof(tag));
}

static void put(struct scene *scene, struct hqq_packet packet, const uint8_t *body, size_t length)
{
    struct hqq_link *link = scene->pair.primary;
    uint64_t position;
    if (hqq_link_claim_slot(link, 1, &position) != 0)
        return;
    unsigned char *slot = hqq_link_payload(link, position);
    memset(slot, 0x5a, SIZE);
    if (length != 0)
        memcpy(slot, body, length);
    if (seals(scene))
        seal(scene, &packet, body, length <= SIZE - HQQ_CRYPTO_TAG ? length : SIZE - HQQ_CRYPTO_TAG, slot);
    hqq_link_put_packet(link, position, &packet, 0);
    fuzz_figures.packets++;
}

/* Connections are those that there are, or other numbers. */
static uint64_t take_connection(struct input *input)
{
    uint8_t byte = take(input);
    return byte >= 8 && byte < 16 ? (UINT64_C(1) << 32) + byte : byte;
}

static void put_chunk(struct scene *scene, struct input *input)
{
    uint8_t body[SIZE];
    struct hqq_chunk chunk = {.connection = take_connection(input)};
    chunk.message = take(input) % NUMBERS;
    chunk.total = take_number(input);
    chunk.offset = take_number(input);
    chunk.size = take_number(input);
    chunk.flags = take(input);
    chunk.method = take(input);
    size_t length = chunk.size < SIZE ? chunk.size : SIZE;
    bool is_raw = (chunk.flags & HQQ_FRAME_COMPRESSED) != 0 && !scene->is_proof;
    for (size_t i = 0; i < length; i++)
        body[i] = is_raw ? take(input) : proof(chunk.connection, chunk.message, chunk.offset + i);
    put(scene, hqq_chunk_packet(&chunk, seals(scene) ? HQQ_CRYPTO_TAG : 0), body, length);
}

/* A message as it should be, of some chunks. */
static void put_message(struct scene *scene, struct input *input)
{
    uint8_t body[SIZE];
    uint64_t capacity = SIZE - (seals(scene) ? HQQ_CRYPTO_TAG : 0u);
    struct hqq_chunk chunk = {.connection = take_connection(input)};
    chunk.message = take(input) % NUMBERS;
    chunk.total = (uint64_t)take(input) * 4;
    uint64_t kind = (uint64_t)(take(input) & (HQQ_FRAME_REQUEST | HQQ_FRAME_RESPONSE | HQQ_FRAME_ERROR));
    do {
        uint64_t left = chunk.total - chunk.offset;
        chunk.size = left < capacity ? left : capacity;
        chunk.flags = kind | (chunk.offset == 0 ? HQQ_FRAME_BEGIN : 0) | (chunk.size == left ? HQQ_FRAME_END : 0);
        for (size_t i = 0; i < chunk.size; i++)
            body[i] = proof(chunk.connection, chunk.message, chunk.offset + i);
        put(scene, hqq_chunk_packet(&chunk, SIZE - capacity), body, chunk.size);
        (void)hqq_advanced_process(scene->victim, 0);
        chunk.offset += chunk.size;
    } while (chunk.offset < chunk.total);
}

/* A packet of any kind. The bytes in its slot are those of a message by the number that it says. */
static void put_any(struct scene *scene, const struct hqq_packet *packet)
{
    uint8_t body[SIZE];
    bool is_chunk = packet->opcode == HQQ_OPCODE_CONN_COPY;
    for (size_t i = 0; i < SIZE; i++)
        body[i] = is_chunk ? proof(packet->operand[0], packet->operand[1], packet->operand[3] + i) : proof(0, 0, i);
    put(scene, *packet, body, SIZE);
}

static void put_control(struct scene *scene, struct input *input)
{
    struct hqq_packet packet = {.opcode = take(input)};
    for (int i = 0; i < 5; i++)
        packet.operand[i] = take_number(input);
    put_any(scene, &packet);
}

static void put_words(struct scene *scene, struct input *input)
{
    struct hqq_packet packet;
    uint8_t *bytes = (uint8_t *)&packet;
    for (size_t i = 0; i < sizeof(packet); i++)
        bytes[i] = take(input);
    put_any(scene, &packet);
}

/* A step of a negotiation as it should be. */
static void put_step(struct scene *scene, struct input *input)
{
    uint64_t features = features_of(scene->setup);
    struct hqq_packet packet;
    switch (take(input) % 5) {
    case 0:
        packet = hqq_control_packet(HQQ_OPCODE_PROTO_NEGOTIATE, HQQ_WIRE_VERSION, features, HQQ_CAPABILITIES);
        packet.operand[HQQ_NEGOTIATE_MARK_OPERAND] = HQQ_NEGOTIATE_MARK;
        break;
    case 1:
        packet = hqq_control_packet(HQQ_OPCODE_PROTO_ACK, HQQ_WIRE_VERSION, features, HQQ_CAPABILITIES);
        break;
    case 2:
        packet = hqq_control_packet(HQQ_OPCODE_SETUP, 2048, 4096, 0);
        break;
    case 3: /* any 32 bytes are a public key, but for a few that are refused */
        packet = hqq_control_packet(HQQ_OPCODE_KEY_EXCHANGE, heavy_mix(1), heavy_mix(2), heavy_mix(3));
        packet.operand[3] = heavy_mix(take(input));
        break;
    default:
        packet = hqq_control_packet(HQQ_OPCODE_KEY_CONFIRM, 0, 0, 0);
        break;
    }
    put(scene, packet, NULL, 0);
}

/* ---- What the victim does ----------------------------------------------------------------------------------------- */

static void receive(struct scene *scene, struct input *input)
{
    struct hqq_received received;
    struct hqq_connection *connection = scene->connections[take(input) % CONNECTIONS];
    int result = connection ? hqq_connection_receive(connection, 0, &received)
                            : hqq_advanced_receive(scene->victim, 0, &received);
    fuzz_figures.news += result == HQQ_ERROR_ABORTED || result == HQQ_ERROR_INVALID_SIZE ||
                         result == HQQ_ERROR_BUFFER_OVERFLOW || result == HQQ_ERROR_TOO_MANY_MESSAGES ||
                         result == HQQ_ERROR_TOO_MANY_BYTES;
    if (result != 0)
        return;
    if (received.length > 4096)
        heavy_fail("a message of %zu bytes", received.length);
    check(scene, received.connection, received.message, 0, received.data, received.length);
    hqq_received_free(scene->victim, &received);
    fuzz_figures.messages++;
}

static void serve(struct scene *scene, struct input *input)
{
    struct hqq_request *request;
    if (hqq_advanced_serve(scene->victim, 0, &request) != 0)
        return;
    check(scene, hqq_request_connection(request), request->received.message, 0, hqq_request_data(request),
          hqq_request_length(request));
    fuzz_figures.requests++;
    uint8_t how = take(input);
    int result = HQQ_ERROR_WOULD_BLOCK;
    if (how % 2 == 0)
        result = hqq_request_respond(request, how, "an answer", how % 10, 0);
    if (result == HQQ_ERROR_WOULD_BLOCK || result == HQQ_ERROR_TOO_MANY_BYTES || result == HQQ_ERROR_BUFFER_OVERFLOW)
        hqq_request_drop(request);
}

static void wait_for_call(struct scene *scene, struct input *input)
{
    uint8_t which = take(input);
    struct hqq_pending **pending = &scene->calls[which % CALLS];
    struct hqq_received answer;
    uint64_t status;
    if (!*pending || which >= 128) {
        hqq_pending_cancel(*pending);
        *pending = NULL;
        return;
    }
    int result = hqq_pending_wait(*pending, 0, &status, &answer);
    if (result == HQQ_ERROR_WOULD_BLOCK)
        return;
    *pending = NULL;
    if (result != 0 && result != HQQ_ERROR_REMOTE)
        return;
    check(scene, answer.connection, answer.message, 0, answer.data, answer.length);
    hqq_received_free(scene->victim, &answer);
    fuzz_figures.answers++;
}

static void accept_one(struct scene *scene, struct input *input)
{
    struct hqq_connection **connection = &scene->connections[take(input) % CONNECTIONS];
    hqq_connection_close(*connection, 1);
    *connection = NULL;
    (void)hqq_advanced_accept(scene->victim, 0, connection);
}

static void send_something(struct scene *scene, struct input *input)
{
    static const uint8_t zeros[4096];
    size_t length = (size_t)take(input) * 16;
    struct hqq_connection *connection = scene->connections[take(input) % CONNECTIONS];
    if (connection)
        (void)hqq_connection_post(connection, zeros, length);
    else
        (void)hqq_advanced_send(scene->victim, 0, zeros, length, 0);
}

/* The other end takes what the victim has sent, and looks at none of it. */
static void drain(struct scene *scene, struct input *input)
{
    struct hqq_taken taken;
    (void)input;
    while (hqq_link_take_packet(scene->pair.primary, 0, &taken) == 0)
        hqq_link_give_back(scene->pair.primary, &taken);
}

static void process(struct scene *scene, struct input *input)
{
    (void)input;
    (void)hqq_advanced_process(scene->victim, 0);
}

static void step(struct scene *scene, struct input *input)
{
    static void (*const steps[])(struct scene * scene, struct input * input) = {
        put_message, put_chunk,     put_control, put_words,      put_step, receive,
        serve,       wait_for_call, accept_one,  send_something, drain,    process,
    };
    steps[take(input) % (sizeof(steps) / sizeof(steps[0]))](scene, input);
}

/* Without seals, under encryption, nothing is ever taken for a message. */
static void check_unsealed(const struct scene *scene, const struct fuzz_figures *before)
{
    const uint8_t wanted = SETUP_ENCRYPTION | SETUP_UNSEALED;
    if ((scene->setup & (wanted | SETUP_NEGOTIATES)) != wanted || !hqq_advanced_is_encryption_enabled(scene->victim))
        return;
    if (before->messages != fuzz_figures.messages || before->pieces != fuzz_figures.pieces ||
        before->requests != fuzz_figures.requests || before->answers != fuzz_figures.answers)
        heavy_fail("something that was not sealed was delivered");
}

void fuzz_advanced(const uint8_t *data, size_t size)
{
    struct input input = {data, size}, nothing = {NULL, 0};
    struct scene scene;
    const struct fuzz_figures before = fuzz_figures;
    size_t blocks = talloc_total_blocks(NULL);
    open_scene(&scene, take(&input));
    while (input.left > 0)
        step(&scene, &input);
    while (hqq_advanced_process(scene.victim, 0) == 0) {
    }
    for (int i = 0; i < 8; i++)
        receive(&scene, &nothing);
    check_unsealed(&scene, &before);
    fuzz_figures.auth += hqq_advanced_process(scene.victim, 0) == HQQ_ERROR_AUTH;
    if ((scene.setup & SETUP_NEGOTIATES) != 0) {
        fuzz_figures.negotiated += hqq_advanced_negotiation(scene.victim) == HQQ_NEGOTIATION_DONE;
        fuzz_figures.failed += hqq_advanced_negotiation(scene.victim) == HQQ_NEGOTIATION_FAILED;
    }
    close_scene(&scene);
    fuzz_figures.inputs++;
    if (blocks != talloc_total_blocks(NULL))
        heavy_fail("%zu blocks became %zu", blocks, talloc_total_blocks(NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    talloc_enable_null_tracking();
    fuzz_advanced(data, size);
    talloc_disable_null_tracking();
    return 0;
}
