/*
 * Reservations: a place in the queue first, its content later.
 *
 *  - The order in which slots are reserved is the order in which they are read, whichever is committed first.
 *  - A slot that is aborted is skipped by the reader, who never hears of it.
 *  - A slot whose writer dies holding it is skipped too, once the writer is known to be dead.
 *
 * The child writes and then exits without closing, as a program that crashed would; the parent reads. Exit status 0 if
 * what it read is what was to be expected.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/hqq.h>

#define SECOND UINT64_C(1000000000)

static void check(int result, const char *what)
{
    if (result != 0) {
        fprintf(stderr, "%s: %s\n", what, hqq_strerror(result));
        exit(EXIT_FAILURE);
    }
}

static void require(bool is_right, const char *what)
{
    if (!is_right) {
        fprintf(stderr, "%s: not as it should be\n", what);
        exit(EXIT_FAILURE);
    }
}

static void reserve(struct hqq_link *link, struct hqq_slot *ret_slot)
{
    check(hqq_link_reserve(link, ret_slot), "reserving");
}

/* data is the slot's buffer and length its size, until the commit, which says how much of it is the datagram. */
static void commit(struct hqq_link *link, struct hqq_slot *slot, const char *text)
{
    memcpy(slot->data, text, strlen(text));
    check(hqq_link_commit(link, slot, strlen(text)), "committing");
}

static void write_and_die(int fd)
{
    struct hqq_slot first, second, third, lost;
    struct hqq_link *link;

    check(hqq_link_attach_fd(fd, NULL, &link), "opening the other end");
    reserve(link, &first);
    reserve(link, &second);
    reserve(link, &third);

    commit(link, &third, "third"); /* nobody can read it yet: the head of the queue is not published */
    check(hqq_link_abort(link, &second, 7), "aborting");
    commit(link, &first, "first"); /* now all three are passed */

    reserve(link, &lost); /* this one is never handed over */
    check(hqq_link_write(link, "last", 4), "writing");
    _exit(EXIT_SUCCESS); /* no hqq_link_close() */
}

/* Reads one datagram, which must be this text. */
static void expect(struct hqq_link *link, const char *text)
{
    char found[64];
    size_t length;

    check(hqq_link_read(link, found, sizeof(found), &length), "reading");
    printf("read \"%.*s\"\n", (int)length, found);
    require(length == strlen(text) && memcmp(found, text, length) == 0, "the text");
}

int main(void)
{
    struct hqq_link_config config = HQQ_LINK_CONFIG_INIT;
    struct hqq_link_stats stats;
    struct hqq_link *link;
    char text[64];
    size_t length;
    int fd, status;

    config.buffer_count = 8;
    config.buffer_size = 64;
    config.peer_check_ns = SECOND / 100; /* a reader that waits asks so often whether its peer lives */
    check(hqq_link_create_fd(&config, &fd, &link), "making the link");

    pid_t child = fork();
    if (child == 0) {
        hqq_link_close(link); /* the parent's stays as it is */
        write_and_die(fd);
    }
    check(child < 0 ? -errno : 0, "fork");
    close(fd);
    require(waitpid(child, &status, 0) == child && status == 0, "the child");

    check(hqq_link_set_read_timeout(link, 10 * SECOND), "setting a time-out");
    expect(link, "first");
    expect(link, "third");
    expect(link, "last");

    int result = hqq_link_read(link, text, sizeof(text), &length);
    printf("then: %s\n", hqq_strerror(result));
    require(result == HQQ_ERROR_PEER_DIED, "the end");

    hqq_link_get_stats(link, &stats);
    printf("%llu skipped, %llu of them taken back from the dead writer\n", (unsigned long long)stats.tombstones_skipped,
           (unsigned long long)stats.slots_recovered);
    require(stats.tombstones_skipped == 2 && stats.slots_recovered == 1, "the counts");
    hqq_link_close(link);
    return EXIT_SUCCESS;
}
