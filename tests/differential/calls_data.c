/* Sending and receiving. */
#include "differential/differential.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

#define BATCH 4
#define VECTORS 24

/* What compilers would warn of. */
static void *volatile bad = (void *)8;
static volatile int minus = -1;

char bytes_out[LONGEST + 64], bytes_in[LONGEST + 64];

static int slot_of(const struct step *step)
{
    return slots[step->arg[0]];
}

static size_t bounded(int length, size_t most)
{
    return length < 0 ? 0 : (size_t)length > most ? most : (size_t)length;
}

/* Each datagram is told from all others by its first word. */
static void fill(char *at, size_t length, uint32_t stamp)
{
    uint64_t word = stamp;
    for (size_t i = 0; i < length; i += sizeof(word)) {
        memcpy(at + i, &word, length - i < sizeof(word) ? length - i : sizeof(word));
        word = word * UINT64_C(6364136223846793005) + stamp;
    }
}

static uint64_t hash_of(const char *at, size_t length)
{
    uint64_t hash = length, word = 0;
    for (size_t i = 0; i < length; i += sizeof(word)) {
        memcpy(&word, at + i, length - i < sizeof(word) ? length - i : sizeof(word));
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return hash;
}

static void clear_in(size_t room)
{
    memset(bytes_in, 0xa5, room + 32);
}

static void note_bytes(struct result *result, size_t room)
{
    if (result->value < 0)
        return;
    result->hash = hash_of(bytes_in, room + 32);
    memcpy(&result->stamp, bytes_in, sizeof(result->stamp));
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- Vectors ----------------------------------------------------------------------------------------------------- */

/* Length bytes from base in one of some shapes; how many elements. */
static int make_vector(int shape, char *base, size_t length, struct iovec *ret_vector)
{
    size_t third = length / 3, done = 0;
    int count = 0;
    switch (shape) {
    case 1:
        ret_vector[0] = (struct iovec){base, third};
        ret_vector[1] = (struct iovec){base + third, third};
        ret_vector[2] = (struct iovec){base + 2 * third, length - 2 * third};
        return 3;
    case 2:
        ret_vector[0] = (struct iovec){NULL, 0};
        ret_vector[1] = (struct iovec){base, third};
        ret_vector[2] = (struct iovec){base + third, 0};
        ret_vector[3] = (struct iovec){base + third, length - third};
        ret_vector[4] = (struct iovec){NULL, 0};
        return 5;
    case 3:
        for (; count < VECTORS - 1 && done < length; done++)
            ret_vector[count++] = (struct iovec){base + done, 1};
        ret_vector[count++] = (struct iovec){base + done, length - done};
        return count;
    case 4:
        return 0;
    default:
        ret_vector[0] = (struct iovec){base, length};
        return 1;
    }
}

/* ---- Sending ----------------------------------------------------------------------------------------------------- */

void call_send(const struct step *step, struct result *result)
{
    size_t length = bounded(step->arg[1], LONGEST);
    fill(bytes_out, length, step->stamp);
    result_set(result, send(slot_of(step), bytes_out, length, step->arg[2]));
}

void call_sendto(const struct step *step, struct result *result)
{
    struct sockaddr_un to;
    socklen_t to_length = name_make(step->arg[3], &to);
    size_t length = bounded(step->arg[1], LONGEST);
    fill(bytes_out, length, step->stamp);
    result_set(result, sendto(slot_of(step), bytes_out, length, step->arg[2], (struct sockaddr *)&to, to_length));
}

/* Descriptors that go along with a datagram; credentials. */
static void make_control(int kind, struct msghdr *message, char *control, size_t room)
{
    if (kind == 0)
        return;
    memset(control, 0, room);
    message->msg_control = control;
    struct cmsghdr *head = (struct cmsghdr *)control;
    head->cmsg_level = SOL_SOCKET;
    if (kind == 1) {
        int fds[2] = {STDIN_FILENO, STDIN_FILENO};
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(fds));
        memcpy(CMSG_DATA(head), fds, sizeof(fds));
        message->msg_controllen = CMSG_SPACE(sizeof(fds));
    } else if (kind == 2) {
        struct ucred own = {.pid = getpid(), .uid = getuid(), .gid = getgid()};
        head->cmsg_type = SCM_CREDENTIALS;
        head->cmsg_len = CMSG_LEN(sizeof(own));
        memcpy(CMSG_DATA(head), &own, sizeof(own));
        message->msg_controllen = CMSG_SPACE(sizeof(own));
    } else if (kind == 3) {
        int fd = -1;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(head), &fd, sizeof(fd));
        message->msg_controllen = CMSG_SPACE(sizeof(fd));
    } else { /* room, and nothing in it */
        message->msg_controllen = 0;
    }
}

