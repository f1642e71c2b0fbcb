#include "tools/counters/read.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hqq/socket.h>

#define FIGURE(member, text)                                                                                           \
    {                                                                                                                  \
#member, offsetof(struct hqq_counters, member), text                                                           \
    }

const struct counters_figure_info counters_figures[FIGURES] = {
    FIGURE(sent_ring, "datagrams sent through shared memory"),
    FIGURE(sent_ring_bytes, "bytes sent through shared memory"),
    FIGURE(sent_kernel, "datagrams sent through the kernel"),
    FIGURE(withdrawn, "datagrams published and withdrawn, as the receiver was asleep"),
    FIGURE(spills, "times a full ring sent the sender back to the kernel"),
    FIGURE(switches, "times the sender went from the kernel to the ring"),
    FIGURE(resent, "datagrams of a ring that nobody reads, sent again through the kernel"),
    FIGURE(received_ring, "datagrams received through shared memory"),
    FIGURE(received_ring_bytes, "bytes received through shared memory"),
    FIGURE(received_kernel, "datagrams received through the kernel"),
    FIGURE(trials, "times that rings began to be polled"),
    FIGURE(sleeps, "waits that ended up sleeping in the kernel"),
    FIGURE(spins_won, "waits that ended before they had to sleep"),
    FIGURE(suspended, "times that rings could not be used any more"),
    FIGURE(links_offered, "links offered to the other end"),
    FIGURE(links_opened, "links opened"),
    FIGURE(links_refused, "links that the other end refused"),
};

_Static_assert(sizeof(((struct hqq_counters *)0)->bound) == HQQ_COUNTERS_NAME, "names are bounded by this");

/* ---- Text ------------------------------------------------------------------------------------------------------ */

