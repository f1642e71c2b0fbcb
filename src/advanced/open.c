/* From a link to an advanced link, and its end: configuration and memory. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <talloc.h>

#include "advanced/assembly.h"
#include "advanced/compress.h"
#include "advanced/connection.h"
#include "advanced/crypto.h"
#include "advanced/enter.h"
#include "advanced/input.h"
#include "advanced/wake.h"
#include "platform/clock.h"

#define DEFAULT_MAX_MESSAGE (UINT64_C(64) << 20)
#define DEFAULT_PARTIAL_COUNT 256
#define DEFAULT_CONNECTIONS 1024
#define DEFAULT_CALLS 1024
#define DEFAULT_WINDOW (UINT64_C(256) << 10)
#define DEFAULT_COMPRESS_THRESHOLD 1024

#define WINDOW_MIN 1024

/* Smaller slots have no room for a record beside its tag that is worth it. */
#define ENCRYPTED_BUFFER_MIN 32

/* ---- Configuration ------------------------------------------------------------------------------------------------- */

uint64_t hqq_advanced_supported_features(void)
{
    uint64_t features = HQQ_FEATURES_ORIGINAL | HQQ_FEATURES_OWN;
    if (!hqq_compress_is_available())
        features &= ~HQQ_FEATURE_COMPRESSION;
    if (!hqq_crypto_is_available())
        features &= ~HQQ_FEATURE_ENCRYPTION;
    return features;
}

static int complete_features(const struct hqq_link *link, struct hqq_advanced_config *config)
{
    uint64_t possible = hqq_advanced_supported_features();
    uint64_t known = HQQ_FEATURES_ORIGINAL | HQQ_FEATURES_OWN;
    if (!config->key || link->tx.buffer_size < ENCRYPTED_BUFFER_MIN)
        possible &= ~HQQ_FEATURE_ENCRYPTION;
    if (((config->features | config->required_features) & ~known) != 0 ||
        (config->required_features & ~possible) != 0 || (config->capabilities & ~HQQ_CAPABILITIES) != 0)
        return HQQ_ERROR_INVALID_OP;
    if (config->features == 0)
        config->features = possible & ~HQQ_FEATURE_COMPRESSION; /* that takes longer than it saves, mostly */
    config->features = (config->features | config->required_features) & possible;
    if (config->capabilities == 0)
        config->capabilities = HQQ_CAPABILITIES;
    return 0;
}

static int complete_limit(uint64_t *limit, uint64_t fallback)
{
    if (*limit == 0)
        *limit = fallback;
    return *limit <= HQQ_WIRE_MAX ? 0 : HQQ_ERROR_INVALID_SIZE;
}

static int complete(const struct hqq_link *link, struct hqq_advanced_config *config)
{
    if (config->reserved != 0 || config->version > HQQ_WIRE_VERSION_MAX || link->is_stream_read)
        return HQQ_ERROR_INVALID_OP;
    if (config->version == 0)
        config->version = HQQ_WIRE_VERSION;
    int result = complete_features(link, config);
    if (result != 0)
        return result;
    result = complete_limit(&config->max_message, DEFAULT_MAX_MESSAGE);
    const struct {
        uint64_t *limit, fallback;
    } limits[] = {
        {&config->max_partial_count, DEFAULT_PARTIAL_COUNT},
        {&config->max_partial_bytes, 4 * config->max_message},
        {&config->max_received_bytes, 4 * config->max_message},
        {&config->max_connections, DEFAULT_CONNECTIONS},
        {&config->max_calls, DEFAULT_CALLS},
        {&config->max_posted_bytes, config->max_message},
        {&config->max_sent, HQQ_WIRE_MAX},
        {&config->window, DEFAULT_WINDOW},
        {&config->compress_threshold, DEFAULT_COMPRESS_THRESHOLD},
    };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]) && result == 0; i++)
        result = complete_limit(limits[i].limit, limits[i].fallback);
    return result == 0 && config->window < WINDOW_MIN ? HQQ_ERROR_INVALID_SIZE : result;
}

/* ---- Opening ------------------------------------------------------------------------------------------------------- */

