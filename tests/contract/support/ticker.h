/* A signal to the calling thread again and again, in the midst of what it does. One at a time; ends with the test. */
#ifndef TESTS_CONTRACT_SUPPORT_TICKER_H
#define TESTS_CONTRACT_SUPPORT_TICKER_H

/* The handler is one of SA_RESTART. */
void ticker_begin(int number, void (*handler)(int), long period_us);
void ticker_end(void);

#endif
