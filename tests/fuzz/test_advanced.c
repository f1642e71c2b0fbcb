/*
 * The inputs of tests/fuzz/corpus/advanced, and what a seed makes of them: some bytes changed, put in, taken out, or
 * two of them joined. See advanced.h.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hqq/advanced.h>
#include <talloc.h>

#include "fuzz/advanced.h"
#include "support/heavy.h"

#define STALL_NS (10 * HEAVY_S)
#define INPUTS_MAX 256u
#define LONGEST 1024u
#define CORPUS HQQ_SOURCE_DIR "/tests/fuzz/corpus/advanced"

struct sample {
    size_t length;
    uint8_t bytes[LONGEST];
};

static struct sample corpus[INPUTS_MAX], current;
static size_t corpus_count;

static void dump(void *arg)
{
    (void)arg;
    fprintf(stderr, "input:");
    for (size_t i = 0; i < current.length; i++)
        fprintf(stderr, "%02x", current.bytes[i]);
    fputc('\n', stderr);
}

static void read_one(const char *name)
{
    char path[512];
    if (corpus_count == INPUTS_MAX)
        heavy_fail("too many inputs");
    snprintf(path, sizeof(path), "%s/%s", CORPUS, name);
    FILE *file = fopen(path, "rbe");
    if (!file)
        heavy_fail("%s", path);
    corpus[corpus_count].length = fread(corpus[corpus_count].bytes, 1, LONGEST, file);
    corpus_count++;
    fclose(file);
}

static int compare(const void *a, const void *b)
{
    const struct sample *left = a, *right = b;
    int order = memcmp(left->bytes, right->bytes, LONGEST);
    return order != 0 ? order : (left->length > right->length) - (left->length < right->length);
}

/* In an order that does not depend on the directory's. */
static void read_corpus(void)
{
    DIR *directory = opendir(CORPUS);
    const struct dirent *entry;
    if (!directory)
        heavy_fail("no " CORPUS);
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] != '.')
            read_one(entry->d_name);
    }
    closedir(directory);
    qsort(corpus, corpus_count, sizeof(corpus[0]), compare);
}

static void run(const struct sample *sample)
{
    current = *sample;
    fuzz_advanced(current.bytes, current.length);
    heavy_steps++;
}

static void mutate_once(struct sample *sample, struct heavy_random *random)
{
    size_t at = heavy_below(random, sample->length + 1);
    const struct sample *other = &corpus[heavy_below(random, corpus_count)];
    size_t count = 1 + heavy_below(random, 8);
    switch (heavy_below(random, 6)) {
    case 0: /* a bit */
        if (at < sample->length)
            sample->bytes[at] = (uint8_t)(sample->bytes[at] ^ 1u << heavy_below(random, 8));
        break;
    case 1: /* a byte, often one that stands for an edge */
        if (at < sample->length)
            sample->bytes[at] = (uint8_t)(heavy_one_in(random, 2) ? 255 - heavy_below(random, 16) : heavy_next(random));
        break;
    case 2: /* out */
        count = count < sample->length - at ? count : sample->length - at;
        memmove(sample->bytes + at, sample->bytes + at + count, sample->length - at - count);
        sample->length -= count;
        break;
    case 3: /* in */
        if (sample->length + count > LONGEST)
            break;
        memmove(sample->bytes + at + count, sample->bytes + at, sample->length - at);
        for (size_t i = 0; i < count; i++)
            sample->bytes[at + i] = (uint8_t)heavy_below(random, heavy_one_in(random, 2) ? 16 : 256);
        sample->length += count;
        break;
    case 4: /* the end of another */
        if (other->length > at) {
            memcpy(sample->bytes + at, other->bytes + at, other->length - at);
            sample->length = other->length;
        }
        break;
    default: /* other features */
        if (sample->length > 0)
            sample->bytes[0] = (uint8_t)heavy_next(random);
        break;
    }
}

static void run_mutations(uint64_t seed, uint64_t seconds)
{
    uint64_t end = hqq_clock_ns() + seconds * HEAVY_S;
    for (uint64_t i = 0; hqq_clock_ns() < end; i++) {
        struct heavy_random random = heavy_random(seed + i, 0);
        struct sample sample = corpus[heavy_below(&random, corpus_count)];
        heavy_name_mode("", seed + i);
        for (uint64_t count = 1 + heavy_below(&random, 6); count > 0; count--)
            mutate_once(&sample, &random);
        run(&sample);
    }
}

static void say(const char *what)
{
    const struct fuzz_figures *got = &fuzz_figures;
    heavy_say("%s %llu inputs, %llu packets; %llu messages, %llu pieces, %llu requests, %llu answers, %llu news; "
              "%llu negotiated, %llu failed, %llu auth",
              what, (unsigned long long)got->inputs, (unsigned long long)got->packets,
              (unsigned long long)got->messages, (unsigned long long)got->pieces, (unsigned long long)got->requests,
              (unsigned long long)got->answers, (unsigned long long)got->news, (unsigned long long)got->negotiated,
              (unsigned long long)got->failed, (unsigned long long)got->auth);
}

int main(int argc, char **argv)
{
    const struct heavy_options *options = heavy_start(argc, argv, 3);
    const struct fuzz_figures *got = &fuzz_figures;
    talloc_enable_null_tracking();
    heavy_on_failure(dump, NULL);
    heavy_watch_begin(&heavy_steps, STALL_NS);
    read_corpus();
    for (size_t i = 0; i < corpus_count; i++)
        run(&corpus[i]);
    say("corpus:");
    bool has_encryption = (hqq_advanced_supported_features() & HQQ_FEATURE_ENCRYPTION) != 0;
    if (got->messages == 0 || got->pieces == 0 || got->requests == 0 || got->answers == 0 || got->news == 0 ||
        got->negotiated == 0 || got->failed == 0 || (has_encryption && got->auth == 0))
        heavy_fail("the corpus does not reach all that it should");
    run_mutations(options->seed, options->seconds);
    heavy_watch_end();
    say("ok   ");
    talloc_disable_null_tracking();
    return 0;
}