void call_sendmsg(const struct step *step, struct result *result)
{
    struct sockaddr_un to;
    struct iovec vector[VECTORS];
    char control[256] __attribute__((aligned(8)));
    struct msghdr message = {.msg_iov = vector};
    size_t length = bounded(step->arg[1], LONGEST);
    fill(bytes_out, length, step->stamp);
    if (step->arg[3] >= 0) {
        message.msg_namelen = name_make(step->arg[3], &to);
        message.msg_name = &to;
    }
    message.msg_iovlen = (size_t)make_vector(step->arg[4], bytes_out, length, vector);
    make_control(step->arg[5], &message, control, sizeof(control));
    result_set(result, sendmsg(slot_of(step), &message, step->arg[2]));
}

void call_sendmmsg(const struct step *step, struct result *result)
{
    struct sockaddr_un to;
    struct iovec vector[BATCH];
    struct mmsghdr messages[BATCH] = {0};
    size_t length = bounded(step->arg[1], LONGEST / BATCH);
    int count = (int)bounded(step->arg[4], BATCH);
    socklen_t to_length = step->arg[3] >= 0 ? name_make(step->arg[3], &to) : 0;
    for (int i = 0; i < count; i++) {
        char *at = bytes_out + (size_t)i * length;
        fill(at, length, step->stamp + ((uint32_t)i << 24));
        vector[i] = (struct iovec){at, length};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = to_length ? &to : NULL, .msg_namelen = to_length, .msg_iov = &vector[i], .msg_iovlen = 1};
    }
    result_set(result, sendmmsg(slot_of(step), messages, (unsigned)count, step->arg[2]));
    for (int i = 0; i < count; i++)
        result->extra[i] = (int)messages[i].msg_len;
}

void call_write(const struct step *step, struct result *result)
{
    size_t length = bounded(step->arg[1], LONGEST);
    fill(bytes_out, length, step->stamp);
    result_set(result, write(slot_of(step), bytes_out, length));
}

void call_writev(const struct step *step, struct result *result)
{
    struct iovec vector[VECTORS];
    size_t length = bounded(step->arg[1], LONGEST);
    fill(bytes_out, length, step->stamp);
    int count = make_vector(step->arg[2], bytes_out, length, vector);
    result_set(result, writev(slot_of(step), vector, count));
}

void call_badsend(const struct step *step, struct result *result)
{
    struct sockaddr_un to;
    struct iovec vector[3] = {{bytes_out, 8}, {bad, 8}, {bytes_out, 8}};
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = 3};
    int fd = slot_of(step);
    memset(bytes_out, 0, 64);
    if (step->arg[2] >= 0) {
        message.msg_namelen = name_make(step->arg[2], &to);
        message.msg_name = &to;
    }
    switch (step->arg[1]) {
    case 0:
        result_set(result, send(fd, bad, 16, 0));
        break;
    case 1:
        result_set(result, sendmsg(fd, &message, 0));
        break;
    case 2:
        message.msg_iov = bad;
        result_set(result, sendmsg(fd, &message, 0));
        break;
    case 3:
        message.msg_iovlen = UIO_MAXIOV + 1;
        result_set(result, sendmsg(fd, &message, 0));
        break;
    case 4:
        result_set(result, sendto(fd, bytes_out, 8, 0, bad, sizeof(to)));
        break;
    case 5:
        result_set(result, sendto(fd, bytes_out, 8, 0, (struct sockaddr *)&to, 1));
        break;
    case 6:
        to = (struct sockaddr_un){.sun_family = AF_UNIX};
        result_set(result, sendto(fd, bytes_out, 8, 0, (struct sockaddr *)&to, sizeof(sa_family_t)));
        break;
    case 7:
        to = (struct sockaddr_un){.sun_family = AF_UNSPEC};
        result_set(result, sendto(fd, bytes_out, 8, 0, (struct sockaddr *)&to, sizeof(to)));
        break;
    case 8:
        result_set(result, writev(fd, vector, 3));
        break;
    case 9:
        result_set(result, writev(fd, vector, minus));
        break;
    case 10:
        result_set(result, sendmsg(fd, bad, 0));
        break;
    case 11:
        result_set(result, send(fd, bytes_out, 8, MSG_OOB));
        break;
    case 12:
        vector[1].iov_len = SIZE_MAX;
        vector[1].iov_base = bytes_out;
        result_set(result, sendmsg(fd, &message, 0));
        break;
    case 13:
        message.msg_namelen = sizeof(to) + 1;
        message.msg_name = message.msg_name ? &to : NULL;
        vector[1].iov_base = bytes_out;
        result_set(result, sendmsg(fd, &message, 0));
        break;
    case 14:
        result_set(result, send(fd, NULL, 0, 0));
        break;
    case 15:
        result_set(result, sendmmsg(fd, bad, 2, 0));
        break;
    default:
        result_set(result, pwrite(fd, bytes_out, 8, 0));
        break;
    }
}

