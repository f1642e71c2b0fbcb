#include "channel/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "platform/sys.h"
#include "runtime/libc.h"

bool hqq_identity_look_up(const char *path, struct hqq_inode *ret_inode)
{
    struct statx status;
    if (hqq_libc.syscall(SYS_statx, AT_FDCWD, path, 0, HQQ_INODE_MASK, &status) != 0)
        return false;
    *ret_inode = hqq_inode_of(&status);
    return true;
}

/* ---- Abstract names ---------------------------------------------------------------------------------------------- */

/* "address: references protocol flags type state inode path": the path is all that is left of the line. */
#define LINE_MAX_LENGTH 256
#define CHUNK 256

/* As the list shows it: every NUL is an @. */
static size_t show(const struct sockaddr_un *name, socklen_t length, char *to)
{
    size_t bytes = length - offsetof(struct sockaddr_un, sun_path);
    for (size_t i = 0; i < bytes; i++)
        to[i] = name->sun_path[i] == '\0' ? '@' : name->sun_path[i];
    return bytes;
}

/* True if the line is of a datagram socket that has this name. */
static bool is_line_of(const char *line, const char *shown, size_t bytes, uint64_t *ret_socket)
{
    enum { TYPE = 4, SOCKET = 6, FIELDS };
    const char *field[FIELDS + 1];
    for (int i = 0; i <= FIELDS; i++) {
        line += strspn(line, " ");
        field[i] = line;
        line += strcspn(line, " ");
    }
    if (strtoul(field[TYPE], NULL, 16) != SOCK_DGRAM || strlen(field[FIELDS]) != bytes ||
        memcmp(field[FIELDS], shown, bytes) != 0)
        return false;
    *ret_socket = strtoull(field[SOCKET], NULL, 10);
    return true;
}

/* The socket of that name; 0: none. False: the list can't be read. */
static bool look_up(int fd, const char *shown, size_t bytes, uint64_t *ret_socket)
{
    char chunk[CHUNK], line[LINE_MAX_LENGTH];
    size_t length = 0;
    ssize_t got;
    *ret_socket = 0;
    while ((got = hqq_sys.read(fd, chunk, sizeof(chunk))) > 0 || got == -EINTR) {
        for (ssize_t i = 0; i < got; i++) {
            if (chunk[i] != '\n') {
                if (length + 1 < sizeof(line))
                    line[length++] = chunk[i];
                continue;
            }
            line[length] = '\0';
            length = 0;
            if (is_line_of(line, shown, bytes, ret_socket))
                return true;
        }
    }
    return got == 0;
}

bool hqq_identity_has_abstract_name(uint64_t socket, const struct sockaddr_un *name, socklen_t length)
{
    char shown[sizeof(name->sun_path)];
    uint64_t found;
    if (socket == 0 || length <= offsetof(struct sockaddr_un, sun_path) || length > sizeof(*name))
        return true;
    size_t bytes = show(name, length, shown);
    if (memchr(shown, '\n', bytes)) /* it would break the list's line */
        return true;
    int fd = hqq_sys.open("/proc/self/net/unix", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return true;
    bool is_known = look_up(fd, shown, bytes, &found);
    hqq_sys.close(fd);
    return !is_known || found == socket;
}
