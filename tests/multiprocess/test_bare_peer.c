/* A peer that was built without liblz4 and libsodium: what it lacks is negotiated away, or missed where it is required. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include <hqq/error.h>

#include "multiprocess/actor.h"
#include "support/advanced.h"
#include "support/heavy.h"

#define LENGTH 100000

static char name[64];
static struct hqq_advanced *advanced;
static pid_t peer;
static unsigned char zeroes[LENGTH]; /* that would compress well */

static void start_with(const struct hqq_advanced_config *config)
{
    const struct hqq_link_config link_config = actor_config(HQQ_ROLE_ANY);
    struct hqq_link *link;
    actor_name(name, sizeof(name));
    assert_int_equal(hqq_link_create(name, &link_config, &link), 0);
    peer = heavy_fork();
    if (peer == 0) {
        execl(BARE_PEER, BARE_PEER, name, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(hqq_advanced_open(link, config, &advanced), 0);
}

static void without_what_it_lacks_all_else_works(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.key = advanced_key};
    struct hqq_received answer;
    uint64_t status;
    start_with(&config);
    assert_int_equal(hqq_advanced_negotiate(advanced, advanced_soon()), 0);
    assert_int_equal(hqq_advanced_features(advanced),
                     hqq_advanced_supported_features() & ~(HQQ_FEATURE_COMPRESSION | HQQ_FEATURE_ENCRYPTION));
    assert_int_equal(hqq_advanced_send(advanced, 0, zeroes, LENGTH, advanced_soon()), 0);
    advanced_assert_receives(advanced, zeroes, LENGTH, advanced_soon());
    assert_int_equal(advanced_stats(advanced).compressed_messages, 0);
    assert_int_equal(hqq_advanced_call(advanced, 41, zeroes, LENGTH, advanced_soon(), &status, &answer), 0);
    assert_int_equal(status, 42);
    assert_int_equal(answer.length, LENGTH);
    hqq_received_free(advanced, &answer);
    assert_int_equal(heavy_reap(peer), 0);
    hqq_advanced_close(advanced);
}

static void what_it_lacks_and_is_required_fails_the_negotiation(void **state)
{
    (void)state;
    /* The peer fails as well: nothing more comes, and then the link ends. */
    const uint64_t features[] = {HQQ_FEATURE_COMPRESSION, HQQ_FEATURE_ENCRYPTION};
    for (size_t i = 0; i < 2; i++) {
        const struct hqq_advanced_config config = {.key = advanced_key, .required_features = features[i]};
        if ((hqq_advanced_supported_features() & features[i]) == 0)
            continue;
        start_with(&config);
        assert_int_equal(hqq_advanced_negotiate(advanced, advanced_soon()), HQQ_ERROR_INVALID_OP);
        assert_int_equal(hqq_advanced_negotiation(advanced), HQQ_NEGOTIATION_FAILED);
        hqq_advanced_close(advanced);
        assert_int_equal(heavy_reap(peer), 1);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_what_it_lacks_all_else_works),
        cmocka_unit_test(what_it_lacks_and_is_required_fails_the_negotiation),
    };
    actor_run_if_asked(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
