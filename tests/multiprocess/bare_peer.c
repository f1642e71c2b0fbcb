/*
 * The other process of test_bare_peer: a build without liblz4 and libsodium, which opens the name that it is given, lets
 * the peer negotiate, and, if it can, sends back one message and answers one call. It exits with 0 if all went as it
 * should, with 1 if the negotiation failed, else with the line that was not as it should be, modulo 100, plus 2.
 */
#include <stdlib.h>

#include <hqq/advanced.h>

#define PATIENCE_NS UINT64_C(20000000000)

#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            exit(2 + __LINE__ % 100);                                                                                  \
    } while (0)

static void refuse_what_is_not_there(struct hqq_link *link)
{
    static const unsigned char key[HQQ_KEY_BYTES] = {1};
    const struct hqq_advanced_config configs[] = {
        {.required_features = HQQ_FEATURE_COMPRESSION},
        {.required_features = HQQ_FEATURE_ENCRYPTION, .key = key},
    };
    struct hqq_advanced *advanced;
    EXPECT((hqq_advanced_supported_features() & (HQQ_FEATURE_COMPRESSION | HQQ_FEATURE_ENCRYPTION)) == 0);
    for (int i = 0; i < 2; i++)
        EXPECT(hqq_advanced_open(link, &configs[i], &advanced) == HQQ_ERROR_INVALID_OP);
}

static void serve(struct hqq_advanced *advanced)
{
    struct hqq_received received;
    struct hqq_request *request;
    uint64_t until = hqq_clock_ns() + PATIENCE_NS;
    EXPECT(hqq_advanced_receive(advanced, until, &received) == 0);
    EXPECT(hqq_advanced_send(advanced, received.connection, received.data, received.length, until) == 0);
    hqq_received_free(advanced, &received);
    EXPECT(hqq_advanced_serve(advanced, until, &request) == 0);
    EXPECT(hqq_request_respond(request, hqq_request_method(request) + 1, hqq_request_data(request),
                               hqq_request_length(request), until) == 0);
}

int main(int argc, char **argv)
{
    static const unsigned char key[HQQ_KEY_BYTES] = {1};
    const struct hqq_advanced_config config = {.key = key};
    const struct hqq_link_config link_config = {.role = HQQ_ROLE_SECONDARY};
    struct hqq_link *link;
    struct hqq_advanced *advanced;
    EXPECT(argc == 2);
    EXPECT(hqq_link_open(argv[1], &link_config, &link) == 0);
    refuse_what_is_not_there(link);
    EXPECT(hqq_advanced_open(link, &config, &advanced) == 0);
    int result = hqq_advanced_accept_negotiation(advanced, hqq_clock_ns() + PATIENCE_NS);
    if (result == 0)
        serve(advanced);
    hqq_advanced_close(advanced);
    return result == 0 ? 0 : 1;
}
