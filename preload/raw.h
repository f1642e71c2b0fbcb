/*
 * Functions of libc as bare system calls: what hqq_real holds before the real ones are known. They behave as their
 * namesakes, but are no cancellation points, and remaining times are reported as the kernel does. They rely on nothing
 * but errno.
 */
#ifndef HQQ_PRELOAD_RAW_H
#define HQQ_PRELOAD_RAW_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

/* raw_socket.c */
int hqq_raw_socket(int domain, int type, int protocol);
int hqq_raw_socketpair(int domain, int type, int protocol, int fds[2]);
int hqq_raw_bind(int fd, const struct sockaddr *address, socklen_t length);
int hqq_raw_listen(int fd, int backlog);
int hqq_raw_accept(int fd, struct sockaddr *address, socklen_t *length);
int hqq_raw_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int hqq_raw_connect(int fd, const struct sockaddr *address, socklen_t length);
int hqq_raw_shutdown(int fd, int how);
int hqq_raw_getsockname(int fd, struct sockaddr *address, socklen_t *length);
int hqq_raw_getpeername(int fd, struct sockaddr *address, socklen_t *length);
int hqq_raw_getsockopt(int fd, int level, int option, void *value, socklen_t *length);
int hqq_raw_setsockopt(int fd, int level, int option, const void *value, socklen_t length);

ssize_t hqq_raw_send(int fd, const void *data, size_t length, int flags);
ssize_t hqq_raw_sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *address,
                       socklen_t address_length);
ssize_t hqq_raw_sendmsg(int fd, const struct msghdr *message, int flags);
int hqq_raw_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
ssize_t hqq_raw_recv(int fd, void *data, size_t capacity, int flags);
ssize_t hqq_raw_recvfrom(int fd, void *data, size_t capacity, int flags, struct sockaddr *address,
                         socklen_t *address_length);
ssize_t hqq_raw_recvmsg(int fd, struct msghdr *message, int flags);
int hqq_raw_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout);

/* raw_file.c */
ssize_t hqq_raw_write(int fd, const void *data, size_t length);
ssize_t hqq_raw_writev(int fd, const struct iovec *parts, int count);
ssize_t hqq_raw_pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags);
ssize_t hqq_raw_read(int fd, void *data, size_t capacity);
ssize_t hqq_raw_readv(int fd, const struct iovec *parts, int count);
ssize_t hqq_raw_preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags);
ssize_t hqq_raw_sendfile(int to, int from, off_t *offset, size_t length);
ssize_t hqq_raw_splice(int from, off_t *from_offset, int to, off_t *to_offset, size_t length, unsigned flags);
ssize_t hqq_raw_tee(int from, int to, size_t length, unsigned flags);

int hqq_raw_close(int fd);
int hqq_raw_close_range(unsigned first, unsigned last, int flags);
void hqq_raw_closefrom(int first);
int hqq_raw_dup(int fd);
int hqq_raw_dup2(int fd, int wanted);
int hqq_raw_dup3(int fd, int wanted, int flags);
int hqq_raw_fcntl(int fd, int command, ...);
int hqq_raw_ioctl(int fd, unsigned long request, ...);
long hqq_raw_syscall(long number, ...);
void hqq_raw_exit(int status);
int hqq_raw_execve(const char *path, char *const arguments[], char *const environment[]);
int hqq_raw_execveat(int folder, const char *path, char *const arguments[], char *const environment[], int flags);

/* raw_wait.c */
int hqq_raw_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int hqq_raw_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask);
int hqq_raw_select(int count, fd_set *reading, fd_set *writing, fd_set *special, struct timeval *timeout);
int hqq_raw_pselect(int count, fd_set *reading, fd_set *writing, fd_set *special, const struct timespec *timeout,
                    const sigset_t *mask);
int hqq_raw_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int hqq_raw_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms);
int hqq_raw_epoll_pwait(int epoll, struct epoll_event *events, int count, int timeout_ms, const sigset_t *mask);
int hqq_raw_epoll_pwait2(int epoll, struct epoll_event *events, int count, const struct timespec *timeout,
                         const sigset_t *mask);

/* raw_creators.c */
int hqq_raw_open(const char *path, int flags, ...);
int hqq_raw_openat(int folder, const char *path, int flags, ...);
int hqq_raw_open_2(const char *path, int flags);
int hqq_raw_openat_2(int folder, const char *path, int flags);
int hqq_raw_creat(const char *path, mode_t mode);
int hqq_raw_open_by_handle_at(int mount, struct file_handle *handle, int flags);
int hqq_raw_pipe(int fds[2]);
int hqq_raw_pipe2(int fds[2], int flags);
int hqq_raw_eventfd(unsigned value, int flags);
int hqq_raw_epoll_create(int size);
int hqq_raw_epoll_create1(int flags);
int hqq_raw_timerfd_create(clockid_t clock, int flags);
int hqq_raw_signalfd(int fd, const sigset_t *mask, int flags);
int hqq_raw_inotify_init(void);
int hqq_raw_inotify_init1(int flags);
int hqq_raw_fanotify_init(unsigned flags, unsigned event_flags);
int hqq_raw_memfd_create(const char *name, unsigned flags);
int hqq_raw_pidfd_open(pid_t pid, unsigned flags);
int hqq_raw_pidfd_getfd(int pidfd, int fd, unsigned flags);

#endif
