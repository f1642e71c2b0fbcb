/*
 * Settings from the environment, read once; what they say of rules, and the file of rules, is for runtime/rules.h.
 * Never changes the environment, never fails.
 */
#include "runtime/config.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/trace.h"
#include "runtime/rules.h"

#ifndef HQQ_SYSCONFDIR
#define HQQ_SYSCONFDIR "/etc"
#endif

#define DEFAULT_FILE HQQ_SYSCONFDIR "/hqq.conf"

static const struct hqq_rule defaults = {
    .slots = 256,
    .slot_size = 2048,
    .spin_ns = 50 * HQQ_NS_PER_US,
    .link_after = 4,
    .peers = HQQ_PEERS_SAME_USER,
    .rendezvous = HQQ_RENDEZVOUS_ABSTRACT,
    .polling = HQQ_POLLING_AUTO,
};

/* The same as the environment changed it. */
static struct hqq_rule usual;

static char report_folder[PATH_MAX]; /* empty: none */
static bool is_enabled;
static bool is_for_preload;

/* ---- The environment ------------------------------------------------------------------------------------------- */

/* A program with more rights than its caller takes no settings from it: they name files. */
static const char *setting_of(const char *name)
{
    const char *value = secure_getenv(name);
    return value && *value ? value : NULL;
}

static bool is_known(const char *name, size_t length)
{
    static const char *const known[] = {
        "HQQ_PATHS",   "HQQ_LINK_AFTER",
        "HQQ_SPIN_US", "HQQ_DISABLE",
        "HQQ_LOG",     "HQQ_REPORT",
        "HQQ_POLLING", "HQQ_MEMORY",
        "HQQ_CONFIG",  "HQQ_PRELOAD_LIBRARY",      /* hqq-run's */
        "HQQ_ABI_DIR", "HQQ_CONTRACT_EXPECT_RING", /* tests' */
    };
    static const char tests[] = "HQQ_TEST_";
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strlen(known[i]) == length && memcmp(name, known[i], length) == 0)
            return true;
    }
    return strncmp(name, tests, sizeof(tests) - 1) == 0;
}

static void report_unknown(void)
{
    for (char **at = environ; at && *at; at++) {
        if (strncmp(*at, "HQQ_", 4) != 0)
            continue;
        size_t length = strcspn(*at, "=");
        if (!is_known(*at, length))
            hqq_complain("%.*s: unknown setting", length < 100 ? (int)length : 100, *at);
    }
}

/* Whoever sets it wants it off, however that is spelled. */
static bool is_disabled(void)
{
    static const char *const no[] = {"0", "no", "false", "off"};
    static const char *const yes[] = {"1", "yes", "true", "on"};
    const char *value = setting_of("HQQ_DISABLE");
    if (!value)
        return false;
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(value, no[i]) == 0)
            return false;
        if (strcmp(value, yes[i]) == 0)
            return true;
    }
    hqq_complain("HQQ_DISABLE: bad value \"%.100s\": not 0 or 1; taken as 1", value);
    return true;
}

static void load_log_level(void)
{
    enum hqq_log_level level;
    const char *value = setting_of("HQQ_LOG");
    if (!value)
        return;
    if (hqq_log_level_parse(value, &level))
        hqq_log_set_level(level);
    else
        hqq_complain("HQQ_LOG: bad value \"%.100s\": not off, error, warn, info or debug", value);
}

static void load_report_folder(void)
{
    const char *folder = setting_of("HQQ_REPORT");
    report_folder[0] = '\0';
    if (folder && strlen(folder) >= sizeof(report_folder))
        hqq_complain("HQQ_REPORT: bad value \"%.100s...\": too long", folder);
    else if (folder)
        memcpy(report_folder, folder, strlen(folder) + 1);
}

static void load_variable(const char *name, const char *key, struct hqq_rule *rule)
{
    const char *value = setting_of(name);
    if (value)
        hqq_rules_set(name, key, value, rule);
}

