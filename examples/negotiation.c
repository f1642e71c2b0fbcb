/*
 * What two ends agree on: one asks, the other waits to be asked, and both then use what both have.
 *
 * An advanced link begins as a standard link. hqq_advanced_open() takes it over; nothing is sent before one end calls
 * hqq_advanced_negotiate(). A feature that one end lacks is left out, and the link works without it, unless the other
 * end requires it: then both are refused, for good.
 *
 * Parent and child meet a few times, each time on a new link. Exit status 0 if each meeting ended as it should.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/hqq.h>

#define SECOND UINT64_C(1000000000)

/* Both ends must have the same; a real one comes from a random source, and from nowhere else. */
static const unsigned char key[HQQ_KEY_BYTES] = "for this example and nothing els";
static const unsigned char another[HQQ_KEY_BYTES] = "what somebody else has, by error";

static const struct meeting {
    const char *what;
    struct hqq_advanced_config asker, answerer;
    int expected;
} meetings[] = {
    {"both offer all they have", {0}, {0}, 0},
    {"one speaks the original protocol only",
     {0},
     {.features = HQQ_FEATURE_LARGE_COPY | HQQ_FEATURE_REQUEST_RESPONSE},
     0},
    {"the other end requires what we do not offer",
     {.features = HQQ_FEATURE_LARGE_COPY},
     {.required_features = HQQ_FEATURE_FLOW_CONTROL},
     HQQ_ERROR_INVALID_OP},
    {"both have a key", {.key = key}, {.key = key}, 0},
    {"the keys differ", {.key = key}, {.key = another}, HQQ_ERROR_AUTH},
};

static void check(int result, const char *what)
{
    if (result != 0) {
        fprintf(stderr, "%s: %s\n", what, hqq_strerror(result));
        exit(EXIT_FAILURE);
    }
}

static void show(const struct hqq_advanced *advanced)
{
    uint64_t version = hqq_advanced_version(advanced);

    printf("    version %d.%d, features 0x%04llx:%s%s%s%s%s%s%s%s\n", (int)(version >> 8), (int)(version & 0xff),
           (unsigned long long)hqq_advanced_features(advanced),
           hqq_advanced_is_large_copy_enabled(advanced) ? " large-copy" : "",
           hqq_advanced_is_request_response_enabled(advanced) ? " request-response" : "",
           hqq_advanced_is_compression_enabled(advanced) ? " compression" : "",
           hqq_advanced_is_encryption_enabled(advanced) ? " encryption" : "",
           hqq_advanced_is_flow_control_enabled(advanced) ? " flow-control" : "",
           hqq_advanced_is_statistics_enabled(advanced) ? " statistics" : "",
           hqq_advanced_is_qos_enabled(advanced) ? " qos" : "",
           hqq_advanced_is_streaming_enabled(advanced) ? " streaming" : "");
}

/* One end of a meeting; its result is what the negotiation came to. */
static int attend(struct hqq_link *link, const struct hqq_advanced_config *config, bool asks)
{
    struct hqq_advanced *advanced;
    uint64_t deadline_ns = hqq_clock_ns() + 10 * SECOND;

    check(hqq_advanced_open(link, config, &advanced), "taking the link over");
    int result =
        asks ? hqq_advanced_negotiate(advanced, deadline_ns) : hqq_advanced_accept_negotiation(advanced, deadline_ns);
    if (result == 0 && asks)
        show(advanced);
    if (result != 0 && asks)
        printf("    %s\n", hqq_strerror(result));
    (void)hqq_advanced_flush(advanced, deadline_ns); /* a refusal is to reach the other end before the link ends */
    hqq_advanced_close(advanced);                    /* the link with it */
    return result;
}

static bool meet(const struct meeting *meeting)
{
    struct hqq_link *link;
    int fd, status;

    printf("%s\n", meeting->what);
    fflush(stdout);
    check(hqq_link_create_fd(NULL, &fd, &link), "making the link");
    pid_t child = fork();
    if (child == 0) {
        hqq_link_close(link); /* the parent's stays as it is */
        check(hqq_link_attach_fd(fd, NULL, &link), "opening the other end");
        int result = attend(link, &meeting->answerer, false);
        _exit(result == meeting->expected || result == HQQ_ERROR_CLOSED ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    check(child < 0 ? -errno : 0, "fork");
    close(fd);
    int result = attend(link, &meeting->asker, true);
    return waitpid(child, &status, 0) == child && status == 0 && result == meeting->expected;
}

int main(void)
{
    bool can_encrypt = (hqq_advanced_supported_features() & HQQ_FEATURE_ENCRYPTION) != 0;

    for (size_t i = 0; i < sizeof(meetings) / sizeof(meetings[0]); i++) {
        bool is_about_keys = meetings[i].expected == HQQ_ERROR_AUTH;
        if ((can_encrypt || !is_about_keys) && !meet(&meetings[i]))
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