/* The length of the character at text, if it is well-formed UTF-8 beyond ASCII and no control character; else 0. */
static size_t character_length(const unsigned char *text, size_t length)
{
    static const uint32_t lowest[] = {0, 0, 0xa0, 0x800, 0x10000};
    size_t size = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4 || size > length)
        return 0;
    uint32_t code = text[0] & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3fu);
    }
    /* Line separators and what changes the direction of text are no better than control characters. */
    bool is_control = (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
                      (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
    bool is_bad = code < lowest[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff);
    return is_bad || is_control ? 0 : size;
}

char *counters_printable(TALLOC_CTX *parent, const char *text, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    char *printable = talloc_size(parent, 4 * length + 1), *to = printable;
    if (!printable)
        return NULL;
    const unsigned char *from = (const unsigned char *)text, *end = from + length;
    while (from < end) {
        size_t size = *from >= ' ' && *from < 0x7f && *from != '\\' ? 1 : 0;
        if (*from >= 0x80)
            size = character_length(from, (size_t)(end - from));
        if (size > 0) {
            to = mempcpy(to, from, size);
            from += size;
        } else {
            *to++ = '\\';
            *to++ = 'x';
            *to++ = digits[*from >> 4];
            *to++ = digits[*from & 15];
            from++;
        }
    }
    *to = '\0';
    return printable;
}

/* An abstract name is written with an @ for its NUL. */
static const char *socket_name(TALLOC_CTX *parent, const char name[HQQ_COUNTERS_NAME], uint32_t length)
{
    char copy[HQQ_COUNTERS_NAME];
    if (length > HQQ_COUNTERS_NAME)
        length = HQQ_COUNTERS_NAME;
    memcpy(copy, name, length);
    if (length > 1 && copy[0] == '\0')
        copy[0] = '@';
    else
        length = (uint32_t)strnlen(copy, length);
    return counters_printable(parent, copy, length);
}

/* ---- Entries --------------------------------------------------------------------------------------------------- */

static bool has_figures(const struct counters_socket *socket)
{
    for (size_t i = 0; i < FIGURES; i++) {
        if (socket->figures[i] != 0)
            return true;
    }
    return false;
}

static int read_socket(struct counters_process *process, const struct hqq_counters *entry, uint32_t index)
{
    struct counters_socket *socket = &process->sockets[process->count];
    uint32_t state = hqq_load32_relaxed(&entry->state);
    if (state != HQQ_COUNTERS_LIVE && state != HQQ_COUNTERS_CLOSED)
        return 0;
    *socket = (struct counters_socket){
        .index = index,
        .is_live = state == HQQ_COUNTERS_LIVE,
        .fd = hqq_load32_relaxed(&entry->fd),
        .cookie = hqq_load_relaxed(&entry->cookie),
        .reason = hqq_load32_relaxed(&entry->reason),
        .links = hqq_load32_relaxed(&entry->links),
        .bound = socket_name(process->sockets, entry->bound, hqq_load32_relaxed(&entry->bound_length)),
        .peer = socket_name(process->sockets, entry->peer, hqq_load32_relaxed(&entry->peer_length)),
    };
    for (size_t i = 0; i < FIGURES; i++)
        memcpy(&socket->figures[i], (const char *)entry + counters_figures[i].offset, sizeof(uint64_t));
    if (!socket->bound || !socket->peer)
        return -ENOMEM;
    process->count++;
    return 0;
}

/* An unused entry of a socket that has another one. */
static bool is_shadow(const struct counters_process *process, const struct counters_socket *socket)
{
    if (socket->cookie == 0 || has_figures(socket))
        return false;
    for (size_t i = 0; i < process->count; i++) {
        const struct counters_socket *other = &process->sockets[i];
        if (other != socket && other->cookie == socket->cookie && (has_figures(other) || other->index > socket->index))
            return true;
    }
    return false;
}

static void drop_shadows(struct counters_process *process)
{
    size_t i = 0;
    while (i < process->count) {
        if (is_shadow(process, &process->sockets[i])) {
            process->count--;
            memmove(&process->sockets[i], &process->sockets[i + 1], (process->count - i) * sizeof(process->sockets[0]));
        } else {
            i++;
        }
    }
}

static bool is_of_this_version(const struct hqq_counters_head *head)
{
    return hqq_load_relaxed(&head->magic) == HQQ_COUNTERS_MAGIC && hqq_load_relaxed(&head->bytes) == sizeof(*head) &&
           hqq_load32_relaxed(&head->entry_count) == HQQ_COUNTERS_ENTRIES &&
           hqq_load32_relaxed(&head->entry_bytes) == sizeof(head->entry[0]);
}

/* By read(), not by a mapping: the owner may shrink the file at any time. */
static int read_all(int fd, void *memory, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t got = pread(fd, (char *)memory + at, size - at, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EPROTO;
        at += (size_t)got;
    }
    return 0;
}

static int read_head(const struct hqq_counters_head *head, struct counters_process *process)
{
    if (!is_of_this_version(head))
        return -EPROTO;
    process->pid = hqq_load_relaxed(&head->pid);
    process->started_ns = hqq_load_relaxed(&head->started_ns);
    process->log_level = hqq_load32_relaxed(&head->log_level);
    process->command = counters_printable(process, head->command, strnlen(head->command, sizeof(head->command)));
    process->sockets = talloc_array(process, struct counters_socket, HQQ_COUNTERS_ENTRIES);
    if (!process->command || !process->sockets)
        return -ENOMEM;
    for (uint32_t i = 0; i < HQQ_COUNTERS_ENTRIES; i++) {
        int result = read_socket(process, &head->entry[i], i);
        if (result != 0)
            return result;
    }
    drop_shadows(process);
    /* Names are children of the array, which shrinks to what is used; it may well stay as it is. */
    struct counters_socket *shrunk =
        talloc_realloc(process, process->sockets, struct counters_socket, (unsigned)process->count + 1);
    if (shrunk)
        process->sockets = shrunk;
    return 0;
}

int counters_read(TALLOC_CTX *parent, int fd, struct counters_process **ret_process)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        return -errno;
    if (!S_ISREG(stat.st_mode) || stat.st_size != (off_t)sizeof(struct hqq_counters_head))
        return -EPROTO;
    struct counters_process *process = talloc_zero(parent, struct counters_process);
    char *memory = process ? talloc_size(process, sizeof(struct hqq_counters_head) + HQQ_CACHE_LINE) : NULL;
    int result = -ENOMEM;
    if (memory) {
        struct hqq_counters_head *head = (void *)(memory + HQQ_CACHE_LINE - (uintptr_t)memory % HQQ_CACHE_LINE);
        result = read_all(fd, head, sizeof(*head));
        if (result == 0)
            result = read_head(head, process);
    }
    talloc_free(memory);
    if (result == 0)
        *ret_process = process;
    else
        talloc_free(process);
    return result;
}

/* ---- What it means --------------------------------------------------------------------------------------------- */

double counters_ring_share(const struct counters_socket *socket)
{
    double ring = (double)socket->figures[SENT_RING] + (double)socket->figures[RECEIVED_RING];
    double all = ring + (double)socket->figures[SENT_KERNEL] + (double)socket->figures[RECEIVED_KERNEL];
    return all > 0 ? 100 * ring / all : -1;
}

/* That a link has ended explains nothing about a socket that is closed, and had one. */
const char *counters_why(const struct counters_socket *socket)
{
    bool had_ring = socket->figures[SENT_RING] + socket->figures[RECEIVED_RING] > 0;
    if (socket->reason == HQQ_SOCKET_ACCELERATED || (had_ring && !socket->is_live))
        return NULL;
    return hqq_socket_reason_text((enum hqq_socket_reason)socket->reason);
}
