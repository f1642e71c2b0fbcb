/*
 * The configured rules: globs of socket names and what holds for them, in memory of fixed size, so that loading has
 * nothing to run out of and matching allocates nothing. What can't be used is one line on stderr each (hqq_complain),
 * and left out.
 *
 * The file has one rule a line; the first that matches counts:
 *
 *     # comment
 *     path GLOB [slots=N] [slot-size=N] [spin-us=N] [link-after=N] [memory=N] [peers=same-user|any]
 *         [rendezvous=abstract|file] [polling=auto|always|never]
 *
 * Globs are those of runtime/glob.h, a backslash also before a blank (in the file) or a colon (in HQQ_PATHS) that would
 * end one. @NAME is an abstract name; * alone is every path and every abstract name.
 */
#ifndef HQQ_RUNTIME_RULES_H
#define HQQ_RUNTIME_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/rule.h"

/* What a name is, and what a rule is about. */
enum hqq_name_kind {
    HQQ_NAME_PATH,
    HQQ_NAME_ABSTRACT,
    HQQ_NAME_ANY,  /* a rule for both */
    HQQ_NAME_NONE, /* an unnamed address; a rule for all addresses */
};

void hqq_rules_clear(void);
size_t hqq_rules_count(void);

/* Each rule begins as usual; what a line says is put over it. A missing file is no error unless it must_exist. Once,
 * and before hqq_rules_load_paths(): clears the text that globs point into. */
void hqq_rules_load_file(const char *path, bool must_exist, const struct hqq_rule *usual);

/* HQQ_PATHS: globs with colons between them. */
void hqq_rules_load_paths(const char *paths, const struct hqq_rule *rule);

/* A rule for all addresses. */
void hqq_rules_add_all(const struct hqq_rule *rule);

/* One setting, from an environment variable; key as in the file. */
void hqq_rules_set(const char *variable, const char *key, const char *value, struct hqq_rule *rule);

/* The first rule for a name, which may also go by another (length 0: it does not). Async-signal-safe. */
const struct hqq_rule *hqq_rules_match(enum hqq_name_kind kind, const char *name, size_t length, const char *other,
                                       size_t other_length);

#endif
