/* Steps as lines of text, and answers. */
#include "differential/differential.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct step_text step_texts[STEP_KINDS] = {
#define X(name, ...) [STEP_##name] = {#name, {__VA_ARGS__}},
    STEPS(X)
#undef X
};

/* "A sendto slot=0 length=16 flags=64 name=1", with "asleep" behind. */
void step_print(const struct step *step, char *text, size_t bytes)
{
    const struct step_text *what = &step_texts[step->kind];
    size_t at = (size_t)snprintf(text, bytes, "%c %s", 'A' + step->actor, what->name);
    for (int i = 0; i < ARGS && what->arg[i] && at < bytes; i++)
        at += (size_t)snprintf(text + at, bytes - at, " %s=%d", what->arg[i], step->arg[i]);
    if (at < bytes && step->is_asleep)
        snprintf(text + at, bytes - at, " asleep");
}

bool step_parse(const char *text, struct step *ret_step)
{
    char name[32], actor;
    struct step step = {0};
    if (sscanf(text, " %c %31s", &actor, name) != 2 || actor < 'A' || actor >= 'A' + ACTORS)
        return false;
    step.actor = (uint8_t)(actor - 'A');
    while (step.kind < STEP_KINDS && strcmp(step_texts[step.kind].name, name) != 0)
        step.kind++;
    if (step.kind == STEP_KINDS)
        return false;
    const char *at = text;
    for (int i = 0; i < ARGS && step_texts[step.kind].arg[i]; i++) {
        at = strchr(at, '=');
        if (!at)
            return false;
        step.arg[i] = (int32_t)strtol(++at, NULL, 0);
    }
    step.is_asleep = strstr(text, " asleep") != NULL;
    *ret_step = step;
    return true;
}

void result_print(const struct step *step, const struct result *result, char *text, size_t bytes)
{
    if (!result) {
        snprintf(text, bytes, "no answer: it has died or hangs");
        return;
    }
    size_t at = (size_t)snprintf(text, bytes, "%lld", (long long)result->value);
    if (result->error)
        at += (size_t)snprintf(text + at, bytes - at, " %s", strerrorname_np(result->error));
    if (result->name[0])
        at += (size_t)snprintf(text + at, bytes - at, " name %s (%d)", result->name, result->name_length);
    if (result->flags)
        at += (size_t)snprintf(text + at, bytes - at, " flags 0x%x", result->flags);
    if (result->hash && step->kind != STEP_drain)
        at += (size_t)snprintf(text + at, bytes - at, " datagram of step %u, hash %04x", result->stamp & 0xffffff,
                               (unsigned)(result->hash & 0xffff));
    if (result->count)
        at += (size_t)snprintf(text + at, bytes - at, " count %d", result->count);
    int last = 16;
    while (last > 0 && result->extra[last - 1] == 0)
        last--;
    for (int i = 0; i < last && at < bytes; i++)
        at += (size_t)snprintf(text + at, bytes - at, "%s%d", i == 0 ? " [" : " ", result->extra[i]);
    if (last > 0 && at < bytes)
        at += (size_t)snprintf(text + at, bytes - at, "]");
    if (result->signals && at < bytes)
        at += (size_t)snprintf(text + at, bytes - at, " SIGPIPE");
    if (result->is_early && at < bytes)
        snprintf(text + at, bytes - at, " too early");
}
