/*
 * Each hook reaches the function of the socket layer that it stands for, once, and what makes descriptors says so. Runs
 * with the hooks and recorder.c preloaded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <aio.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Names that no header declares. */
ssize_t __read(int fd, void *data, size_t length);
ssize_t __write(int fd, const void *data, size_t length);
ssize_t __send(int fd, const void *data, size_t length, int flags);
int __connect(int fd, const struct sockaddr *address, socklen_t length);
int __close(int fd);
int __dup2(int fd, int wanted);
int __fcntl(int fd, int command, ...);
int __poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __select(int count, fd_set *reading, fd_set *writing, fd_set *special, struct timeval *timeout);
int __open(const char *path, int flags, ...);
int __open64(const char *path, int flags, ...);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);
int __pipe(int fds[2]);
FILE *_IO_fopen(const char *path, const char *mode);
FILE *_IO_popen(const char *command, const char *mode);
int _IO_fclose(FILE *stream);
FILE *_IO_fdopen(int fd, const char *mode);
ssize_t __read_chk(int fd, void *data, size_t length, size_t capacity);
ssize_t __recv_chk(int fd, void *data, size_t length, size_t capacity, int flags);
ssize_t __recvfrom_chk(int fd, void *data, size_t length, size_t capacity, int flags, struct sockaddr *address,
                       socklen_t *address_length);
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t size);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask, size_t size);
int pidfd_open(pid_t pid, unsigned flags);
int pidfd_getfd(int pidfd, int fd, unsigned flags);

static const char *(*record_take)(void);
static void (*record_tell_exit)(int fd);

static void find(const char *name, void *ret_function)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    if (found == NULL)
        fail_msg("%s: the recorder is not preloaded", name);
    memcpy(ret_function, &found, sizeof(found));
}

/* A call was made that succeeded; what it noted is as expected. errno is as it was before, EXDEV. */
#define succeeds(expected, call) check(expected, (long)(call), #call, __LINE__)

static long check(const char *expected, long result, const char *call, int line)
{
    int error = errno;
    const char *noted = record_take();
    if (strcmp(noted, expected) != 0)
        fail_msg("line %d: %s noted \"%s\", not \"%s\"", line, call, noted, expected);
    if (result < 0)
        fail_msg("line %d: %s failed: %s", line, call, strerror(error));
    if (error != EXDEV)
        fail_msg("line %d: %s left errno %d", line, call, error);
    return result;
}

/* Closes what a call has returned, unnoticed. */
static void done(long fd)
{
    close((int)fd);
    record_take();
    errno = EXDEV;
}

static int start(void **state)
{
    (void)state;
    find("hqq_record_take", &record_take);
    find("hqq_record_tell_exit", &record_tell_exit);
    record_take();
    errno = EXDEV;
    return 0;
}

static void the_constructor_starts_the_layer_and_nothing_else_was_noted_before(void **state)
{
    (void)state;
    const char *(*take)(void);
    find("hqq_record_take", &take);
    assert_memory_equal(take(), "init", 4);
}

