/* How long something took. */
#ifndef TESTS_CONTRACT_SUPPORT_CLOCK_H
#define TESTS_CONTRACT_SUPPORT_CLOCK_H

#include <stdint.h>

/* A time that only goes forward. */
int64_t clock_ms(void);

#endif