static void load_rules(bool is_preload)
{
    usual = defaults;
    if (!is_preload)
        usual.link_after = 0;
    load_variable("HQQ_SPIN_US", "spin-us", &usual);
    load_variable("HQQ_LINK_AFTER", "link-after", &usual);
    load_variable("HQQ_POLLING", "polling", &usual);
    load_variable("HQQ_MEMORY", "memory", &usual);

    const char *file = setting_of("HQQ_CONFIG");
    hqq_rules_load_file(file ? file : DEFAULT_FILE, file != NULL, &usual);

    const char *paths = secure_getenv("HQQ_PATHS");
    if (paths)
        hqq_rules_load_paths(paths, &usual);
    else if (!is_preload)
        hqq_rules_add_all(&usual);
}

void hqq_config_load(bool is_preload)
{
    int saved = errno;
    is_enabled = false;
    is_for_preload = is_preload;
    hqq_rules_clear();
    load_log_level();
    report_unknown();
    load_report_folder();
    bool disabled = is_disabled();
    load_rules(is_preload);
    is_enabled = !disabled && hqq_rules_count() > 0;
    if (!is_enabled)
        hqq_log(HQQ_LOG_INFO, "nothing is moved: %s", disabled ? "HQQ_DISABLE is set" : "no path is configured");
    errno = saved;
}

bool hqq_config_is_enabled(void)
{
    return is_enabled;
}

bool hqq_config_is_preload(void)
{
    return is_for_preload;
}

const struct hqq_rule *hqq_config_usual(void)
{
    return &usual;
}

const char *hqq_config_report_folder(void)
{
    return report_folder[0] ? report_folder : NULL;
}

/* ---- Addresses ------------------------------------------------------------------------------------------------- */

#define ABSOLUTE_MAX 896 /* in a frame of 1 KiB */

/* An address, as rules look at it. */
struct subject {
    enum hqq_name_kind kind;
    const char *name; /* without an abstract one's leading NUL */
    size_t length;
    size_t absolute_length; /* 0: there is no absolute form, or it is the same */
    char absolute[ABSOLUTE_MAX];
};

/* The system call, as getcwd() may allocate. A folder out of reach, "(unreachable)...", is no use. */
static void make_absolute(struct subject *subject)
{
    int saved = errno;
    const char *name = subject->name;
    size_t length = subject->length;
    while (length > 2 && name[0] == '.' && name[1] == '/') {
        name += 2;
        length -= 2;
    }
    long size = syscall(SYS_getcwd, subject->absolute, ABSOLUTE_MAX);
    errno = saved;
    if (size < 2 || subject->absolute[0] != '/')
        return;
    size_t end = (size_t)size - 1; /* of the folder; the NUL is counted */
    if (end > 1)
        subject->absolute[end++] = '/';
    if (length > ABSOLUTE_MAX - end)
        return;
    memcpy(subject->absolute + end, name, length);
    subject->absolute_length = end + length;
}

/* False for what the kernel would refuse, too. */
static bool read_address(const struct sockaddr *address, socklen_t length, struct subject *subject)
{
    const size_t before = offsetof(struct sockaddr_un, sun_path);
    if (!address || length < before || length > sizeof(struct sockaddr_un) || address->sa_family != AF_UNIX)
        return false;
    subject->name = (const char *)address + before;
    subject->length = length - before;
    subject->absolute_length = 0;
    if (subject->length == 0) {
        subject->kind = HQQ_NAME_NONE;
    } else if (subject->name[0] == '\0') {
        subject->kind = HQQ_NAME_ABSTRACT;
        subject->name++;
        subject->length--;
    } else {
        subject->kind = HQQ_NAME_PATH;
        subject->length = strnlen(subject->name, subject->length);
        if (subject->name[0] != '/')
            make_absolute(subject);
    }
    return true;
}

const struct hqq_rule *hqq_config_match(const struct sockaddr *address, socklen_t length)
{
    struct subject subject;
    if (!is_enabled || !read_address(address, length, &subject))
        return NULL;
    return hqq_rules_match(subject.kind, subject.name, subject.length, subject.absolute, subject.absolute_length);
}
