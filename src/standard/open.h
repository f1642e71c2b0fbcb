/* From memory to a link: shared by the ways to get at memory (link memory given, memfd, named). */
#ifndef HQQ_STANDARD_OPEN_H
#define HQQ_STANDARD_OPEN_H

#include <stdbool.h>

#include <hqq/link.h>

#include "layout/layout.h"
#include "platform/shm.h"

/* Fills in what is 0 of a configuration that says what it wants of a new region, and checks it. config may be NULL. */
int hqq_config_complete(const struct hqq_link_config *config, struct hqq_link_config *ret_config,
                        struct hqq_layout *ret_layout);

/* The same where the region exists: buffer_count and buffer_size may stay 0. */
int hqq_config_complete_attaching(const struct hqq_link_config *config, struct hqq_link_config *ret_config);

struct hqq_open {
    struct hqq_link_config config; /* complete */
    struct hqq_mapping mapping;
    bool owns_mapping; /* unmap it at close */
    bool must_exist;   /* wait for whoever makes the region, never make it */
    bool is_fresh;     /* new from the kernel: all zero, nobody else has it */
    const char *name;  /* or "" */
    uint64_t deadline_ns;
};

/* Agrees with the other end on the region, claims an end, and makes the link. On failure the mapping is still the
 * caller's. */
int hqq_link_build(const struct hqq_open *open, struct hqq_link **ret_link);

#endif
