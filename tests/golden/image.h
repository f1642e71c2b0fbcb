/*
 * Images of regions that the original implementation wrote, for pages of one size. They stand in this folder, or in
 * $HQQ_ABI_DIR. A missing image is a failure.
 */
#ifndef TESTS_GOLDEN_IMAGE_H
#define TESTS_GOLDEN_IMAGE_H

#include <stdbool.h>

#include "support/region.h"

#define IMAGE_PAGE 4096
#define IMAGE_LENGTH 20480 /* of all of them */

/* Whether this system's pages are those of the images; says so if not. */
bool image_fits_page(void);

/* A copy of an image, in memory that a link can be opened in; asserts. */
struct region image_load(const char *name);

#endif
