/*
 * What an input means to the fuzzing of an advanced link: features and state of a victim, then steps: packets that are put
 * into its ring, by a peer that keeps to nothing, and calls that the victim makes. Ends the process if what the victim
 * is given was never sent.
 */
#ifndef TESTS_FUZZ_ADVANCED_H
#define TESTS_FUZZ_ADVANCED_H

#include <stddef.h>
#include <stdint.h>

/* What the inputs of one process came to: a test that reached nothing would prove nothing. */
struct fuzz_figures {
    uint64_t inputs, packets;
    uint64_t messages, pieces, requests, answers; /* that the victim was given */
    uint64_t news;                                /* of messages that did not come */
    uint64_t auth;                                /* links that ended so */
    uint64_t negotiated, failed;                  /* of those that were negotiated by the input */
};
extern struct fuzz_figures fuzz_figures;

void fuzz_advanced(const uint8_t *data, size_t size);

/* The same for libFuzzer, which looks for inputs that reach more. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
