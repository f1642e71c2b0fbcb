#include "runtime/glob.h"

/* One member of a set, or of the glob itself, where a backslash may precede it. Never beyond the NUL. */
static unsigned char take_byte(const char **at)
{
    if (**at == '\\' && (*at)[1] != '\0')
        (*at)++;
    unsigned char byte = (unsigned char)**at;
    if (byte != '\0')
        (*at)++;
    return byte;
}

/* at is behind the [. NULL if the set has no end, else what is behind its ]. */
static const char *match_set(const char *at, unsigned char byte, bool *ret_matches)
{
    bool inverted = *at == '!' || *at == '^', found = false;
    if (inverted)
        at++;
    bool first = true;
    while (*at != ']' || first) {
        if (*at == '\0')
            return NULL;
        first = false;
        unsigned char low = take_byte(&at), high = low;
        if (at[0] == '-' && at[1] != ']' && at[1] != '\0') {
            at++;
            high = take_byte(&at);
        }
        found |= low <= byte && byte <= high;
    }
    *ret_matches = found != inverted;
    return at + 1;
}

/* One byte against what stands at the head of the glob, which is no star; moves behind that if it matches. */
static bool match_one(const char **glob, unsigned char byte)
{
    const char *at = *glob;
    bool matches;
    if (*at == '\0')
        return false;
    if (*at == '?') {
        at++;
        matches = true;
    } else if (*at == '[') {
        at = match_set(at + 1, byte, &matches);
        if (!at)
            return false;
    } else {
        matches = take_byte(&at) == byte;
    }
    if (matches)
        *glob = at;
    return matches;
}

/* Only the last star seen ever needs another try: what an earlier one could take, it can take too. */
bool hqq_glob_matches(const char *glob, const char *text, size_t length)
{
    const char *end = text + length, *star = NULL, *star_text = NULL;
    while (text < end) {
        if (*glob == '*') {
            star = ++glob;
            star_text = text;
        } else if (match_one(&glob, (unsigned char)*text)) {
            text++;
        } else if (star) {
            glob = star;
            text = ++star_text;
        } else {
            return false;
        }
    }
    while (*glob == '*')
        glob++;
    return *glob == '\0';
}

const char *hqq_glob_flaw(const char *glob)
{
    while (*glob) {
        bool ignored;
        if (*glob == '[') {
            glob = match_set(glob + 1, 0, &ignored);
            if (!glob)
                return "a set has no ]";
        } else if (*glob == '\\' && glob[1] == '\0') {
            return "it ends in a backslash";
        } else {
            take_byte(&glob);
        }
    }
    return NULL;
}