static void pair_of(int fds[2])
{
    succeeds("socketpair", socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
}

static void what_names_and_connects(void **state)
{
    (void)state;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(name);
    int value = 0;
    int a = (int)succeeds("socket", socket(AF_UNIX, SOCK_DGRAM, 0));
    succeeds("bind", bind(a, (struct sockaddr *)&name, sizeof(sa_family_t))); /* the kernel chooses a name */
    succeeds("getsockname", getsockname(a, (struct sockaddr *)&name, &length));
    succeeds("connect", connect(a, (struct sockaddr *)&name, length));
    succeeds("connect", __connect(a, (struct sockaddr *)&name, length));
    succeeds("getpeername", getpeername(a, (struct sockaddr *)&name, &length));
    length = sizeof(value);
    succeeds("getsockopt", getsockopt(a, SOL_SOCKET, SO_TYPE, &value, &length));
    succeeds("setsockopt", setsockopt(a, SOL_SOCKET, SO_SNDBUF, &(int){8192}, sizeof(int)));
    succeeds("shutdown", shutdown(a, SHUT_RD));
    succeeds("close", close(a));
}

static void what_sends(void **state)
{
    (void)state;
    char byte = 'x';
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
    int fds[2];
    pair_of(fds);
    succeeds("send", send(fds[0], &byte, 1, 0));
    succeeds("send", __send(fds[0], &byte, 1, 0));
    succeeds("sendto", sendto(fds[0], &byte, 1, 0, NULL, 0));
    succeeds("sendmsg", sendmsg(fds[0], &message.msg_hdr, 0));
    succeeds("sendmmsg", sendmmsg(fds[0], &message, 1, 0));
    done(fds[0]);
    done(fds[1]);
    pair_of(fds);
    succeeds("write", write(fds[0], &byte, 1));
    succeeds("write", __write(fds[0], &byte, 1));
    succeeds("writev", writev(fds[0], &part, 1));
    succeeds("pwritev2", pwritev2(fds[0], &part, 1, -1, 0));
    succeeds("pwritev2", pwritev64v2(fds[0], &part, 1, -1, 0));
    done(fds[0]);
    done(fds[1]);
}

static void what_receives(void **state)
{
    (void)state;
    char byte;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
    int fds[2];
    pair_of(fds);
    succeeds("send", send(fds[0], "x", 1, 0));
    succeeds("recv", recv(fds[1], &byte, 1, MSG_PEEK));
    succeeds("recv", __recv_chk(fds[1], &byte, 1, 1, MSG_PEEK));
    succeeds("recvfrom", recvfrom(fds[1], &byte, 1, MSG_PEEK, NULL, NULL));
    succeeds("recvfrom", __recvfrom_chk(fds[1], &byte, 1, 1, MSG_PEEK, NULL, NULL));
    succeeds("recvmsg", recvmsg(fds[1], &message.msg_hdr, MSG_PEEK));
    succeeds("recvmmsg", recvmmsg(fds[1], &message, 1, MSG_PEEK, NULL));
    for (int i = 0; i < 5; i++)
        succeeds("send", send(fds[0], "x", 1, 0));
    succeeds("read", read(fds[1], &byte, 1));
    succeeds("read", __read(fds[1], &byte, 1));
    succeeds("read", __read_chk(fds[1], &byte, 1, 1));
    succeeds("readv", readv(fds[1], &part, 1));
    succeeds("preadv2", preadv2(fds[1], &part, 1, -1, 0));
    succeeds("preadv2", preadv64v2(fds[1], &part, 1, -1, 0));
    done(fds[0]);
    done(fds[1]);
}

static void what_waits(void **state)
{
    (void)state;
    struct timespec none = {0};
    struct timeval no_time = {0};
    struct epoll_event event = {.events = EPOLLIN};
    int fds[2];
    pair_of(fds);
    struct pollfd wait = {.fd = fds[1], .events = POLLIN};
    succeeds("poll", poll(&wait, 1, 0));
    succeeds("poll", __poll(&wait, 1, 0));
    succeeds("poll", __poll_chk(&wait, 1, 0, sizeof(wait)));
    succeeds("ppoll", ppoll(&wait, 1, &none, NULL));
    succeeds("ppoll", __ppoll_chk(&wait, 1, &none, NULL, sizeof(wait)));
    succeeds("select", select(0, NULL, NULL, NULL, &no_time));
    succeeds("select", __select(0, NULL, NULL, NULL, &no_time));
    succeeds("pselect", pselect(0, NULL, NULL, NULL, &none, NULL));
    int epoll = (int)succeeds("created", epoll_create1(0));
    succeeds("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, fds[1], &event));
    succeeds("epoll_wait", epoll_wait(epoll, &event, 1, 0));
    succeeds("epoll_pwait", epoll_pwait(epoll, &event, 1, 0, NULL));
    succeeds("epoll_pwait2", epoll_pwait2(epoll, &event, 1, &none, NULL));
    done(epoll);
    done(fds[0]);
    done(fds[1]);
}

static void what_closes_and_controls(void **state)
{
    (void)state;
    int count;
    int fds[2];
    pair_of(fds);
    succeeds("close", __close((int)succeeds("dup", dup(fds[0]))));
    succeeds("dup2", dup2(fds[0], 200));
    succeeds("dup2", __dup2(fds[0], 201));
    succeeds("dup3", dup3(fds[0], 202, O_CLOEXEC));
    succeeds("fcntl", fcntl(fds[0], F_SETFL, O_NONBLOCK));
    assert_true(succeeds("fcntl", fcntl64(fds[0], F_GETFL)) & O_NONBLOCK);
    assert_int_equal(succeeds("fcntl", __fcntl(202, F_GETFD)), FD_CLOEXEC);
    succeeds("ioctl", ioctl(fds[0], FIONREAD, &count));
    succeeds("close_range", close_range(200, 201, 0));
    closefrom(202);
    succeeds("closefrom", 0);
    done(fds[0]);
    done(fds[1]);
}

static void what_opens(void **state)
{
    (void)state;
    char path[] = "/tmp/hqq-routes-XXXXXX";
    done(succeeds("created", mkstemp(path)));
    done(succeeds("created", open(path, O_RDONLY)));
    done(succeeds("created", open64(path, O_RDONLY)));
    done(succeeds("created", __open(path, O_RDONLY)));
    done(succeeds("created", __open64(path, O_RDONLY)));
    done(succeeds("created", __open_2(path, O_RDONLY)));
    done(succeeds("created", __open64_2(path, O_RDONLY)));
    done(succeeds("created", openat(AT_FDCWD, path, O_RDONLY)));
    done(succeeds("created", openat64(AT_FDCWD, path, O_RDONLY)));
    done(succeeds("created", __openat_2(AT_FDCWD, path, O_RDONLY)));
    done(succeeds("created", __openat64_2(AT_FDCWD, path, O_RDONLY)));
    done(succeeds("created", creat(path, 0600)));
    done(succeeds("created", creat64(path, 0600)));
    unlink(path);
    errno = EXDEV;
    assert_int_equal(open(path, O_RDONLY), -1);
    assert_int_equal(errno, ENOENT);
    assert_string_equal(record_take(), "");
    errno = EXDEV;
    int written = (int)succeeds("created", open(path, O_CREAT | O_RDWR, 0640)); /* the mode arrives */
    struct stat status;
    assert_int_equal(fstat(written, &status), 0);
    assert_int_equal(status.st_mode & 0707, 0600);
    done(written);
    unlink(path);
}

static void what_opens_other_names(void **state)
{
    (void)state;
    char names[8][32];
    int (*const plain[])(char *) = {mkstemp, mkstemp64};
    int (*const flagged[])(char *, int) = {mkostemp, mkostemp64};
    int (*const suffixed[])(char *, int) = {mkstemps, mkstemps64};
    int (*const both[])(char *, int, int) = {mkostemps, mkostemps64};
    for (int i = 0; i < 8; i++)
        snprintf(names[i], sizeof(names[i]), "/tmp/hqq-routes-XXXXXX%s", i < 4 ? "" : ".x");
    for (int i = 0; i < 2; i++) {
        done(succeeds("created", plain[i](names[i])));
        done(succeeds("created", flagged[i](names[2 + i], O_CLOEXEC)));
        done(succeeds("created", suffixed[i](names[4 + i], 2)));
        done(succeeds("created", both[i](names[6 + i], 2, O_CLOEXEC)));
    }
    for (int i = 0; i < 8; i++)
        assert_int_equal(unlink(names[i]), 0);

    char shared[32];
    snprintf(shared, sizeof(shared), "/hqq-routes-%d", (int)getpid());
    errno = EXDEV;
    done(succeeds("created", shm_open(shared, O_CREAT | O_EXCL | O_RDWR, 0600)));
    shm_unlink(shared);

    union {
        struct file_handle handle;
        char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } handle = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
    int mount;
    int folder = open("/tmp", O_RDONLY | O_DIRECTORY);
    record_take();
    if (name_to_handle_at(AT_FDCWD, "/tmp", &handle.handle, &mount, 0) == 0) { /* not on every filesystem */
        int opened = open_by_handle_at(folder, &handle.handle, O_RDONLY);      /* nor for everybody */
        assert_string_equal(record_take(), opened >= 0 ? "created" : "");
        done(opened);
    }
    done(folder);
}

static void what_makes_other_descriptors(void **state)
{
    (void)state;
    sigset_t none;
    sigemptyset(&none);
    int fds[2];
    succeeds("created created", pipe(fds));
    done(fds[0]);
    done(fds[1]);
    succeeds("created created", __pipe(fds));
    done(fds[0]);
    done(fds[1]);
    succeeds("created created", pipe2(fds, O_CLOEXEC));
    done(fds[0]);
    done(fds[1]);
    done(succeeds("created", eventfd(0, 0)));
    done(succeeds("created", epoll_create(1)));
    done(succeeds("created", timerfd_create(CLOCK_MONOTONIC, 0)));
    done(succeeds("created", signalfd(-1, &none, 0)));
    done(succeeds("created", inotify_init()));
    done(succeeds("created", inotify_init1(0)));
    done(succeeds("created", memfd_create("routes", 0)));
    int self = (int)succeeds("created", pidfd_open(getpid(), 0));
    done(succeeds("fetched", pidfd_getfd(self, 1, 0)));
    done(self);
    done(succeeds("created", posix_openpt(O_RDWR | O_NOCTTY)));
    int notifier = fanotify_init(0, O_RDONLY); /* not for everybody */
    assert_string_equal(record_take(), notifier >= 0 ? "created" : "");
    done(notifier);
}

static void accepted_sockets(void **state)
{
    (void)state;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(name);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(listener, 2), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &length), 0);
    int clients[2] = {socket(AF_UNIX, SOCK_STREAM, 0), socket(AF_UNIX, SOCK_STREAM, 0)};
    assert_int_equal(connect(clients[0], (struct sockaddr *)&name, length), 0);
    assert_int_equal(connect(clients[1], (struct sockaddr *)&name, length), 0);
    record_take();
    done(succeeds("created", accept(listener, NULL, NULL)));
    done(succeeds("created", accept4(listener, NULL, NULL, SOCK_CLOEXEC)));
    done(clients[0]);
    done(clients[1]);
    done(listener);
}

