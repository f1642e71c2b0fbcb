/* Everything but moving data and waiting. */
#include "differential/differential.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

struct stage *stage;
int self;
int slots[SLOTS];

void result_set(struct result *result, int64_t value)
{
    int error = errno;
    result->value = value;
    result->error = value == -1 ? error : 0;
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

#define PATH_OFFSET offsetof(struct sockaddr_un, sun_path)

socklen_t name_make(int name, struct sockaddr_un *address)
{
    char *path = address->sun_path;
    size_t room = sizeof(address->sun_path);
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    if (name < 0) {
        address->sun_family = AF_UNSPEC;
        return sizeof(*address);
    }
    if (name < PATHS)
        snprintf(path, room, "%s/p%d", stage->folder, name);
    else if (name >= PATHS + 3)
        snprintf(path, room, "p%d", name - PATHS - 3);
    if (name < PATHS || name >= PATHS + 3) /* with its NUL, without it, and all of the structure */
        return name % 3 == 0   ? (socklen_t)(PATH_OFFSET + strlen(path) + 1)
               : name % 3 == 1 ? (socklen_t)(PATH_OFFSET + strlen(path))
                               : sizeof(*address);
    snprintf(path + 1, room - 1, "%s-a%d", stage->folder + strlen("/tmp/"), name);
    return (socklen_t)(PATH_OFFSET + 1 + strlen(path + 1));
}

void name_show(struct result *result, const struct sockaddr_un *address, socklen_t length)
{
    const char *path = address->sun_path;
    size_t folder = strlen(stage->folder);
    result->name_length = (int)length;
    if (length == 0)
        snprintf(result->name, sizeof(result->name), "none");
    else if (length <= PATH_OFFSET)
        snprintf(result->name, sizeof(result->name), "family");
    else if (path[0] == '\0' && length == PATH_OFFSET + 6)
        snprintf(result->name, sizeof(result->name), "@auto");
    else if (path[0] == '\0')
        snprintf(result->name, sizeof(result->name), "@%.2s", (const char *)address + length - 2);
    else if (strncmp(path, stage->folder, folder) == 0)
        snprintf(result->name, sizeof(result->name), "/%.20s", path + folder + 1);
    else
        snprintf(result->name, sizeof(result->name), "%.20s", path);
}

/* ---- Sockets ----------------------------------------------------------------------------------------------------- */

void call_socket(const struct step *step, struct result *result)
{
    slots[step->arg[0]] = socket(AF_UNIX, SOCK_DGRAM | step->arg[1], 0);
    result_set(result, slots[step->arg[0]]);
}

void call_close(const struct step *step, struct result *result)
{
    result_set(result, close(slots[step->arg[0]]));
    slots[step->arg[0]] = -1;
}

void call_bind(const struct step *step, struct result *result)
{
    struct sockaddr_un address;
    socklen_t length = name_make(step->arg[1], &address);
    result_set(result, bind(slots[step->arg[0]], (struct sockaddr *)&address, length));
}

void call_autobind(const struct step *step, struct result *result)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    result_set(result, bind(slots[step->arg[0]], (struct sockaddr *)&address, sizeof(sa_family_t)));
}

void call_connect(const struct step *step, struct result *result)
{
    struct sockaddr_un address;
    socklen_t length = name_make(step->arg[1], &address);
    result_set(result, connect(slots[step->arg[0]], (struct sockaddr *)&address, length));
}

void call_disconnect(const struct step *step, struct result *result)
{
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    result_set(result, connect(slots[step->arg[0]], &nowhere, sizeof(nowhere)));
}

void call_shutdown(const struct step *step, struct result *result)
{
    result_set(result, shutdown(slots[step->arg[0]], step->arg[1]));
}

static void show_name_of(int (*call)(int, struct sockaddr *, socklen_t *), int fd, struct result *result)
{
    struct sockaddr_un address;
    socklen_t length = sizeof(address);
    memset(&address, 0xa5, sizeof(address));
    result_set(result, call(fd, (struct sockaddr *)&address, &length));
    if (result->value == 0)
        name_show(result, &address, length);
}

void call_getsockname(const struct step *step, struct result *result)
{
    show_name_of(getsockname, slots[step->arg[0]], result);
}

void call_getpeername(const struct step *step, struct result *result)
{
    show_name_of(getpeername, slots[step->arg[0]], result);
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static const char *path_of(int name)
{
    static struct sockaddr_un address[2];
    static int turn;
    struct sockaddr_un *next = &address[turn++ % 2];
    name_make(name, next);
    return next->sun_path;
}

void call_unlink(const struct step *step, struct result *result)
{
    result_set(result, unlink(path_of(step->arg[0])));
}

void call_rename(const struct step *step, struct result *result)
{
    result_set(result, rename(path_of(step->arg[0]), path_of(step->arg[1])));
}

void call_chmod(const struct step *step, struct result *result)
{
    result_set(result, chmod(path_of(step->arg[0]), (mode_t)step->arg[1]));
}

/* ---- Descriptors ------------------------------------------------------------------------------------------------- */

void call_dup(const struct step *step, struct result *result)
{
    slots[step->arg[1]] = step->stamp % 2 ? dup(slots[step->arg[0]]) : fcntl(slots[step->arg[0]], F_DUPFD_CLOEXEC, 0);
    result_set(result, slots[step->arg[1]]);
}

void call_dup2(const struct step *step, struct result *result)
{
    int fd = slots[step->arg[1]];
    result_set(result, step->stamp % 2 ? dup2(slots[step->arg[0]], fd) : dup3(slots[step->arg[0]], fd, O_CLOEXEC));
}

void call_nonblock(const struct step *step, struct result *result)
{
    int fd = slots[step->arg[0]], on = step->arg[1];
    if (step->arg[2])
        result_set(result, ioctl(fd, FIONBIO, &on));
    else
        result_set(result, fcntl(fd, F_SETFL, on ? O_NONBLOCK : 0));
    result->extra[0] = fcntl(fd, F_GETFL);
    result->extra[1] = fcntl(fd, F_GETFD);
}

/* ---- Options ----------------------------------------------------------------------------------------------------- */

void call_setsockopt(const struct step *step, struct result *result)
{
    int fd = slots[step->arg[0]], option = step->arg[1], value = step->arg[2];
    struct timeval time = {.tv_sec = value / 1000000, .tv_usec = value % 1000000};
    if (option == SO_RCVTIMEO || option == SO_SNDTIMEO)
        result_set(result, setsockopt(fd, SOL_SOCKET, option, &time, sizeof(time)));
    else
        result_set(result, setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)));
}

void call_getsockopt(const struct step *step, struct result *result)
{
    int value[8] = {0}, option = step->arg[1];
    socklen_t length = sizeof(value);
    result_set(result, getsockopt(slots[step->arg[0]], SOL_SOCKET, option, value, &length));
    result->count = (int)length;
    if (option == SO_PEERCRED)
        value[0] = value[0] == 0 ? 0 : 1; /* the process, which each troupe has of its own */
    memcpy(result->extra, value, sizeof(value));
}

void call_fionread(const struct step *step, struct result *result)
{
    int bytes = -7;
    result_set(result, ioctl(slots[step->arg[0]], FIONREAD, &bytes));
    result->count = bytes;
}
