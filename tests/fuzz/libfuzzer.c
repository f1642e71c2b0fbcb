/* The same inputs for libFuzzer, which looks for those that reach more. */
#include <talloc.h>

#include "fuzz/advanced.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int is_tracking;
    if (!is_tracking)
        talloc_enable_null_tracking();
    is_tracking = 1;
    fuzz_advanced(data, size);
    return 0;
}