static void closed(FILE *stream, const char *expected, int line)
{
    check(expected, stream != NULL ? 0 : -1, "a stream", line);
    fclose(stream);
    check("created", 0, "fclose", line);
}

static void what_makes_streams(void **state)
{
    (void)state;
    closed(fopen("/dev/null", "r"), "created", __LINE__);
    closed(fopen64("/dev/null", "r"), "created", __LINE__);
    closed(_IO_fopen("/dev/null", "r"), "created", __LINE__);
    closed(freopen("/dev/zero", "r", fopen("/dev/null", "r")), "created created created", __LINE__);
    closed(freopen64("/dev/zero", "r", fopen("/dev/null", "r")), "created created created", __LINE__);
    closed(tmpfile(), "created", __LINE__);
    closed(tmpfile64(), "created", __LINE__);
    int fd = dup(2);
    record_take();
    closed(fdopen(fd, "w"), "demote_sender", __LINE__);
    fd = open("/dev/null", O_RDWR);
    record_take();
    closed(fdopen(fd, "r+"), "demote demote_sender", __LINE__);
    fd = open("/dev/null", O_RDONLY);
    record_take();
    closed(_IO_fdopen(fd, "r"), "demote", __LINE__);
    DIR *folder = opendir("/");
    assert_non_null(folder);
    check("created", 0, "opendir", __LINE__);
    record_take();
    assert_int_equal(pclose(popen(":", "r")), 0); /* NOLINT(cert-env33-c): what is tested */
    assert_string_equal(record_take(), "spawn created created");
    assert_int_equal(pclose(_IO_popen(":", "r")), 0);
    assert_string_equal(record_take(), "spawn created created");
    FILE *stream = fopen("/dev/null", "r");
    record_take();
    assert_int_equal(_IO_fclose(stream), 0);
    assert_string_equal(record_take(), "created");
    closedir(folder);
}

