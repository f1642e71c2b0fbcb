/*
 * What is configured: which sockets HQQ is to move, and how. Read once, in the preload's constructor or at the first
 * hqq_ call; constant from then on, so that every thread may look. Never fails the program: a bad setting is one line
 * on stderr, and what it would have set stays as it was.
 */
#ifndef HQQ_RUNTIME_CONFIG_H
#define HQQ_RUNTIME_CONFIG_H

#include <stdbool.h>
#include <sys/socket.h>

#include "runtime/rule.h"

/* Reads environment and file. is_preload: HQQ_PATHS unset means nothing is moved; else it means every path, with
 * link_after 0. Called once, before there are threads or under a lock of the caller's. */
void hqq_config_load(bool is_preload);

/* True unless HQQ_DISABLE is set, or nothing can match. */
bool hqq_config_is_enabled(void);

/* True in the preload: every wait of the app comes through our calls, unless something says otherwise. */
bool hqq_config_is_preload(void);

/* The first rule for an address, or NULL: not one of AF_UNIX, or not configured. An unnamed address matches only where
 * all do (hqq_config_load(false)). A relative path is judged as it stands and, as long as that fits, made absolute by
 * the working directory. Async-signal-safe. */
const struct hqq_rule *hqq_config_match(const struct sockaddr *address, socklen_t length);

/* What holds for a socket that no rule is about, but that is looked after for another reason. Never NULL. */
const struct hqq_rule *hqq_config_usual(void);

/* HQQ_REPORT: the folder where the counters of each process are to lie in a file named by its pid; NULL if unset. */
const char *hqq_config_report_folder(void);

#endif
