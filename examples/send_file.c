/*
 * A file larger than either end wants in memory: sent piece by piece, and taken piece by piece.
 *
 * The sender says how long the message will be and then writes pieces of it; the receiver has set a function that takes
 * them as they come. Neither ever holds more than a piece, and the sender stays at most a window ahead. Where STREAMING
 * was agreed on, not even max_message bounds the length.
 *
 * The child sends a file that was made or named; the parent compares. Exit status 0 if all of it came.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/hqq.h>

#define SOON (hqq_clock_ns() + UINT64_C(10000000000)) /* ten seconds from now */

enum { PIECE = 64 << 10, MADE = 6 << 20 };

static void check(int result, const char *what)
{
    if (result != 0) {
        fprintf(stderr, "%s: %s\n", what, hqq_strerror(result));
        exit(EXIT_FAILURE);
    }
}

/* Both processes have the descriptor, and with it one position; pread() needs none. */
static int make_file(void)
{
    FILE *file = tmpfile();
    for (uint32_t i = 0; file && i < MADE / sizeof(i); i++)
        (void)fwrite(&i, sizeof(i), 1, file);
    return !file || fflush(file) != 0 ? -1 : fileno(file);
}

static void send_file(struct hqq_advanced *advanced, int file, uint64_t total)
{
    static char piece[PIECE];
    struct hqq_outgoing *outgoing;
    uint64_t sent = 0;

    check(hqq_advanced_negotiate(advanced, SOON), "negotiating");
    check(hqq_outgoing_begin(advanced, 0, total, &outgoing), "beginning");
    while (sent < total) {
        ssize_t length = pread(file, piece, total - sent < PIECE ? total - sent : PIECE, (off_t)sent);
        if (length <= 0) { /* shorter than it was: the receiver drops what it has */
            hqq_outgoing_abort(outgoing);
            return;
        }
        check(hqq_outgoing_write(outgoing, piece, (size_t)length, SOON), "sending a piece");
        sent += (uint64_t)length;
    }
    check(hqq_outgoing_finish(outgoing, HQQ_FOREVER), "finishing");
}

struct progress {
    int file; /* to compare with */
    uint64_t percent;
    bool is_over, is_right;
};

/* A hqq_stream_fn. It holds the whole link up, so it does no more than it must; anything but 0 ends the message. */
static int take_piece(const struct hqq_stream_piece *piece, void *arg)
{
    static char expected[PIECE];
    struct progress *progress = arg;
    uint64_t come = piece->offset + piece->length;
    uint64_t percent = piece->total != 0 ? come * 100 / piece->total : 100;

    if (percent / 10 != progress->percent / 10) /* a line for each tenth */
        printf("%llu of %llu bytes, %llu %%\n", (unsigned long long)come, (unsigned long long)piece->total,
               (unsigned long long)percent);
    progress->percent = percent;
    progress->is_over = piece->event == HQQ_STREAM_END || piece->event == HQQ_STREAM_FAILED;
    if (piece->event == HQQ_STREAM_FAILED)
        progress->is_right = false;
    if (piece->event == HQQ_STREAM_DATA) /* never more than a slot */
        progress->is_right &=
            pread(progress->file, expected, piece->length, (off_t)piece->offset) == (ssize_t)piece->length &&
            memcmp(expected, piece->data, piece->length) == 0;
    return 0;
}

int main(int argc, char **argv)
{
    int file = argc > 1 ? open(argv[1], O_RDONLY) : make_file();
    struct progress progress = {.file = file, .is_right = true};
    struct hqq_advanced *advanced;
    struct hqq_link *link;
    struct stat about;
    int fd, status;

    check(fstat(file, &about) != 0 ? -errno : 0, "the file");
    check(hqq_link_create_fd(NULL, &fd, &link), "making the link");
    pid_t child = fork();
    check(child < 0 ? -errno : 0, "fork");
    if (child == 0) {
        hqq_link_close(link); /* the parent's stays as it is */
        check(hqq_link_attach_fd(fd, NULL, &link), "opening the other end");
        check(hqq_advanced_open(link, NULL, &advanced), "taking the link over");
        send_file(advanced, file, (uint64_t)about.st_size);
        hqq_advanced_close(advanced); /* what lies in the link can still be taken */
        _exit(EXIT_SUCCESS);
    }
    check(hqq_advanced_open(link, NULL, &advanced), "taking the link over");
    check(hqq_advanced_set_stream(advanced, 0, take_piece, &progress), "setting the receiver");
    check(hqq_advanced_accept_negotiation(advanced, SOON), "negotiating");
    while (!progress.is_over)
        check(hqq_advanced_process(advanced, SOON), "receiving");
    hqq_advanced_close(advanced);
    return waitpid(child, &status, 0) == child && status == 0 && progress.is_right ? EXIT_SUCCESS : EXIT_FAILURE;
}
