/* Must fail under AddressSanitizer: a read just past the end of a block. */
#include <stdlib.h>

int main(void)
{
    volatile size_t past = 8;
    char *block = calloc(1, past);
    if (!block)
        return 0;
    volatile char found = block[past];
    (void)found;
    free(block);
    return 0;
}
