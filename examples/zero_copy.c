/*
 * Datagrams that are never copied: written and read where they lie in shared memory.
 *
 *  - hqq_link_write_with() calls a function that builds the datagram in the slot's buffer;
 *  - hqq_link_read_with() calls a function that looks at it there;
 *  - hqq_link_borrow() and hqq_link_release() do the same as two calls, for code that does not fit in a callback.
 *
 * Every slot that is held delays those behind it, so look, take what is needed, and let go. The other end can write to
 * a buffer while it is being looked at. Here it is our own child; from one that is not trusted, copy first what must
 * not change between a check and its use.
 *
 * The child sends rows of numbers, the parent adds them up. Exit status 0 if the sums are right.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/hqq.h>

#define SECOND UINT64_C(1000000000)

enum { ROWS = 6, COLUMNS = 1000 };

static void check(int result, const char *what)
{
    if (result != 0) {
        fprintf(stderr, "%s: %s\n", what, hqq_strerror(result));
        exit(EXIT_FAILURE);
    }
}

/* A hqq_write_fn: fills the buffer of a slot. Row number k is k, k + 1, k + 2, ... A result other than 0 would abort
 * the datagram, and the reader would never see it. */
static int fill_row(void *data, size_t capacity, size_t *ret_length, void *arg)
{
    uint32_t *row = data; /* buffers are aligned to 8 bytes */
    uint32_t number = *(const uint32_t *)arg;

    if (capacity < COLUMNS * sizeof(*row))
        return HQQ_ERROR_BUFFER_OVERFLOW;
    for (uint32_t i = 0; i < COLUMNS; i++)
        row[i] = number + i;
    *ret_length = COLUMNS * sizeof(*row);
    return 0;
}

/* A hqq_read_fn: its result is that of hqq_link_read_with(). */
static int add_row(const void *data, size_t length, void *arg)
{
    const uint32_t *row = data;
    uint64_t sum = 0;

    for (size_t i = 0; i < length / sizeof(*row); i++)
        sum += row[i];
    *(uint64_t *)arg = sum;
    return 0;
}

/* The same without a callback. The slot belongs to this thread from borrow to release. */
static int add_row_borrowed(struct hqq_link *link, uint64_t *ret_sum)
{
    struct hqq_slot slot;
    int result = hqq_link_borrow(link, &slot);

    if (result != 0)
        return result;
    add_row(slot.data, slot.length, ret_sum);
    return hqq_link_release(link, &slot);
}

static void send_rows(int fd)
{
    struct hqq_link *link;

    check(hqq_link_attach_fd(fd, NULL, &link), "opening the other end");
    check(hqq_link_set_write_timeout(link, 10 * SECOND), "setting a time-out");
    for (uint32_t number = 0; number < ROWS; number++)
        check(hqq_link_write_with(link, fill_row, &number), "sending a row");
    hqq_link_close(link);
}

int main(void)
{
    struct hqq_link_config config = HQQ_LINK_CONFIG_INIT;
    struct hqq_link *link;
    int fd, status;

    config.buffer_count = 4; /* fewer than there are rows: the child waits for slots to come free */
    config.buffer_size = COLUMNS * sizeof(uint32_t);
    check(hqq_link_create_fd(&config, &fd, &link), "making the link");

    pid_t child = fork();
    if (child == 0) {
        hqq_link_close(link); /* the parent's stays as it is */
        send_rows(fd);
        return EXIT_SUCCESS;
    }
    check(child < 0 ? -errno : 0, "fork");
    close(fd);

    check(hqq_link_set_read_timeout(link, 10 * SECOND), "setting a time-out");
    for (uint64_t number = 0; number < ROWS; number++) {
        uint64_t sum, expected = COLUMNS * number + (uint64_t)COLUMNS * (COLUMNS - 1) / 2;
        bool borrows = number % 2 != 0;
        int result = borrows ? add_row_borrowed(link, &sum) : hqq_link_read_with(link, add_row, &sum);

        check(result, "reading a row");
        printf("row %llu, %s: sum %llu, expected %llu\n", (unsigned long long)number,
               borrows ? "borrowed" : "by callback", (unsigned long long)sum, (unsigned long long)expected);
        if (sum != expected)
            return EXIT_FAILURE;
    }
    hqq_link_close(link);
    return waitpid(child, &status, 0) == child && status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
