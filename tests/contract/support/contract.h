/*
 * What every contract test stands on: its variant, a scratch directory, a watchdog, and descriptors that are closed
 * when it ends, however it ends. One test at a time, from the main thread.
 *
 * A test is plain socket code. Which implementation answers is decided by how the program was built and started: see
 * tests/contract/CMakeLists.txt.
 */
#ifndef TESTS_CONTRACT_SUPPORT_CONTRACT_H
#define TESTS_CONTRACT_SUPPORT_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>

#include "support/check.h"
#include "support/remote.h"

/* How the two sockets of a pair (support/pair.h) stand to each other. */
enum contract_variant {
    CONTRACT_ALONE, /* the test has no pair */
    CONTRACT_FRESH, /* nothing went between them yet */
    CONTRACT_WARM,  /* datagrams went to and fro: where there is a faster way than the kernel's, it is open */
    CONTRACT_AWAY,  /* as WARM, and the far socket is another process's */
    CONTRACT_PLAIN, /* as AWAY, and that process makes plain calls of the kernel */
};

struct contract_case {
    const char *name;
    enum contract_variant variant;
};

#define CONTRACT_CASE(f, text, variant)                                                                                \
    {                                                                                                                  \
        .name = #f text, .test_func = f, .setup_func = contract_set_up, .teardown_func = contract_tear_down,           \
        .initial_state = &(struct contract_case)                                                                       \
        {                                                                                                              \
#f text, variant                                                                                           \
        }                                                                                                              \
    }

/* A test once, and in the variants of its pair. */
#define ALONE(f) CONTRACT_CASE(f, "", CONTRACT_ALONE)
#define FRESH(f) CONTRACT_CASE(f, " (fresh)", CONTRACT_FRESH)
#define WARM(f) CONTRACT_CASE(f, " (warm)", CONTRACT_WARM)
#define AWAY(f) CONTRACT_CASE(f, " (away)", CONTRACT_AWAY)
#define PLAIN(f) CONTRACT_CASE(f, " (plain)", CONTRACT_PLAIN)
#define BOTH(f) FRESH(f), WARM(f)
#define ELSEWHERE(f) AWAY(f), PLAIN(f)
#define EVERY(f) FRESH(f), WARM(f), AWAY(f), PLAIN(f)

/* The tests of one file; a program is a list of these. */
struct contract_suite {
    const char *name;
    const struct CMUnitTest *tests;
    size_t count;
};

/* tests: an array of the file. */
#define CONTRACT_SUITE(suite, tests)                                                                                   \
    const struct contract_suite suite = {#suite, tests, sizeof(tests) / sizeof((tests)[0])}

/* For main(): runs the suites; an argument is a pattern of test names to run alone. Returns the number of failures. */
int contract_run(const struct contract_suite *const *suites, size_t count, int argc, char **argv);

/* The descriptor, now closed at the end of the test; a failure of the test if it is none. */
int own(int fd);

/* Closes an own descriptor now. */
void let_go(int fd);

/* The descriptor is closed, or somebody else's, by now. */
void disown(int fd);

/* The test's empty directory, its absolute path. Deleted afterwards, with all in it. */
const char *contract_folder(void);

enum contract_variant contract_variant(void);

/* True where what is tested may open links; plain kernel tests have none. */
bool contract_may_have_links(void);

/* With links, a sender notices within a millisecond that a path leads elsewhere (README, "Limits"); plain kernel tests go
 * on at once. */
void contract_let_names_settle(void);

/* True, and says so, where links may be open and the README names this as a limit: the rest of the test is not for us. */
bool contract_is_limit(const char *limit);

/* The same where calls were renamed, and nothing sees what was not. */
bool contract_is_limit_of_renaming(const char *limit);

/* The test's other process, a plain one in PLAIN tests; started when it is first asked for: before the first socket is
 * made. The test is skipped if no plain one can be had. */
struct remote *contract_remote(void);

/* One more. */
struct remote *contract_another_remote(enum remote_kind kind);

/* Kills one of them now, and waits for its end. */
void contract_end_remote(struct remote *remote);

/* Where the far socket of a pair belongs: NULL, this process, unless it is an AWAY or PLAIN test. */
struct remote *contract_far(void);

/* For tests of what a sanitizer's own interceptors do not bear: `if (CONTRACT_THREAD_SANITIZER) skip();`. */
#ifdef __SANITIZE_ADDRESS__
#define CONTRACT_ADDRESS_SANITIZER true
#else
#define CONTRACT_ADDRESS_SANITIZER false
#endif
#ifdef __SANITIZE_THREAD__
#define CONTRACT_THREAD_SANITIZER true
#else
#define CONTRACT_THREAD_SANITIZER false
#endif

int contract_set_up(void **state);
int contract_tear_down(void **state);

#endif
