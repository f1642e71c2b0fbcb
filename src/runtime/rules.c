#include "runtime/rules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <hqq/error.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "platform/trace.h"
#include "runtime/glob.h"

#define RULES_MAX 512
#define TEXT_MAX 65536 /* bytes of the file, and of all globs of HQQ_PATHS */
#define SPIN_US_MAX 1000000
#define LINK_AFTER_MAX 1000000000
#define MEMORY_MAX 1048576

struct entry {
    const char *glob; /* without the @ */
    enum hqq_name_kind kind;
    struct hqq_rule rule;
};

static struct {
    struct entry entries[RULES_MAX];
    size_t count;
    char text[TEXT_MAX]; /* what the globs point into */
    size_t text_used;
} rules;

void hqq_rules_clear(void)
{
    rules.count = rules.text_used = 0;
}

size_t hqq_rules_count(void)
{
    return rules.count;
}

/* ---- Values ---------------------------------------------------------------------------------------------------- */

/* Where a setting stands, for what is said about it: a variable, or a file and a line. */
struct origin {
    const char *name;
    unsigned line; /* 0: a variable */
};

__attribute__((format(printf, 2, 3))) static void complain(const struct origin *origin, const char *format, ...)
{
    char reason[400];
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is just above */
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    if (origin->line > 0)
        hqq_complain("%.400s:%u: %s", origin->name, origin->line, reason);
    else
        hqq_complain("%s: %s", origin->name, reason);
}

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (*text == '\0')
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || number > max)
            return false;
        number = number * 10 + (uint64_t)(*text - '0');
    }
    if (number < min || number > max)
        return false;
    *ret_number = number;
    return true;
}

/* A setting of a rule: its name, what it may be, and where it goes. */
static bool set_slots(struct hqq_rule *rule, const char *value)
{
    uint64_t number;
    if (!parse_number(value, 2, 65536, &number) || (number & (number - 1)) != 0)
        return false;
    rule->slots = (uint32_t)number;
    return true;
}

static bool set_slot_size(struct hqq_rule *rule, const char *value)
{
    uint64_t number;
    if (!parse_number(value, 64, 65536, &number) || number % 8 != 0)
        return false;
    rule->slot_size = (uint32_t)number;
    return true;
}

static bool set_spin(struct hqq_rule *rule, const char *value)
{
    uint64_t number;
    if (!parse_number(value, 0, SPIN_US_MAX, &number))
        return false;
    rule->spin_ns = number * HQQ_NS_PER_US;
    return true;
}

static bool set_link_after(struct hqq_rule *rule, const char *value)
{
    uint64_t number;
    if (!parse_number(value, 0, LINK_AFTER_MAX, &number))
        return false;
    rule->link_after = (uint32_t)number;
    return true;
}

static bool set_memory(struct hqq_rule *rule, const char *value)
{
    uint64_t number;
    if (!parse_number(value, 1, MEMORY_MAX, &number))
        return false;
    rule->memory = number << 20;
    return true;
}

static bool set_peers(struct hqq_rule *rule, const char *value)
{
    bool is_any = strcmp(value, "any") == 0;
    if (!is_any && strcmp(value, "same-user") != 0)
        return false;
    rule->peers = is_any ? HQQ_PEERS_ANY : HQQ_PEERS_SAME_USER;
    return true;
}

static bool set_rendezvous(struct hqq_rule *rule, const char *value)
{
    bool is_file = strcmp(value, "file") == 0;
    if (!is_file && strcmp(value, "abstract") != 0)
        return false;
    rule->rendezvous = is_file ? HQQ_RENDEZVOUS_FILE : HQQ_RENDEZVOUS_ABSTRACT;
    return true;
}

static bool set_polling(struct hqq_rule *rule, const char *value)
{
    static const char *const names[] = {"auto", "always", "never"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0) {
            rule->polling = (enum hqq_polling)i;
            return true;
        }
    }
    return false;
}

