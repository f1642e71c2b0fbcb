/* Says what it got in LD_PRELOAD, and the last of its arguments. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *preload = getenv("LD_PRELOAD");
    printf("%s %s\n", preload ? preload : "none", argv[argc - 1]);
    return 0;
}
