/*
 * A server of sockets among bad peers. Modes: "words", "words_other" (at the other end), where a peer whose channel was opened by the rules writes every
 * bad value into every word of the region, one after the other; "storm", where it writes as fast as it can, at random;
 * "offers", where whoever reaches the rendezvous offers what is no channel; "keys", where whoever may send to the socket
 * sends descriptors that look like a challenge. All the while an honest client is served, and each of its datagrams is checked.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hqq/socket.h>

#include "hostile/keys.h"
#include "hostile/offers.h"
#include "hostile/scene.h"
#include "hostile/spoil.h"

#define LONGEST_SCENE_S 300
#define STORM_NS (60 * HEAVY_MS)
#define CALLERS 3000

static void tell(const struct scene *scene, const char *what, uint64_t count)
{
    const struct scene_figures *figures = scene->figures;
    heavy_say("ok    %s: %llu, the server made %llu rounds, its longest call took %llu us, the honest client got %llu "
              "answers",
              what, (unsigned long long)count, (unsigned long long)figures->steps,
              (unsigned long long)(figures->longest_ns / 1000), (unsigned long long)figures->served);
}

static struct scene begin(enum scene_wait wait, uint64_t seed)
{
    alarm(LONGEST_SCENE_S * HEAVY_SLOWNESS); /* for the attacker, whose library must not hang either */
    return scene_new(wait, seed);
}

/* ---- Channels -------------------------------------------------------------------------------------------------- */

static void reopen(struct spoiler *spoiler)
{
    spoil_close(spoiler);
    spoil_open(spoiler, spoiler->scene, spoiler->role);
}

/* Returns how many of them ended their channel. */
static uint64_t write_all_packets(struct spoiler *spoiler)
{
    uint64_t ended = 0, published = 0;
    for (size_t word = 0; word < SPOIL_PACKET_WORDS; word++) {
        for (size_t i = 0; i < spoil_values(); i++) {
            bool was_published = false;
            for (int tries = 0; tries < 5 && !was_published; tries++) {
                if (!spoil_is_open(spoiler))
                    reopen(spoiler);
                was_published = spoil_packet(spoiler, word, i, i % 2);
            }
            published += was_published;
            if (spoil_is_open(spoiler))
                continue;
            ended += was_published;
            reopen(spoiler);
        }
    }
    heavy_say("      %llu packets were published, %llu ended their channel", (unsigned long long)published,
              (unsigned long long)ended);
    return ended;
}

/* With a fresh channel now and then: many values leave one that is not used any more. */
static void write_all_words(struct spoiler *spoiler)
{
    for (size_t field = 0; field < spoil_fields(); field++) {
        for (size_t value = 0; value < spoil_values(); value++) {
            if (!spoil_is_open(spoiler))
                reopen(spoiler);
            spoil_word(spoiler, field, value);
        }
        if (field % 4 == 0)
            reopen(spoiler);
    }
    for (size_t number = 0; number < 2 * spoil_notify_words(); number++) {
        if (!spoil_is_open(spoiler))
            reopen(spoiler);
        spoil_notify(spoiler, number % 2, number / 2);
    }
}

static void write_all(enum spoil_role role, enum scene_wait wait, uint64_t seed)
{
    struct scene scene = begin(wait, seed);
    struct spoiler spoiler = {0};
    spoil_open(&spoiler, &scene, role);
    uint64_t ended = wait == SCENE_OWN ? write_all_packets(&spoiler) : 0; /* where nobody polls nothing is published */
    if (wait == SCENE_OWN && ended < spoil_values())
        heavy_fail("only %llu bad packets ended a channel", (unsigned long long)ended);
    write_all_words(&spoiler);
    spoil_close(&spoiler);
    tell(&scene, role == SPOIL_OFFERER ? "words, as offerer, channels" : "words, as the other, channels",
         spoiler.opened);
    scene_end(&scene);
}

static void run_words(const struct heavy_options *options)
{
    write_all(SPOIL_OFFERER, SCENE_OWN, options->seed);
}

static void run_words_other(const struct heavy_options *options)
{
    write_all(SPOIL_OTHER, SCENE_OWN, options->seed);
    write_all(SPOIL_OTHER, SCENE_FOREIGN, options->seed);
}

static void storm(enum spoil_role role, enum scene_wait wait, uint64_t seed, uint64_t duration_ns)
{
    struct scene scene = begin(wait, seed);
    struct spoiler spoiler = {0};
    uint64_t until = hqq_clock_ns() + duration_ns;
    do {
        spoil_open(&spoiler, &scene, role);
        spoil_storm(&spoiler, seed + spoiler.opened, STORM_NS);
        spoil_close(&spoiler);
    } while (hqq_clock_ns() < until);
    tell(&scene, role == SPOIL_OFFERER ? "storms, as offerer" : "storms, as the other", spoiler.opened);
    scene_end(&scene);
}

static void run_storm(const struct heavy_options *options)
{
    uint64_t each = options->seconds * HEAVY_S / 4;
    for (int i = 0; i < 4; i++)
        storm(i % 2 ? SPOIL_OTHER : SPOIL_OFFERER, i / 2 ? SCENE_FOREIGN : SCENE_OWN, options->seed, each);
}

/* ---- Strangers ------------------------------------------------------------------------------------------------- */

static void run_offers(const struct heavy_options *options)
{
    for (int wait = 0; wait < SCENE_WAITS; wait++) {
        struct scene scene = begin((enum scene_wait)wait, options->seed);
        for (size_t kind = 0; kind < offer_kinds(); kind++)
            offer_bad(&scene, kind);
        offer_misshapen(&scene);
        offer_crowd(&scene, CALLERS / SCENE_WAITS);
        tell(&scene, "offers, kinds", offer_kinds());
        scene_end(&scene);
    }
}

static void run_keys(const struct heavy_options *options)
{
    for (int wait = 0; wait < SCENE_WAITS; wait++) {
        struct scene scene = begin((enum scene_wait)wait, options->seed);
        uint64_t count = key_junk(&scene);
        count += key_replays(&scene);
        count += key_of_two_names(&scene);
        tell(&scene, "keys", count);
        scene_end(&scene);
    }
}

/* ---- Modes ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(const struct heavy_options *options);
    bool is_for_the_asking; /* takes longer */
} modes[] = {
    {"words", run_words, true},  {"words_other", run_words_other, true},
    {"storm", run_storm, false}, {"offers", run_offers, false},
    {"keys", run_keys, false},
};

int main(int argc, char **argv)
{
    setenv("HQQ_POLLING", "always", 1); /* rings are to be used whether it pays or not */
    const struct heavy_options *options = heavy_start(argc, argv, 2);
    bool found = false;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (options->mode ? strcmp(options->mode, modes[i].name) != 0 : modes[i].is_for_the_asking)
            continue;
        found = true;
        heavy_name_mode(modes[i].name, options->seed);
        modes[i].run(options);
    }
    if (!found)
        heavy_fail("no such mode");
    return 0;
}