/* ---- Receiving --------------------------------------------------------------------------------------------------- */

void call_recv(const struct step *step, struct result *result)
{
    size_t room = bounded(step->arg[1], LONGEST);
    clear_in(room);
    int64_t begun = now_us();
    result_set(result, recv(slot_of(step), bytes_in, room, step->arg[2]));
    result->is_early = result->error == EAGAIN && now_us() - begun < 1500 && /* of 2 ms */
                       !(step->arg[2] & MSG_DONTWAIT) && !(fcntl(slot_of(step), F_GETFL) & O_NONBLOCK);
    note_bytes(result, room);
}

void call_recvfrom(const struct step *step, struct result *result)
{
    struct sockaddr_un from;
    memset(&from, 0xa5, sizeof(from));
    socklen_t room_for_name = (socklen_t)step->arg[3];
    size_t room = bounded(step->arg[1], LONGEST);
    clear_in(room);
    result_set(result, recvfrom(slot_of(step), bytes_in, room, step->arg[2], (struct sockaddr *)&from, &room_for_name));
    if (result->value >= 0)
        name_show(result, &from, room_for_name);
    if (step->arg[3] >= 0 && step->arg[3] < (int)sizeof(from))
        result->extra[0] = ((char *)&from)[step->arg[3]]; /* what lies beyond is the program's */
    note_bytes(result, room);
}

static int actor_of(pid_t pid)
{
    for (int i = 0; i < ACTORS; i++) {
        if (stage->box[i].pid == pid)
            return i + 1;
    }
    return pid == 0 ? 100 : 99;
}

static void note_control(struct result *result, struct msghdr *message)
{
    int at = 1;
    result->extra[0] = (int)message->msg_controllen;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head && at + 3 < 16; head = CMSG_NXTHDR(message, head)) {
        result->extra[at++] = head->cmsg_type;
        result->extra[at++] = (int)head->cmsg_len;
        if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_CREDENTIALS) {
            struct ucred theirs = {0};
            memcpy(&theirs, CMSG_DATA(head), sizeof(theirs));
            result->extra[at++] = head->cmsg_len >= CMSG_LEN(sizeof(theirs)) ? actor_of(theirs.pid) : 0;
            result->extra[at++] = (int)theirs.uid;
        } else if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
            for (size_t i = 0; i + sizeof(int) <= head->cmsg_len - CMSG_LEN(0); i += sizeof(int)) {
                int fd;
                memcpy(&fd, CMSG_DATA(head) + i, sizeof(fd));
                result->extra[at - 1] += (fcntl(fd, F_GETFD) & FD_CLOEXEC) * 1000;
                close(fd);
            }
        }
    }
}

void call_recvmsg(const struct step *step, struct result *result)
{
    struct sockaddr_un from;
    struct iovec vector[VECTORS];
    char control[256] __attribute__((aligned(8)));
    size_t room = bounded(step->arg[1], LONGEST);
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = vector, .msg_flags = 0x7000000};
    clear_in(room);
    message.msg_iovlen = (size_t)make_vector(step->arg[3], bytes_in, room, vector);
    if (step->arg[4] > 0) {
        message.msg_control = control;
        message.msg_controllen = bounded(step->arg[4], sizeof(control));
    }
    result_set(result, recvmsg(slot_of(step), &message, step->arg[2]));
    result->flags = (uint32_t)message.msg_flags;
    result->count = (int)message.msg_namelen;
    if (result->value >= 0) {
        name_show(result, &from, message.msg_namelen);
        note_control(result, &message);
        note_bytes(result, step->arg[3] == 4 ? 0 : room);
    }
}

