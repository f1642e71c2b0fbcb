/*
 * What every measurement stands on: the clock, processors, ends that are told in one line, and how fast this machine
 * moves a bare cache line just now.
 */
#ifndef HQQ_TOOLS_SOCKETS_MACHINE_H
#define HQQ_TOOLS_SOCKETS_MACHINE_H

double machine_now_ns(void);

/* The calling thread runs on this processor from now on. */
void machine_pin(int cpu);

/* One line about errno, and the end of the process. */
_Noreturn void machine_fail(const char *what);

/* A cache line going to another processor and back: ns. About a millisecond. */
double machine_ping_pong_ns(void);

#endif
