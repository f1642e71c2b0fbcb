/* A user's program: the headers it was compiled with and the library it runs with are of one version. */
#include <stdio.h>
#include <string.h>

#include <hqq/hqq.h>

int main(void)
{
    printf("compiled with %s, running with %s: %s\n", HQQ_VERSION, hqq_version(), hqq_strerror(HQQ_OK));
    return strcmp(hqq_version(), HQQ_VERSION) != 0;
}
