/* The version of the library that is loaded, for programs that were compiled against another. */
#include <hqq/version.h>

const char *hqq_version(void)
{
    return HQQ_VERSION;
}