struct setting {
    const char *key;
    bool (*set)(struct hqq_rule *rule, const char *value); /* false, and nothing is set, for a bad value */
    const char *wanted;
};

static const struct setting settings[] = {
    {"slots", set_slots, "a power of two from 2 to 65536"},
    {"slot-size", set_slot_size, "a multiple of 8 from 64 to 65536"},
    {"spin-us", set_spin, "microseconds from 0 to 1000000"},
    {"link-after", set_link_after, "datagrams from 0 to 1000000000"},
    {"memory", set_memory, "mebibytes from 1 to 1048576"},
    {"peers", set_peers, "same-user or any"},
    {"rendezvous", set_rendezvous, "abstract or file"},
    {"polling", set_polling, "auto, always or never"},
};

static const struct setting *find_setting(const char *key)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        if (strcmp(settings[i].key, key) == 0)
            return &settings[i];
    }
    return NULL;
}

static void apply(const struct origin *origin, const struct setting *setting, struct hqq_rule *rule, const char *value)
{
    if (setting->set(rule, value))
        return;
    if (origin->line > 0)
        complain(origin, "%s: bad value \"%.100s\": not %s", setting->key, value, setting->wanted);
    else
        complain(origin, "bad value \"%.100s\": not %s", value, setting->wanted);
}

void hqq_rules_set(const char *variable, const char *key, const char *value, struct hqq_rule *rule)
{
    const struct origin origin = {.name = variable};
    apply(&origin, find_setting(key), rule, value);
}

/* ---- Rules ----------------------------------------------------------------------------------------------------- */

/* glob lies in rules.text. False, with a complaint, if it can't be used. */
static bool add_rule(const struct origin *origin, const char *glob, const struct hqq_rule *rule)
{
    struct entry entry = {.glob = glob, .kind = HQQ_NAME_PATH, .rule = *rule};
    if (strcmp(glob, "*") == 0) {
        entry.kind = HQQ_NAME_ANY;
    } else if (glob[0] == '@') {
        entry.kind = HQQ_NAME_ABSTRACT;
        entry.glob++;
    }
    const char *flaw = hqq_glob_flaw(entry.glob);
    if (*entry.glob == '\0')
        flaw = "it is empty";
    if (flaw) {
        complain(origin, "bad glob \"%.150s\": %s", glob, flaw);
        return false;
    }
    if (rules.count == RULES_MAX) {
        complain(origin, "bad glob \"%.150s\": there are %d rules already", glob, RULES_MAX);
        return false;
    }
    rules.entries[rules.count++] = entry;
    return true;
}

/* Splits text at the first byte of ends that no backslash precedes; returns what follows, NULL if nothing does. */
static char *split(char *text, const char *ends)
{
    for (; *text; text++) {
        if (*text == '\\' && text[1] != '\0') {
            text++;
        } else if (strchr(ends, *text)) {
            *text = '\0';
            return text + 1;
        }
    }
    return NULL;
}

/* HQQ_PATHS. */
void hqq_rules_load_paths(const char *paths, const struct hqq_rule *rule)
{
    const struct origin origin = {.name = "HQQ_PATHS"};
    size_t size = strlen(paths) + 1;
    if (size > TEXT_MAX - rules.text_used) {
        complain(&origin, "it is longer than the %zu bytes there are: ignored", TEXT_MAX - rules.text_used);
        return;
    }
    char *glob = rules.text + rules.text_used;
    memcpy(glob, paths, size);
    rules.text_used += size;
    while (glob) {
        char *rest = split(glob, ":");
        if (*glob)
            add_rule(&origin, glob, rule);
        glob = rest;
    }
}

void hqq_rules_add_all(const struct hqq_rule *rule)
{
    if (rules.count < RULES_MAX)
        rules.entries[rules.count++] = (struct entry){.kind = HQQ_NAME_NONE, .rule = *rule};
}

/* ---- The file -------------------------------------------------------------------------------------------------- */

