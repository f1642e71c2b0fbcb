/*
 * Offers that no honest process makes: whoever may reach the rendezvous can make them.
 */
#ifndef TESTS_HOSTILE_OFFERS_H
#define TESTS_HOSTILE_OFFERS_H

#include "hostile/scene.h"

/* How many kinds of bad offers there are, and one of them. */
size_t offer_kinds(void);
void offer_bad(const struct scene *scene, size_t kind);

/* A region as a peer would offer it, but for one word of its head: all words, all values. */
void offer_misshapen(const struct scene *scene);

/* A region that is right in everything, and whose challenge never comes. */
void offer_in_vain(const struct scene *scene);

/* Comes and goes so many times, with and without a word. */
void offer_crowd(const struct scene *scene, unsigned callers);

#endif
