/* What syscall() is made of: functions that take the six registers of a system call to the socket layer. */
#ifndef HQQ_PRELOAD_SYSCALL_H
#define HQQ_PRELOAD_SYSCALL_H

#include <sys/syscall.h>

/* The result is libc's: -1 and errno on failure. */
typedef long hqq_route_fn(const long arguments[6]);

/* syscall_wait.c */
hqq_route_fn hqq_route_ppoll;
hqq_route_fn hqq_route_pselect6;
hqq_route_fn hqq_route_epoll_ctl;
hqq_route_fn hqq_route_epoll_pwait;
hqq_route_fn hqq_route_epoll_pwait2;
#ifdef SYS_poll
hqq_route_fn hqq_route_poll;
hqq_route_fn hqq_route_select;
hqq_route_fn hqq_route_epoll_wait;
#endif

#endif
