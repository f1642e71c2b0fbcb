/* Options that add control messages, set while datagrams wait: what the kernel adds to those. */
#include "support/control.h"
#include "support/pair.h"

#include <stdint.h>
#include <string.h>
#include <time.h>

/* Of programs whose time has 64 bits on every processor. */
#define TIMESTAMP_64_BIT 63
#define TIMESTAMPNS_64_BIT 64

#define ROOM 256

/* recvmsg() of a datagram into so much room, zeroed before. */
struct late {
    int flags;
    size_t used;
    int level, type; /* of the first one */
    size_t length;
    size_t count;
    _Alignas(struct cmsghdr) char control[ROOM];
};

static struct late receive_late(const struct pair *pair, const char *text, size_t room, int flags)
{
    struct late late = {.count = 0};
    char data[16] = "";
    struct iovec part = {.iov_base = data, .iov_len = sizeof(data) - 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = room > 0 ? late.control : NULL, .msg_controllen = room};
    assert_result(recvmsg(pair->near.fd, &message, flags | MSG_DONTWAIT), (long)strlen(text));
    assert_string_equal(data, text);
    late.flags = message.msg_flags;
    late.used = message.msg_controllen;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at)) {
        if (late.count++ == 0) {
            late.level = at->cmsg_level;
            late.type = at->cmsg_type;
            late.length = at->cmsg_len;
        }
    }
    return late;
}

static void say_some(const struct pair *pair)
{
    end_tell(&pair->far, &pair->near, "one");
    end_tell(&pair->far, &pair->near, "two");
    end_tell(&pair->far, &pair->near, "three");
    end_tell(&pair->far, &pair->near, "four");
}

/* What has one message of this kind, whole, cut off, and not at all. */
static void check_kind(const struct pair *pair, int type, size_t length)
{
    struct late late = receive_late(pair, "one", ROOM, 0);
    assert_int_equal(late.flags, 0);
    assert_int_equal(late.count, 1);
    assert_int_equal(late.used, CMSG_SPACE(length));
    assert_int_equal(late.level, SOL_SOCKET);
    assert_int_equal(late.type, type);
    assert_int_equal(late.length, CMSG_LEN(length));
    late = receive_late(pair, "two", CMSG_LEN(4), 0);
    assert_int_equal(late.flags, MSG_CTRUNC);
    assert_int_equal(late.used, CMSG_LEN(4));
    assert_int_equal(late.length, CMSG_LEN(4));
    late = receive_late(pair, "three", 8, 0);
    assert_int_equal(late.flags, MSG_CTRUNC);
    assert_int_equal(late.used, 0);
    late = receive_late(pair, "four", 0, 0);
    assert_int_equal(late.flags, MSG_CTRUNC);
    assert_int_equal(late.used, 0);
}

static void credentials_are_nobodys(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    say_some(&pair);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_PASSCRED, 1), 0);
    struct ucred nobody;
    struct late late = receive_late(&pair, "one", ROOM, MSG_PEEK);
    memcpy(&nobody, late.control + CMSG_LEN(0), sizeof(nobody));
    assert_int_equal(nobody.pid, 0);
    assert_int_equal(nobody.uid, 65534);
    assert_int_equal(nobody.gid, 65534);
    check_kind(&pair, SCM_CREDENTIALS, sizeof(nobody));
    assert_empty(pair.near.fd);
}

static void credentials_are_asked_for_no_more(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    say_some(&pair);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_PASSCRED, 1), 0);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_PASSCRED, 0), 0);
    struct late late = receive_late(&pair, "one", ROOM, 0);
    assert_int_equal(late.used, 0);
    late = receive_late(&pair, "two", 0, 0);
    assert_int_equal(late.flags, 0);
}

static void what_is_longer_than_its_room_is_cut_off_as_well(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    say_some(&pair);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_PASSCRED, 1), 0);
    char data[1];
    struct iovec part = {.iov_base = data, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    assert_result(recvmsg(pair.near.fd, &message, 0), 1);
    assert_int_equal(message.msg_flags, MSG_TRUNC | MSG_CTRUNC);
    assert_receives(pair.near.fd, "two");
}

static void times_are_those_of_the_receive(void **state)
{
    (void)state;
    static const struct {
        int option, type;
        int64_t unit;
    } kinds[] = {
        {SO_TIMESTAMP, SO_TIMESTAMP, 1000},
        {SO_TIMESTAMPNS, SO_TIMESTAMPNS, 1},
        {TIMESTAMP_64_BIT, TIMESTAMP_64_BIT, 1000},
        {TIMESTAMPNS_64_BIT, TIMESTAMPNS_64_BIT, 1},
    };
    for (int i = 0; i < 4; i++) {
        struct pair pair = pair_new(PAIR_PLAIN);
        bool is_wide = kinds[i].option >= TIMESTAMP_64_BIT || sizeof(time_t) > sizeof(long);
        size_t length = is_wide ? 2 * sizeof(int64_t) : 2 * sizeof(long);
        struct timespec before, after;
        say_some(&pair);
        clock_gettime(CLOCK_REALTIME, &before);
        assert_result(end_set(&pair.near, SOL_SOCKET, kinds[i].option, 1), 0);
        struct late late = receive_late(&pair, "one", ROOM, MSG_PEEK);
        clock_gettime(CLOCK_REALTIME, &after);
        int64_t wide[2];
        long narrow[2];
        memcpy(wide, late.control + CMSG_LEN(0), sizeof(wide));
        memcpy(narrow, late.control + CMSG_LEN(0), sizeof(narrow));
        int64_t seconds = is_wide ? wide[0] : narrow[0], part = is_wide ? wide[1] : narrow[1];
        assert_in_range(seconds, before.tv_sec, after.tv_sec);
        if (before.tv_sec == after.tv_sec)
            assert_in_range(part, before.tv_nsec / kinds[i].unit, after.tv_nsec / kinds[i].unit);
        check_kind(&pair, kinds[i].type, length);
        assert_empty(pair.near.fd);
    }
}

static void times_come_before_credentials(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    say_some(&pair);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_PASSCRED, 1), 0);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_TIMESTAMP, 1), 0);
    struct late late = receive_late(&pair, "one", ROOM, 0);
    assert_int_equal(late.count, 2);
    assert_int_equal(late.type, SO_TIMESTAMP);
    late = receive_late(&pair, "two", late.used - CMSG_SPACE(sizeof(struct ucred)), 0);
    assert_int_equal(late.count, 1);
    assert_int_equal(late.flags, MSG_CTRUNC);
}

static const struct CMUnitTest tests[] = {
    EVERY(credentials_are_nobodys),
    BOTH(credentials_are_asked_for_no_more),
    BOTH(what_is_longer_than_its_room_is_cut_off_as_well),
    EVERY(times_are_those_of_the_receive),
    BOTH(times_come_before_credentials),
};

CONTRACT_SUITE(ancillary_late, tests);
