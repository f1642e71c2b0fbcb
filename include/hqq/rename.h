/*
 * Ports a source file to <hqq/socket.h> without touching its calls: every call there gets the name of its namesake,
 * so that sendto(...) below this line is hqq_sendto(...). Include it after all other headers; or, for a file that is
 * not to be touched at all, put it in front of it:
 *
 *     cc -include hqq/rename.h program.c -lhqq
 *
 * That works because this header includes the system headers that declare or use those names, before it renames
 * anything; their own include guards keep them out afterwards.
 *
 * What to know:
 *  - The names are renamed wherever they stand alone as a word, not in calls only: a pointer to a function is ported
 *    as well, and so is, harmlessly, a variable, label or member of that name in code that follows.
 *  - Harm is done where one side of such a name was compiled without this header: a member of a structure declared in
 *    a header included earlier (stdio's cookie_io_functions_t has read, write and close; an event library's own tables,
 *    too), a function of that name defined or called in another file, std::bind and the members of C++ streams.
 *    The compiler or the linker notices each of these. Write (ops->read)(...) with `#undef read` before it, or include
 *    this header only where sockets are used.
 *  - struct pollfd, struct epoll_event, F_SETFL and the like are other words, and stay as they are.
 *  - What has no namesake in <hqq/socket.h> stays libc's, and needs none: listen, accept, epoll_create, pipe, fork, ...
 *  - Every file that waits on, receives from, duplicates or closes a socket is to be ported, as <hqq/socket.h> says.
 *  - As that header, it wants GNU extensions (_GNU_SOURCE) for recvmmsg() and its like.
 */
#ifndef HQQ_RENAME_H
#define HQQ_RENAME_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <hqq/socket.h>

/* Names of libc that are macros themselves (fortified builds, other libcs) give way. */
#undef socket
#undef socketpair
#undef bind
#undef connect
#undef shutdown
#undef getsockname
#undef getpeername
#undef getsockopt
#undef setsockopt
#undef send
#undef sendto
#undef sendmsg
#undef sendmmsg
#undef write
#undef writev
#undef pwritev2
#undef recv
#undef recvfrom
#undef recvmsg
#undef recvmmsg
#undef read
#undef readv
#undef preadv2
#undef poll
#undef ppoll
#undef select
#undef pselect
#undef epoll_ctl
#undef epoll_wait
#undef epoll_pwait
#undef epoll_pwait2
#undef close
#undef close_range
#undef closefrom
#undef dup
#undef dup2
#undef dup3
#undef fcntl
#undef ioctl

#define socket hqq_socket
#define socketpair hqq_socketpair
#define bind hqq_bind
#define connect hqq_connect
#define shutdown hqq_shutdown
#define getsockname hqq_getsockname
#define getpeername hqq_getpeername
#define getsockopt hqq_getsockopt
#define setsockopt hqq_setsockopt

#define send hqq_send
#define sendto hqq_sendto
#define sendmsg hqq_sendmsg
#define sendmmsg hqq_sendmmsg
#define write hqq_write
#define writev hqq_writev
#define pwritev2 hqq_pwritev2

#define recv hqq_recv
#define recvfrom hqq_recvfrom
#define recvmsg hqq_recvmsg
#define recvmmsg hqq_recvmmsg
#define read hqq_read
#define readv hqq_readv
#define preadv2 hqq_preadv2

#define poll hqq_poll
#define ppoll hqq_ppoll
#define select hqq_select
#define pselect hqq_pselect
#define epoll_ctl hqq_epoll_ctl
#define epoll_wait hqq_epoll_wait
#define epoll_pwait hqq_epoll_pwait
#define epoll_pwait2 hqq_epoll_pwait2

#define close hqq_close
#define close_range hqq_close_range
#define closefrom hqq_closefrom
#define dup hqq_dup
#define dup2 hqq_dup2
#define dup3 hqq_dup3
#define fcntl hqq_fcntl
#define ioctl hqq_ioctl

#endif
