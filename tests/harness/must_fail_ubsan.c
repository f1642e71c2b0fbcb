/* Must fail under UndefinedBehaviorSanitizer, which must not go on after its report: a signed overflow. */
#include <limits.h>

int main(void)
{
    volatile int largest = INT_MAX;
    largest = largest + 1;
    return 0;
}