void call_recvmmsg(const struct step *step, struct result *result)
{
    struct sockaddr_un from[BATCH];
    struct iovec vector[BATCH];
    struct mmsghdr messages[BATCH] = {0};
    size_t room = bounded(step->arg[1], LONGEST / BATCH);
    int count = (int)bounded(step->arg[3], BATCH);
    clear_in(room * BATCH);
    for (int i = 0; i < count; i++) {
        vector[i] = (struct iovec){bytes_in + (size_t)i * room, room};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &from[i], .msg_namelen = sizeof(from[i]), .msg_iov = &vector[i], .msg_iovlen = 1};
    }
    result_set(result, recvmmsg(slot_of(step), messages, (unsigned)count, step->arg[2], NULL));
    for (int i = 0; i < result->value; i++) {
        result->extra[i * 3] = (int)messages[i].msg_len;
        result->extra[i * 3 + 1] = messages[i].msg_hdr.msg_flags;
        result->extra[i * 3 + 2] = (int)messages[i].msg_hdr.msg_namelen;
        name_show(result, &from[i], messages[i].msg_hdr.msg_namelen);
    }
    note_bytes(result, room * BATCH);
}

void call_read(const struct step *step, struct result *result)
{
    size_t room = bounded(step->arg[1], LONGEST);
    clear_in(room);
    result_set(result, read(slot_of(step), bytes_in, room));
    note_bytes(result, room);
}

void call_readv(const struct step *step, struct result *result)
{
    struct iovec vector[VECTORS];
    size_t room = bounded(step->arg[1], LONGEST);
    clear_in(room);
    int count = make_vector(step->arg[2], bytes_in, room, vector);
    result_set(result, readv(slot_of(step), vector, count));
    note_bytes(result, count == 0 ? 0 : room);
}

/* All that there is, without waiting. */
void call_drain(const struct step *step, struct result *result)
{
    ssize_t got;
    while ((got = recv(slot_of(step), bytes_in, LONGEST, MSG_DONTWAIT)) >= 0 && result->count < QUEUE_MAX) {
        uint32_t stamp = 0;
        memcpy(&stamp, bytes_in, (size_t)got < sizeof(stamp) ? (size_t)got : sizeof(stamp));
        result->hash = (result->hash ^ hash_of(bytes_in, (size_t)got)) * 31;
        if (result->count < 15)
            result->extra[result->count + 1] = (int)stamp;
        result->count++;
    }
    result_set(result, got);
}

void call_badrecv(const struct step *step, struct result *result)
{
    struct sockaddr_un from;
    struct iovec vector[2] = {{bad, 8}, {bytes_in, 8}};
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = 2};
    socklen_t length = sizeof(from);
    int fd = slot_of(step);
    clear_in(64);
    switch (step->arg[1]) {
    case 0:
        result_set(result, recv(fd, bad, 16, MSG_DONTWAIT));
        break;
    case 1:
        result_set(result, recvmsg(fd, &message, MSG_DONTWAIT));
        break;
    case 2:
        message.msg_iov = bad;
        result_set(result, recvmsg(fd, &message, MSG_DONTWAIT));
        break;
    case 3:
        message.msg_iovlen = UIO_MAXIOV + 1;
        result_set(result, recvmsg(fd, &message, MSG_DONTWAIT));
        break;
    case 4:
        result_set(result, recvfrom(fd, bytes_in, 8, MSG_DONTWAIT, (struct sockaddr *)&from, bad));
        break;
    case 5:
        result_set(result, recvfrom(fd, bytes_in, 8, MSG_DONTWAIT, bad, &length));
        break;
    case 6:
        length = (socklen_t)-1;
        result_set(result, recvfrom(fd, bytes_in, 8, MSG_DONTWAIT, (struct sockaddr *)&from, &length));
        break;
    case 7:
        result_set(result, recvmsg(fd, bad, MSG_DONTWAIT));
        break;
    case 8:
        result_set(result, recv(fd, bytes_in, 8, MSG_DONTWAIT | MSG_OOB));
        break;
    case 9:
        result_set(result, recv(fd, bytes_in, 8, MSG_DONTWAIT | MSG_ERRQUEUE));
        break;
    case 10:
        result_set(result, recv(fd, NULL, 0, MSG_DONTWAIT | MSG_PEEK));
        break;
    case 11:
        result_set(result, readv(fd, vector, minus));
        break;
    case 12:
        result_set(result, ioctl(fd, FIONREAD, bad));
        break;
    case 13:
        result_set(result, recvmmsg(fd, bad, 2, MSG_DONTWAIT, NULL));
        break;
    case 14:
        result_set(result, recvfrom(fd, bytes_in, 8, MSG_DONTWAIT, NULL, &length));
        break;
    default:
        result_set(result, pread(fd, bytes_in, 8, 0));
        break;
    }
}