/* The next word of a line, which begins after blanks; NULL at the line's end. */
static char *take_word(char **rest)
{
    char *word = *rest ? *rest + strspn(*rest, " \t\r") : NULL;
    if (!word || *word == '\0' || *word == '#')
        return NULL;
    *rest = split(word, " \t\r");
    return word;
}

static void load_line(const struct origin *origin, char *line, const struct hqq_rule *usual)
{
    struct hqq_rule rule = *usual;
    char *word = take_word(&line);
    if (!word)
        return;
    if (strcmp(word, "path") != 0) {
        complain(origin, "unknown word \"%.100s\": a rule begins with \"path\"", word);
        return;
    }
    char *glob = take_word(&line);
    if (!glob) {
        complain(origin, "\"path\" without a glob");
        return;
    }
    /* One line of complaint a setting: the rule stands, with that setting at its default. */
    while ((word = take_word(&line)) != NULL) {
        char *value = strchr(word, '=');
        if (value)
            *value++ = '\0';
        const struct setting *setting = find_setting(word);
        if (!setting)
            complain(origin, "unknown setting \"%.100s\"", word);
        else if (!value)
            complain(origin, "%s: no value: it wants %s", word, setting->wanted);
        else
            apply(origin, setting, &rule, value);
    }
    add_rule(origin, glob, &rule);
}

/* Reads all of it to rules.text, with a NUL behind. 0 or -errno; -EFBIG if it does not fit. */
static int read_text(const char *path)
{
    struct stat stat;
    int fd = hqq_sys.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0)
        return fd;
    int result = hqq_sys.fstat(fd, &stat);
    if (result == 0 && S_ISDIR(stat.st_mode))
        result = -EISDIR;
    else if (result == 0 && !S_ISREG(stat.st_mode) && !S_ISCHR(stat.st_mode))
        result = -EINVAL;
    size_t size = 0;
    while (result == 0) {
        ssize_t got = hqq_sys.read(fd, rules.text + size, TEXT_MAX - size);
        if (got == -EINTR)
            continue;
        if (got <= 0) {
            result = (int)got;
            break;
        }
        size += (size_t)got;
        if (size == TEXT_MAX)
            result = -EFBIG;
    }
    hqq_sys.close(fd);
    if (result == 0) {
        rules.text[size] = '\0';
        rules.text_used = size + 1;
    }
    return result;
}

void hqq_rules_load_file(const char *path, bool must_exist, const struct hqq_rule *usual)
{
    int result = read_text(path);
    if (!must_exist && (result == -ENOENT || result == -ENOTDIR))
        return;
    if (result == -EFBIG) {
        hqq_complain("%.200s: it is longer than %d bytes: ignored", path, TEXT_MAX - 1);
    } else if (result != 0) {
        hqq_complain("%.200s: cannot be read: %s", path, hqq_strerror(result));
    } else if (memchr(rules.text, '\0', rules.text_used - 1)) {
        hqq_complain("%.200s: it is no text: ignored", path);
    } else {
        struct origin origin = {.name = path, .line = 0};
        for (char *line = rules.text, *next; line; line = next) {
            next = strchr(line, '\n');
            if (next)
                *next++ = '\0';
            origin.line++;
            load_line(&origin, line, usual);
        }
    }
}

/* ---- Matching -------------------------------------------------------------------------------------------------- */

const struct hqq_rule *hqq_rules_match(enum hqq_name_kind kind, const char *name, size_t length, const char *other,
                                       size_t other_length)
{
    for (size_t i = 0; i < rules.count; i++) {
        const struct entry *entry = &rules.entries[i];
        bool matches = entry->kind == HQQ_NAME_NONE || (entry->kind == HQQ_NAME_ANY && kind != HQQ_NAME_NONE);
        if (!matches && entry->kind == kind)
            matches = hqq_glob_matches(entry->glob, name, length) ||
                      (other_length > 0 && hqq_glob_matches(entry->glob, other, other_length));
        if (matches)
            return &entry->rule;
    }
    return NULL;
}
