/*
 * Images of regions that the original implementation wrote. They stand in $HQQ_ABI_DIR or in ../shared/abi beside the
 * checkout.
 */
#ifndef TESTS_GOLDEN_IMAGE_H
#define TESTS_GOLDEN_IMAGE_H

#include <stdbool.h>

#include "support/region.h"

#define IMAGE_PAGE 4096
#define IMAGE_LENGTH 20480 /* of all of them */

/* Whether there are any, for pages of this system's size; says so if not. */
bool image_is_there(void);

/* A copy of an image, in memory that a link can be opened in; asserts. */
struct region image_load(const char *name);

#endif