/* All that needs memory. */
static int allocate(struct hqq_advanced *advanced)
{
    uint64_t slot = advanced->link->rx.buffer_size;
    advanced->scratch = talloc_size(advanced->memory, slot);
    advanced->plain = talloc_size(advanced->memory, slot);
    advanced->unpacked = talloc_size(advanced->memory, slot);
    advanced->ground = hqq_connection_new(advanced, 0);
    if (!advanced->scratch || !advanced->plain || !advanced->unpacked || !advanced->ground)
        return -ENOMEM;
    advanced->ground->state = HQQ_CONNECTION_OPEN;
    advanced->ground->is_user_held = true;
    if ((advanced->config.features & HQQ_FEATURE_ENCRYPTION) == 0)
        return 0;
    return hqq_crypto_new(advanced->memory, advanced->config.key, hqq_link_role(advanced->link) == HQQ_ROLE_PRIMARY,
                          advanced->link->tx.buffer_size, &advanced->session.crypto);
}

static void initialize(struct hqq_advanced *advanced)
{
    pthread_condattr_t attributes;
    advanced->self = advanced;
    advanced->event_fd = -1;
    advanced->next_message = 1;
    advanced->first_id = advanced->next_id = hqq_link_role(advanced->link) == HQQ_ROLE_PRIMARY ? 1 : 2;
    advanced->last_control = &advanced->first_control;
    advanced->last_waiting = &advanced->first_waiting;
    advanced->last_request = &advanced->first_request;
    advanced->last_news = &advanced->news;
    for (size_t i = 0; i < HQQ_PRIORITIES; i++)
        advanced->ready[i].last = &advanced->ready[i].first;
    advanced->rate_until_ns = HQQ_FOREVER;
    /* Until a peer of this library says otherwise. */
    advanced->session.peer_window = advanced->config.window;
    advanced->session.peer_max_message = HQQ_WIRE_MAX;
    (void)pthread_mutex_init(&advanced->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&advanced->outside, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

int hqq_advanced_open(struct hqq_link *link, const struct hqq_advanced_config *config,
                      struct hqq_advanced **ret_advanced)
{
    struct hqq_advanced_config wanted = HQQ_ADVANCED_CONFIG_INIT;
    int result = hqq_link_guard(link);
    if (config)
        wanted = *config;
    if (result == 0)
        result = complete(link, &wanted);
    if (result != 0)
        return result;
    struct hqq_advanced *advanced = talloc_zero(NULL, struct hqq_advanced);
    if (!advanced)
        return -ENOMEM;
    advanced->memory = advanced;
    advanced->link = link;
    advanced->config = wanted;
    initialize(advanced);
    result = allocate(advanced);
    advanced->config.key = NULL; /* the caller's */
    if (result != 0) {
        talloc_free(advanced);
        return result;
    }
    hqq_link_allow_taking(link);
    hqq_link_allow_awaiting(link);
    (void)hqq_link_set_read_timeout(link, HQQ_FOREVER);
    *ret_advanced = advanced;
    return 0;
}

struct hqq_link *hqq_advanced_link(const struct hqq_advanced *advanced)
{
    return advanced->link;
}

/* ---- The end ------------------------------------------------------------------------------------------------------- */

int hqq_advanced_shutdown(struct hqq_advanced *advanced)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    (void)hqq_link_shutdown(advanced->link);
    hqq_advanced_note_end(advanced, HQQ_ERROR_CLOSED);
    return hqq_advanced_end(advanced, 0);
}

/* The threads that wait have been woken and are on their way out. */
static void wait_until_alone(struct hqq_advanced *advanced)
{
    hqq_advanced_lock(advanced);
    while (advanced->inside != 0 || advanced->is_taking || advanced->is_sending) {
        struct timespec soon = hqq_timespec(hqq_deadline_after(hqq_clock_ns(), 10 * HQQ_NS_PER_MS));
        hqq_advanced_wake_all(advanced);
        (void)pthread_cond_timedwait(&advanced->outside, &advanced->lock, &soon);
    }
    hqq_advanced_unlock(advanced);
}

void hqq_advanced_close(struct hqq_advanced *advanced)
{
    if (!advanced)
        return;
    if (hqq_advanced_shutdown(advanced) == 0) {
        if (advanced->dispatching == HQQ_DISPATCHING)
            (void)hqq_advanced_stop(advanced);
        wait_until_alone(advanced);
        hqq_assembly_end_streams(advanced, advanced->ended);
        hqq_assembly_drop_all(advanced);
        (void)pthread_mutex_destroy(&advanced->lock);
        (void)pthread_cond_destroy(&advanced->outside);
    }
    /* A forked child comes here at once: the lock may be held by a thread that it does not have. */
    if (advanced->event_fd >= 0)
        (void)close(advanced->event_fd);
    hqq_link_close(advanced->link);
    talloc_free(advanced);
}
