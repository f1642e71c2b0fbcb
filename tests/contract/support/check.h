/*
 * Assertions about system calls, for the parent's main thread only. A failure names the call, its result and errno. The
 * call is evaluated once.
 */
#ifndef TESTS_CONTRACT_SUPPORT_CHECK_H
#define TESTS_CONTRACT_SUPPORT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>

/* The call returns wanted. */
#define assert_result(call, wanted) check_result(#call, (errno = 0, (long)(call)), (long)(wanted), __FILE__, __LINE__)

/* The call returns -1 and errno is wanted. */
#define assert_error(call, wanted) check_error(#call, (errno = 0, (long)(call)), (wanted), __FILE__, __LINE__)

/* The next datagram of fd, without waiting, is that text; nothing is left of it. */
#define assert_receives(fd, text) check_receives((fd), (text), __FILE__, __LINE__)

/* Without waiting, there is nothing to receive. */
#define assert_empty(fd) check_empty((fd), __FILE__, __LINE__)

/* What poll() says about fd, asked for events, without waiting. */
#define assert_revents(fd, events, wanted) check_revents((fd), (events), (wanted), __FILE__, __LINE__)

void check_result(const char *call, long result, long wanted, const char *file, int line);
void check_error(const char *call, long result, int wanted, const char *file, int line);
void check_receives(int fd, const char *text, const char *file, int line);
void check_empty(int fd, const char *file, int line);
void check_revents(int fd, int events, int wanted, const char *file, int line);

#endif
