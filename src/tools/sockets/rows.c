/*
 * The table of rows. Bounds: what the preload has to reach beside the plain socket; those of ROW_LIMIT are for a
 * machine whose cache line goes there and back in 110 to 140 ns.
 */
#include "tools/sockets/rows.h"

#define US 1e3
#define KB 1e3

#define NEVER_SLOWER "never-slower"
#define FAST "fast"
#define IDLE "idle"

/* A table, and what its lines are made of. */
/* clang-format off */
#define LINE(label, figure, unit, comparison, bound) {label, figure, unit, comparison, bound, false}
#define EACH(comparison, bound) LINE("a datagram, ns", SCENE_EACH, 1, comparison, bound)
#define TRIP(comparison, bound) LINE("a round trip, ns", SCENE_EACH, 1, comparison, bound)
#define RATE(bound) {"round trips, k/s", SCENE_RATE, 1e3, ROW_GAIN, bound, true}
#define CPU LINE("receiver's CPU, ns", SCENE_EACH, 1, ROW_COST, 1.05)
#define CYCLE LINE("CPU of it all, ns", SCENE_EACH, 1, ROW_COST, 1.05)
#define START LINE("a program, us", SCENE_EACH, US, ROW_COST, 1.1)
#define FORK LINE("fork and exit, us", SCENE_EACH, US, ROW_COST, 1.2)
#define PACED LINE("median, us", SCENE_P50, US, ROW_COST, 1.05), LINE("99th in 100, us", SCENE_P99, US, ROW_COST, 1.05)
#define CALLS(bound) \
    LINE("epoll_ctl, ns", 0, 1, ROW_COST, bound), LINE("dup + close, ns", 1, 1, ROW_COST, bound), \
    LINE("open + close, ns", 2, 1, ROW_COST, bound), LINE("poll, ns", 3, 1, ROW_COST, bound), \
    LINE("epoll_wait, ns", 4, 1, ROW_COST, bound), LINE("read, ns", 5, 1, ROW_COST, bound), \
    LINE("write, ns", 6, 1, ROW_COST, bound)

#define WAITER(name, by, how) \
    {"wait-" name, NEVER_SLOWER, "a receiver that waits by " how " for plain senders", \
     {.play = scene_waiter, .bytes = 64, .wait = (by)}, .lines = {CPU}}, \
    {"wait-" name "-10k", NEVER_SLOWER, "the same, 10,000 datagrams a second", \
     {.play = scene_waiter, .bytes = 64, .wait = (by), .rate = 10000}, .lines = {CPU}}
#define SET(name, by, number, what) \
    {"set-" name, NEVER_SLOWER, what " sockets without channels", \
     {.play = scene_sets, .bytes = 64, .wait = (by), .sockets = (number)}, \
     .need = ROW_NEEDS_DESCRIPTORS, .lines = {CYCLE}}

