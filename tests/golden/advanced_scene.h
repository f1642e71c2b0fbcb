/*
 * The scenes of the advanced protocol: the steps that both ends take, in the features of the original alone. They are
 * those that the original implementation was photographed in.
 */
#ifndef TESTS_GOLDEN_ADVANCED_SCENE_H
#define TESTS_GOLDEN_ADVANCED_SCENE_H

#include <stddef.h>

#include "support/advanced.h"

#define ADVANCED_SCENE_COUNT 8
#define ADVANCED_SCENE_SIZE 64

struct advanced_scene {
    const char *name;
    void (*perform)(struct duo *duo);
};

extern const struct advanced_scene advanced_scenes[];
extern const size_t advanced_scene_count;

/* Both ends, open and not negotiated, with the original's features. */
struct duo advanced_scene_open(void);

#endif