static void what_moves_data_out_of_sight(void **state)
{
    (void)state;
    char byte = 'x';
    int fds[2];
    int more[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(pipe(more), 0);
    assert_int_equal(write(fds[1], "abc", 3), 3);
    record_take();
    succeeds("", tee(fds[0], more[1], 1, 0));
    succeeds("splice demote_sender", splice(fds[0], NULL, more[1], NULL, 1, 0));
    int zero = open("/dev/zero", O_RDONLY);
    record_take();
    succeeds("splice demote_sender", sendfile(more[1], zero, NULL, 1));
    succeeds("splice demote_sender", sendfile64(more[1], zero, NULL, 1));

    struct aiocb operation = {.aio_fildes = zero, .aio_buf = &byte, .aio_nbytes = 1, .aio_lio_opcode = LIO_READ};
    struct aiocb *const list[2] = {&operation, NULL};
    const struct aiocb *const awaited[1] = {&operation};
    succeeds("demote", aio_read(&operation));
    assert_int_equal(aio_suspend(awaited, 1, NULL), 0);
    assert_int_equal(aio_return(&operation), 1);
    record_take();
    errno = EXDEV;
    succeeds("demote", lio_listio(LIO_WAIT, list, 2, NULL));
    succeeds("demote_sender", aio_write(&operation)); /* fails later: zero is for reading */
    assert_int_equal(aio_suspend(awaited, 1, NULL), 0);
    assert_int_equal(aio_return(&operation), -1);

    struct aiocb64 other = {.aio_fildes = zero, .aio_buf = &byte, .aio_nbytes = 1, .aio_lio_opcode = LIO_READ};
    struct aiocb64 *const other_list[1] = {&other};
    const struct aiocb64 *const other_awaited[1] = {&other};
    int (*const start_other[])(struct aiocb64 *) = {aio_read64, aio_write64};
    for (int i = 0; i < 2; i++) {
        record_take();
        errno = EXDEV;
        succeeds(i == 0 ? "demote" : "demote_sender", start_other[i](&other));
        assert_int_equal(aio_suspend64(other_awaited, 1, NULL), 0);
        assert_int_equal(aio_return64(&other), i == 0 ? 1 : -1);
    }
    record_take();
    errno = EXDEV;
    other.aio_lio_opcode = LIO_READ; /* aio_write64() changed it */
    succeeds("demote", lio_listio64(LIO_WAIT, other_list, 1, NULL));
    done(zero);
    for (int i = 0; i < 2; i++) {
        done(fds[i]);
        done(more[i]);
    }
}

static void bare_transfers(void **state)
{
    (void)state;
    char byte = 'x';
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
    int fds[2];
    succeeds("socketpair", syscall(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, fds));
    succeeds("sendto", syscall(SYS_sendto, fds[0], &byte, (size_t)1, 0, NULL, 0));
    succeeds("sendmsg", syscall(SYS_sendmsg, fds[0], &message.msg_hdr, 0));
    succeeds("sendmmsg", syscall(SYS_sendmmsg, fds[0], &message, 1, 0));
    succeeds("write", syscall(SYS_write, fds[0], &byte, (size_t)1));
    succeeds("writev", syscall(SYS_writev, fds[0], &part, 1));
    succeeds("pwritev2", syscall(SYS_pwritev2, fds[0], &part, 1, -1L, 0L, 0));
    succeeds("recvfrom", syscall(SYS_recvfrom, fds[1], &byte, (size_t)1, 0, NULL, NULL));
    succeeds("recvmsg", syscall(SYS_recvmsg, fds[1], &message.msg_hdr, 0));
    succeeds("recvmmsg", syscall(SYS_recvmmsg, fds[1], &message, 1, 0, NULL));
    succeeds("read", syscall(SYS_read, fds[1], &byte, (size_t)1));
    succeeds("readv", syscall(SYS_readv, fds[1], &part, 1));
    succeeds("preadv2", syscall(SYS_preadv2, fds[1], &part, 1, -1L, 0L, 0));
    succeeds("close", syscall(SYS_close, fds[0]));
    succeeds("close_range", syscall(SYS_close_range, fds[1], fds[1], 0));
}

static void bare_waits(void **state)
{
    (void)state;
    struct timespec none = {0};
    struct epoll_event event = {.events = EPOLLIN};
    unsigned long kernel_set = 0; /* the kernel's sets have 64 signals */
    const struct {
        const unsigned long *set;
        size_t size;
    } sized = {&kernel_set, 8};
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    record_take();
    struct pollfd wait = {.fd = fds[0], .events = POLLIN};
    succeeds("ppoll", syscall(SYS_ppoll, &wait, 1L, &none, &kernel_set, (size_t)8));
    succeeds("pselect", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &none, &sized));
    int epoll = (int)succeeds("created", syscall(SYS_epoll_create1, 0));
    succeeds("epoll_ctl", syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, fds[0], &event));
    succeeds("epoll_pwait", syscall(SYS_epoll_pwait, epoll, &event, 1, 0, NULL, (size_t)0));
    succeeds("epoll_pwait2", syscall(SYS_epoll_pwait2, epoll, &event, 1, &none, &kernel_set, (size_t)8));
