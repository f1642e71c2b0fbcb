/* A library that can be preloaded, in the place of libhqq-preload.so: what runs with it has this in its environment. */
#include <stdlib.h>

__attribute__((constructor)) static void tell(void)
{
    setenv("HQQ_TEST_PRELOADED", "yes", 1);
}
