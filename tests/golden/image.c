#include "golden/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "layout/layout.h"

/* Another folder can be named, to look at images that are not these. */
static const char *folder(void)
{
    const char *given = getenv("HQQ_ABI_DIR");
    return given && *given ? given : HQQ_SOURCE_DIR "/tests/golden";
}

bool image_fits_page(void)
{
    if (hqq_page_size() == IMAGE_PAGE)
        return true;
    fprintf(stderr, "skipped: the images have pages of %d bytes, this system of %zu\n", IMAGE_PAGE,
            (size_t)hqq_page_size());
    return false;
}

struct region image_load(const char *name)
{
    char command[4096];
    struct region region = region_new(IMAGE_LENGTH);
    int length = snprintf(command, sizeof(command), "gzip -dc '%s/%s.bin.gz'", folder(), name);
    assert_in_range(length, 1, sizeof(command) - 1);
    FILE *image = popen(command, "r");
    assert_non_null(image);
    size_t read = fread(region.base, 1, IMAGE_LENGTH, image);
    int rest = fgetc(image);
    assert_int_equal(pclose(image), 0);
    assert_int_equal(read, IMAGE_LENGTH);
    assert_int_equal(rest, EOF);
    return region;
}