#ifdef SYS_poll
    struct timeval no_time = {0};
    succeeds("poll", syscall(SYS_poll, &wait, 1L, 0));
    succeeds("select", syscall(SYS_select, 0, NULL, NULL, NULL, &no_time));
    succeeds("epoll_wait", syscall(SYS_epoll_wait, epoll, &event, 1, 0));
#endif
    assert_int_equal(syscall(SYS_ppoll, &wait, 1L, &none, &kernel_set, (size_t)4), -1);
    assert_int_equal(errno, EINVAL);
    done(epoll);
    done(fds[0]);
    done(fds[1]);
}

static void bare_control(void **state)
{
    (void)state;
    int count;
    int fds[2];
    succeeds("created created", syscall(SYS_pipe2, fds, 0));
    done(succeeds("dup", syscall(SYS_dup, fds[0])));
    done(succeeds("dup3", syscall(SYS_dup3, fds[0], 200, 0)));
    done(succeeds("fcntl", syscall(SYS_fcntl, fds[0], F_DUPFD, 201)));
    succeeds("ioctl", syscall(SYS_ioctl, fds[0], FIONREAD, &count));
    done(succeeds("created", syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY, 0)));
    done(succeeds("created", syscall(SYS_memfd_create, "routes", 0)));
    assert_int_equal(succeeds("", syscall(SYS_getpid)), getpid());
    assert_int_equal(syscall(SYS_openat, AT_FDCWD, "/no/such", O_RDONLY, 0), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(syscall(-1L), -1);
    assert_int_equal(errno, ENOSYS);
    assert_string_equal(record_take(), "");
    done(fds[0]);
    done(fds[1]);
}