const struct row rows[] = {
    /* Where polling can't pay, nothing may be lost. */
    {"paced-10k", NEVER_SLOWER, "10,000 a second to an echo server, 3 threads on 2 CPUs",
     {.play = scene_paced, .bytes = 64, .place = SCENE_FREE, .rate = 10000}, .lines = {PACED}},
    {"paced-1k", NEVER_SLOWER, "1,000 a second to an echo server, 3 threads on 2 CPUs",
     {.play = scene_paced, .bytes = 64, .place = SCENE_FREE, .rate = 1000, .least_ms = 500}, .lines = {PACED}},
    {"pairs-2", NEVER_SLOWER, "2 pairs of processes ping-pong on 2 processors",
     {.play = scene_round_trip, .bytes = 64, .place = SCENE_FREE, .pairs = 2}, .lines = {RATE(1)}},
    {"pairs-4", NEVER_SLOWER, "4 pairs of processes ping-pong on 2 processors",
     {.play = scene_round_trip, .bytes = 64, .place = SCENE_FREE, .pairs = 4}, .lines = {RATE(1)}},
    {"fifo-round-trip", NEVER_SLOWER, "ping-pong, both ends SCHED_FIFO on one processor",
     {.play = scene_round_trip, .bytes = 64, .place = SCENE_TOGETHER, .pairs = 1, .is_fifo = true},
     .need = ROW_NEEDS_FIFO, .lines = {TRIP(ROW_GAIN, 1)}},
    {"fifo-stream", NEVER_SLOWER, "stream, both ends SCHED_FIFO on one processor",
     {.play = scene_stream, .bytes = 64, .place = SCENE_TOGETHER, .is_fifo = true},
     .need = ROW_NEEDS_FIFO, .lines = {EACH(ROW_GAIN, 1)}},
    {"one-cpu-round-trip", NEVER_SLOWER, "ping-pong, both ends on one processor",
     {.play = scene_round_trip, .bytes = 64, .place = SCENE_TOGETHER, .pairs = 1}, .lines = {TRIP(ROW_GAIN, 1)}},
    {"one-cpu-stream", NEVER_SLOWER, "stream, both ends on one processor",
     {.play = scene_stream, .bytes = 64, .place = SCENE_TOGETHER},
     .lines = {EACH(ROW_GAIN, 7.9), EACH(ROW_LIMIT, 50)}},
    WAITER("poll", SCENE_POLL, "poll()"),
    WAITER("select", SCENE_SELECT, "select()"),
    WAITER("epoll", SCENE_EPOLL, "epoll"),
    SET("100-poll", SCENE_POLL, 100, "one poll() over 100"),
    SET("1000-poll", SCENE_POLL, 1000, "one poll() over 1,000"),
    SET("5000-poll", SCENE_POLL, 5000, "one poll() over 5,000"),
    SET("100-epoll", SCENE_EPOLL, 100, "one epoll_wait() over 100"),
    SET("1000-epoll", SCENE_EPOLL, 1000, "one epoll_wait() over 1,000"),
    SET("5000-epoll", SCENE_EPOLL, 5000, "one epoll_wait() over 5,000"),
    {"sleepers", NEVER_SLOWER, "ping-pong of two sleepers: until it is served by polling",
     {.play = scene_sleepers, .bytes = 64, .pairs = 1}, .has_curve = true,
     .lines = {LINE("polled after, ms", SCENE_EACH, 1, ROW_LIMIT, 100)}},

    /* Close to the bare ring. */
    {"stream-64", FAST, "stream, 64 bytes, to a bound receiver",
     {.play = scene_stream, .bytes = 64}, .lines = {EACH(ROW_GAIN, 0), EACH(ROW_LIMIT, 50)}},
    {"stream-64-polled", FAST, "the same, calls with MSG_DONTWAIT",
     {.play = scene_stream, .bytes = 64, .wait = SCENE_POLLED}, .lines = {EACH(ROW_GAIN, 0), EACH(ROW_LIMIT, 50)}},
    {"connected-64", FAST, "stream, 64 bytes, two sockets connected to one another",
     {.play = scene_stream, .bytes = 64, .is_connected = true},
     .lines = {EACH(ROW_GAIN, 20), EACH(ROW_LIMIT, 50)}},
    {"batch-32", FAST, "stream, sendmmsg() and recvmmsg() of 32 times 64 bytes",
     {.play = scene_stream, .bytes = 64, .batch = 32}, .lines = {EACH(ROW_GAIN, 0), EACH(ROW_LIMIT, 20)}},
    {"round-trip-64", FAST, "round trip, 64 bytes, blocking calls",
     {.play = scene_round_trip, .bytes = 64, .pairs = 1}, .lines = {TRIP(ROW_GAIN, 150), TRIP(ROW_LIMIT, 300)}},
    {"round-trip-64-polled", FAST, "round trip, 64 bytes, calls with MSG_DONTWAIT",
     {.play = scene_round_trip, .bytes = 64, .pairs = 1, .wait = SCENE_POLLED},
     .lines = {TRIP(ROW_GAIN, 11), TRIP(ROW_LIMIT, 300)}},
    {"stream-1k", FAST, "stream, 1 KiB, beside a bare link",
     {.play = scene_stream, .bytes = 1024}, .beside = "link-stream",
     .lines = {EACH(ROW_GAIN, 0), EACH(ROW_BESIDE, 1.15)}},
    {"round-trip-1k", FAST, "round trip, 1 KiB, beside a bare link",
     {.play = scene_round_trip, .bytes = 1024, .pairs = 1}, .beside = "link-roundtrip",
     .lines = {TRIP(ROW_GAIN, 0), TRIP(ROW_BESIDE, 1.15)}},
    {"stream-60000", FAST, "stream, 60,000 bytes",
     {.play = scene_stream, .bytes = 60000}, .lines = {EACH(ROW_GAIN, 0)}},
    {"connected-64k", FAST, "stream, 64 KiB, connected, beside a bare link",
     {.play = scene_stream, .bytes = 65536, .is_connected = true}, .beside = "link-stream",
     .lines = {EACH(ROW_GAIN, 2), EACH(ROW_BESIDE, 1.1)}},
    {"crowd-1", FAST, "one way, 1 busy client of a server",
     {.play = scene_crowd, .bytes = 64, .clients = 1, .processes = 1}, .lines = {EACH(ROW_GAIN, 0)}},
    {"crowd-100", FAST, "one way, 100 busy clients, beside one",
     {.play = scene_crowd, .bytes = 64, .clients = 100, .processes = 1}, .beside = "crowd-1",
     .lines = {EACH(ROW_GAIN, 0), EACH(ROW_BESIDE, 0)}},
    {"crowd-1000", FAST, "one way, 1,000 busy clients, beside one",
     {.play = scene_crowd, .bytes = 64, .clients = 1000, .processes = 1}, .beside = "crowd-1",
     .need = ROW_NEEDS_DESCRIPTORS, .lines = {EACH(ROW_GAIN, 0), EACH(ROW_BESIDE, 2)}},
    {"crowd-1000-of-4", FAST, "one way, 1,000 busy clients in 4 processes, beside one",
     {.play = scene_crowd, .bytes = 64, .clients = 1000, .processes = 4}, .beside = "crowd-1",
     .need = ROW_NEEDS_DESCRIPTORS, .lines = {EACH(ROW_GAIN, 0), EACH(ROW_BESIDE, 0)}},
    {"answered-1", FAST, "answered, 1 client",
     {.play = scene_crowd, .bytes = 64, .clients = 1, .processes = 1, .is_answered = true},
     .lines = {TRIP(ROW_GAIN, 0)}},
    {"answered-100", FAST, "answered, 100 clients",
     {.play = scene_crowd, .bytes = 64, .clients = 100, .processes = 1, .is_answered = true},
     .lines = {TRIP(ROW_GAIN, 0)}},
    {"answered-1000", FAST, "answered, 1,000 clients",
     {.play = scene_crowd, .bytes = 64, .clients = 1000, .processes = 1, .is_answered = true},
     .need = ROW_NEEDS_DESCRIPTORS, .lines = {TRIP(ROW_GAIN, 0), TRIP(ROW_LIMIT, 3000)}},
    {"set-up-1000", FAST, "set-up of 1,000 clients: 16 datagrams of each, and memory",
     {.play = scene_set_up, .bytes = 64, .clients = 1000, .processes = 1}, .need = ROW_NEEDS_DESCRIPTORS,
     .lines = {EACH(ROW_COST, 1.5), LINE("of each, kB", 1, KB, ROW_LIMIT, 24),
               LINE("left of each, kB", 2, KB, ROW_LIMIT, 1)}},

    /* Cheap where there is nothing to do. */
    {"single", IDLE, "one datagram a socket, which is made for it and closed",
     {.play = scene_stream, .bytes = 64, .is_single = true}, .lines = {EACH(ROW_COST, 1.05)}},
    {"fork-1000", IDLE, "fork with 1,000 bound sockets",
     {.play = scene_forks, .bytes = 64, .sockets = 1000}, .need = ROW_NEEDS_DESCRIPTORS, .lines = {FORK}},
    {"fork-5000", IDLE, "fork with 5,000 bound sockets",
     {.play = scene_forks, .bytes = 64, .sockets = 5000}, .need = ROW_NEEDS_DESCRIPTORS, .lines = {FORK}},
    {"calls", IDLE, "calls on descriptors that are no sockets of ours",
     {.play = scene_calls}, .lines = {CALLS(1.05)}},
    {"calls-no-paths", IDLE, "the same, HQQ_PATHS unset",
     {.play = scene_calls, .has_no_paths = true}, .lines = {CALLS(1.01)}},
    {"start-true", IDLE, "start of /bin/true",
     {.play = scene_starts, .program = "/bin/true", .bytes = 64}, .lines = {START}},
    {"start-once", IDLE, "a program that is started for one datagram",
     {.play = scene_starts, .program = "/proc/self/exe", .batch = 1, .bytes = 64}, .lines = {START}},
    {"start-log", IDLE, "a program that is started to log four lines",
     {.play = scene_starts, .program = "/proc/self/exe", .batch = 4, .bytes = 64}, .lines = {START}},
    {"memory", IDLE, "private memory of a process without a socket",
     {.play = scene_memory}, .lines = {LINE("written to, kB", SCENE_EACH, KB, ROW_MORE, 200)}},
};
/* clang-format on */

const size_t row_count = sizeof(rows) / sizeof(rows[0]);