/* What the child noted, sent by a pipe, and then one byte for each notice of its end. */
static void child_says(void (*leave)(int), const char *expected)
{
    char said[256] = {0};
    size_t length = 0;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    record_take();
    pid_t child = fork();
    if (child == 0) {
        const char *noted = record_take();
        ssize_t written = write(fds[1], noted, strlen(noted));
        record_tell_exit(fds[1]);
        leave(written > 0 ? 0 : 1);
    }
    assert_string_equal(record_take(), "prepare parent");
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(fds[1]);
    for (ssize_t got; (got = read(fds[0], said + length, sizeof(said) - 1 - length)) > 0;)
        length += (size_t)got;
    assert_string_equal(said, expected);
    done(fds[0]);
}

static void forks_and_ends(void **state)
{
    (void)state;
    child_says(_exit, "prepare childx");
    child_says(_Exit, "prepare childx");
    child_says(exit, "prepare childx");
}

/* A program that is not there: exec tells the layer, and fails. */
static void what_executes(void **state)
{
    (void)state;
    static char name[] = "/nonexistent/program";
    char *const arguments[] = {name, NULL};
    record_take();
    assert_int_equal(execve(name, arguments, environ), -1);
    assert_string_equal(record_take(), "exec exec_failed");
    assert_int_equal(execv(name, arguments), -1);
    assert_string_equal(record_take(), "exec exec_failed");
    assert_int_equal(execvp(name, arguments), -1);
    assert_string_equal(record_take(), "exec exec_failed");
    assert_int_equal(execvpe(name, arguments, environ), -1);
    assert_string_equal(record_take(), "exec exec_failed");
    assert_int_equal(execveat(AT_FDCWD, name, arguments, environ, 0), -1);
    assert_string_equal(record_take(), "exec exec_failed");
    assert_int_equal(fexecve(-1, arguments, environ), -1);
    assert_string_equal(record_take(), "exec exec_failed");
    assert_int_equal(execl(name, name, "one", NULL), -1);
    assert_string_equal(record_take(), "exec exec_failed");
    assert_int_equal(execlp(name, name, "one", NULL), -1);
    assert_string_equal(record_take(), "exec exec_failed");
    assert_int_equal(execle(name, name, "one", NULL, environ), -1);
    assert_string_equal(record_take(), "exec exec_failed");
    pid_t pid;
    assert_int_equal(posix_spawn(&pid, name, NULL, NULL, arguments, environ), ENOENT);
    assert_int_equal(posix_spawnp(&pid, name, NULL, NULL, arguments, environ), ENOENT);
    assert_string_equal(record_take(), "spawn spawn");
    posix_spawn_file_actions_t actions;
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, 0, 1), 0);
    assert_string_equal(record_take(), "given");
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, -1, 1), EBADF);
    assert_string_equal(record_take(), "");
    assert_int_equal(posix_spawn_file_actions_destroy(&actions), 0);
    assert_int_equal(system(":"), 0); /* NOLINT(cert-env33-c): what is tested */
    assert_string_equal(record_take(), "spawn");
    assert_int_equal(system(NULL), 1); /* NOLINT(cert-env33-c): it starts nothing */
    assert_string_equal(record_take(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_constructor_starts_the_layer_and_nothing_else_was_noted_before),
        cmocka_unit_test_setup(what_names_and_connects, start),
        cmocka_unit_test_setup(what_executes, start),
        cmocka_unit_test_setup(what_sends, start),
        cmocka_unit_test_setup(what_receives, start),
        cmocka_unit_test_setup(what_waits, start),
        cmocka_unit_test_setup(what_closes_and_controls, start),
        cmocka_unit_test_setup(what_opens, start),
        cmocka_unit_test_setup(what_opens_other_names, start),
        cmocka_unit_test_setup(what_makes_other_descriptors, start),
        cmocka_unit_test_setup(accepted_sockets, start),
        cmocka_unit_test_setup(what_makes_streams, start),
        cmocka_unit_test_setup(what_moves_data_out_of_sight, start),
        cmocka_unit_test_setup(bare_transfers, start),
        cmocka_unit_test_setup(bare_waits, start),
        cmocka_unit_test_setup(bare_control, start),
        cmocka_unit_test_setup(forks_and_ends, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
