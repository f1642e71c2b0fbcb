#include "socket/send.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <hqq/link.h>

#include "base/point.h"
#include "layout/packet.h"
#include "platform/clock.h"
#include "platform/sys.h"
#include "platform/trace.h"
#include "ring/consume.h"
#include "ring/produce.h"
#include "socket/deadline.h"
#include "socket/fork.h"
#include "socket/gather.h"
#include "socket/kernel.h"
#include "socket/route.h"
#include "socket/spin.h"

/* Flags that the ring can serve; the rest is the kernel's. */
#define RING_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CONFIRM | MSG_DONTROUTE)

/* How long a peer may leave datagrams unread before it is asked whether it still knows the pair. */
#define STUCK_NS (2 * HQQ_NS_PER_MS)

/* How often names are looked at, in units of hqq_ticks_long_ago(): 200 us. */
#define STREAM_LOOK 10

/* How often datagrams that go another way are offered to a full queue in vain, a millisecond apart. */
#define RESEND_TRIES 100

/* ConnCopy's frame flags. */
#define FRAME_BEGIN 1u
#define FRAME_END 2u

/* What was not read is sent again, as far as the queue has room: without the lock while it has none. */
struct resending {
    int tries; /* left, since one was sent */
    bool is_full;
};

/* One send. */
struct sending {
    struct hqq_endpoint *endpoint;
    struct hqq_route *route;
    int fd, flags;
    const struct msghdr *message;
    size_t length;
    bool may_wait;
    struct hqq_pair *reserved; /* the datagram lies in the slots of this one's ring, from the position on; else NULL */
    uint64_t position;
    struct resending *resending;
};

/* What became of a try on the ring. */
enum outcome {
    SENT,
    USE_KERNEL,
    FAILED, /* with an error that is the app's */
};

/* ---- Through the kernel ---------------------------------------------------------------------------------------- */

static void leave_kernel(void *route)
{
    hqq_sub32_release(&((struct hqq_route *)route)->inside, 1);
}

/* The same, and the pair that was held for the token. */
struct waiting {
    struct hqq_route *route;
    struct hqq_pair *pair;
};

static void stop_waiting(void *waiting)
{
    leave_kernel(((struct waiting *)waiting)->route);
    hqq_pair_drop(((struct waiting *)waiting)->pair);
}

/* The reservation that was sent is over: others may claim. Where it was sent through the ring, under the lock, so that
 * nobody finds it lent after that. */
static void end_lending(const struct sending *sending)
{
    if (__builtin_expect(sending->reserved != NULL, 0))
        hqq_store32_release(&sending->reserved->is_lent, 0); /* edge D9: with is_lent_out() */
}

/* The app's own call. Called with the lock, which is given back: it may sleep. */
static ssize_t send_through_kernel(const struct sending *sending)
{
    struct hqq_endpoint *endpoint = sending->endpoint;
    struct hqq_route *route = sending->route;
    ssize_t result;
    if (!route) {
        hqq_lock_give(&endpoint->send_lock);
        result = hqq_deadline_sendmsg(endpoint, sending->fd, sending->message, sending->flags);
        if (result >= 0) {
            hqq_add_relaxed(&endpoint->counters->sent_kernel, 1);
            end_lending(sending);
        }
        return result;
    }
    hqq_add32_relaxed(&route->inside, 1);
    route->kernel_starts++;
    hqq_lock_give(&endpoint->send_lock);
    HQQ_POINT("socket.kernel");
    pthread_cleanup_push(leave_kernel, route);
    result = hqq_deadline_sendmsg(endpoint, sending->fd, sending->message, sending->flags);
    if (result >= 0) {
        hqq_add_relaxed(&endpoint->counters->sent_kernel, 1);
        hqq_add32_relaxed(&route->kernel_run, 1);
        end_lending(sending);
    }
    pthread_cleanup_pop(1);
    return result;
}

/* ---- Through the ring ------------------------------------------------------------------------------------------ */

static void store_slot(const struct sending *sending, uint64_t position, const struct hqq_packet *packet)
{
    struct hqq_ring *ring = &sending->route->pair->tx;
    hqq_packet_store(hqq_ring_packet(ring, position), packet);
    hqq_ring_publish(ring, position);
}

/* Fills claimed slots and publishes them from last to first, so that the reader finds all or nothing. */
static void fill(const struct sending *sending, uint64_t position, uint64_t slots)
{
    struct hqq_pair *pair = sending->route->pair;
    struct hqq_ring *ring = &pair->tx;
    struct hqq_cursor cursor = {.part = sending->message->msg_iov, .parts = sending->message->msg_iovlen};
    uint64_t barrier = sending->route->barrier_due;
    bool is_in_place = sending->reserved == pair && ((position ^ sending->position) & ring->mask) == 0;
    sending->route->barrier_due = 0;
    if (__builtin_expect(slots == 1 && sending->length != 0, 1)) {
        if (__builtin_expect(!is_in_place, 1))
            hqq_cursor_copy_from(&cursor, hqq_ring_buffer(ring, position), sending->length);
        const struct hqq_packet packet = {
            .opcode = HQQ_OPCODE_COPY,
            .operand = {position + 1, position & ring->mask, sending->length, 0, 0, 0, barrier},
        };
        store_slot(sending, position, &packet);
        return;
    }
    uint64_t size = ring->buffer_size;
    uint64_t message = ++pair->message;
    for (uint64_t i = 0; i < slots && !is_in_place; i++) {
        uint64_t piece = i + 1 < slots ? size : sending->length - i * size;
        hqq_cursor_copy_from(&cursor, hqq_ring_buffer(ring, position + i), piece);
    }
    for (uint64_t i = slots; i-- > 0;) {
        uint64_t piece = i + 1 < slots ? size : sending->length - i * size;
        uint64_t flags = (i == 0 ? FRAME_BEGIN : 0) | (i + 1 == slots ? FRAME_END : 0);
        const struct hqq_packet packet = {
            .opcode = HQQ_OPCODE_CONN_COPY,
            .operand = {0, message, sending->length, i * size, piece, flags, i == 0 ? barrier : 0},
        };
        store_slot(sending, position + i, &packet);
    }
}

/*
 * The peer will not look by itself, and could not be told: the datagram is taken back, if it is still there and alone.
 * With others before it the peer is reading, and goes on until it finds the ring empty. True: it is ours again.
 */
static bool take_back(const struct sending *sending, uint64_t position, uint64_t slots)
{
    struct hqq_ring *ring = &sending->route->pair->tx;
    uint64_t expected = position;
    HQQ_POINT("socket.refused");
    if (!hqq_cas_acq_rel(hqq_ring_r(ring), &expected, position + slots))
        return false;
    for (uint64_t i = 0; i < slots; i++)
        hqq_ring_release(ring, position + i);
    hqq_count_own(&sending->endpoint->counters->taken_back, 1);
    return true;
}

/* After a token of ours met an error: the receiver is gone. What it met is what this call reports, unless the app
 * named the destination and the kernel may know another one of that name. */
static enum outcome give_up(const struct sending *sending, int error, uint64_t position, uint64_t slots)
{
    struct hqq_route *route = sending->route;
    bool is_connected = route->is_connected;
    bool is_back = take_back(sending, position, slots);
    hqq_route_forget_pair(sending->endpoint, route, HQQ_SOCKET_PEER_LEFT);
    if (!is_back)
        return SENT;
    if (!is_connected)
        return USE_KERNEL;
    errno = -error;
    return FAILED;
}

/* Rings the bell of a receiver that sleeps, or may be gone. */
static enum outcome ring_bell(const struct sending *sending, uint32_t door, uint64_t position, uint64_t slots)
{
    struct hqq_route *route = sending->route;
    struct hqq_pair *pair = route->pair;
    if (hqq_door_kind(door) >= HQQ_DOOR_PARKED) {
        bool is_back = take_back(sending, position, slots);
        hqq_route_leave_ring(route);
        return is_back ? USE_KERNEL : SENT;
    }
    int result = hqq_route_send_token(sending->endpoint, route, sending->fd, HQQ_TOKEN_BELL, door >> HQQ_DOOR_BITS);
    HQQ_POINT("socket.rung");
    if (result == 0) {
        /* Disarmed only now. If the receiver has armed anew meanwhile the epoch is another, and the door stays. */
        if (hqq_door_kind(door) == HQQ_DOOR_ARMED)
            hqq_cas32_relaxed(&pair->peer->door, door, HQQ_DOOR_AWAKE);
        return SENT;
    }
    if (result == -EAGAIN || result == -ENOBUFS || result == -ENOMEM) {
        if (hqq_door_kind(door) != HQQ_DOOR_ARMED)
            return SENT; /* it was but a question whether anybody is there: the queue is full, so somebody is */
        bool is_back = take_back(sending, position, slots);
        if (!is_back)
            return SENT;
        hqq_route_leave_ring(route);
        return USE_KERNEL;
    }
    return give_up(sending, result, position, slots);
}

/*
 * A receiver that seems awake may be gone without a word, and a name may lead elsewhere by now. Asked after a pause of
 * ours, and now and then in a stream.
 */
static bool is_question_due(const struct hqq_route *route, uint64_t now)
{
    return now - route->sent_ticks > hqq_ticks_long_ago() ||
           now - route->checked_ticks > STREAM_LOOK * hqq_ticks_long_ago();
}

/* Sends a datagram that was claimed. A full queue puts it back where it was, unless what lies behind it has been taken
 * meanwhile, by a receiver that is not gone yet: then it has to go this way. */
static long send_or_put_back(int fd, const struct msghdr *message, struct hqq_ring *ring, uint64_t position,
                             uint64_t slots, bool *ret_is_back)
{
    for (int tries = RESEND_TRIES;; tries--) {
        uint64_t expected = position + slots;
        long result = hqq_kernel_sendmsg(fd, message);
        if (result != -EAGAIN || tries == 0)
            return result;
        *ret_is_back = hqq_cas_acq_rel(hqq_ring_r(ring), &expected, position);
        if (*ret_is_back)
            return result;
        hqq_sys.sleep_until(hqq_clock_ns() + HQQ_NS_PER_MS);
    }
}

/* One datagram that nobody will read: claimed, then sent through the kernel. 0, or -errno; -ENOENT: not to be had;
 * -EAGAIN: it is where it was. */
static long send_one_again(const struct sending *sending, uint64_t position)
{
    const struct hqq_route *route = sending->route;
    struct hqq_ring *ring = &route->pair->tx;
    uint64_t length = hqq_load_relaxed(&hqq_ring_packet(ring, position)[1 + HQQ_COPY_SIZE]);
    uint64_t slots = hqq_pair_slots(ring, length);
    struct iovec parts[IOV_MAX];
    struct hqq_target target;
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = slots};
    uint64_t expected = position;
    bool is_back = false;
    if (length > hqq_pair_longest(route->pair) || slots > IOV_MAX ||
        !hqq_cas_acq_rel(hqq_ring_r(ring), &expected, position + slots))
        return -ENOENT;
    for (uint64_t i = 0; i < slots; i++) {
        uint64_t left = length - i * ring->buffer_size;
        parts[i].iov_base = hqq_ring_buffer(ring, position + i);
        parts[i].iov_len = left < ring->buffer_size ? left : ring->buffer_size;
    }
    long result = hqq_route_target(route, &target);
    if (result == 0) {
        message.msg_name = target.length != 0 ? &target.name : NULL;
        message.msg_namelen = target.length;
        result = send_or_put_back(sending->fd, &message, ring, position, slots, &is_back);
        hqq_route_target_done(&target);
    }
    if (is_back)
        return result;
    for (uint64_t i = 0; i < slots; i++)
        hqq_ring_release(ring, position + i);
    if (result >= 0)
        hqq_count_own(&sending->endpoint->counters->taken_back, 1);
    return result < 0 ? result : 0;
}

/* The process that received is gone, and its socket may live on in others: they get what was not read, in order. FAILED
 * if there are no others, and the socket is connected: errno is what this send is to report; or if they have no room. */
static enum outcome hand_over(const struct sending *sending)
{
    struct hqq_route *route = sending->route;
    struct hqq_ring *ring = &route->pair->tx;
    uint64_t position;
    hqq_log(HQQ_LOG_INFO, "nobody reads the ring any more: %llu slots are sent again",
            (unsigned long long)hqq_ring_depth(ring));
    long result = 0;
    for (uint64_t i = 0; i < ring->count && result == 0 && hqq_ring_peek(ring, &position); i++) {
        result = send_one_again(sending, position);
        if (result == 0)
            sending->resending->tries = RESEND_TRIES;
    }
    if (result == -EAGAIN && (!sending->may_wait || sending->resending->tries > 0)) {
        sending->resending->is_full = true;
        errno = EAGAIN;
        return FAILED;
    }
    hqq_route_forget_pair(sending->endpoint, route, HQQ_SOCKET_PEER_LEFT);
    route->retry_ns = 0;
    if (result == 0 || result == -ENOENT || result == -EAGAIN || !route->is_connected)
        return USE_KERNEL;
    errno = (int)-result;
    return FAILED;
}

/* The questions. SENT: all is well; else the pair is gone. */
static enum outcome check_route(const struct sending *sending, uint64_t ticks)
{
    struct hqq_route *route = sending->route;
    struct hqq_pair *pair = route->pair;
    struct hqq_ring *ring = &pair->tx;
    bool is_gone = hqq_pair_peer_was_missing(pair, ticks);
    if (!is_gone && ticks - route->checked_ticks > STREAM_LOOK * hqq_ticks_long_ago()) {
        route->checked_ticks = ticks;
        if (!hqq_route_is_current(route)) {
            hqq_route_name_moved(sending->endpoint, route);
            return USE_KERNEL;
        }
        uint64_t now = hqq_clock_ns();
        uint64_t r = hqq_load_relaxed(hqq_ring_r(ring));
        if (r != route->stuck_r || hqq_ring_depth(ring) == 0) {
            route->stuck_r = r;
            route->stuck_ns = now;
        } else if (now - route->stuck_ns > STUCK_NS) {
            route->stuck_ns = now;
            is_gone = hqq_route_is_deserted(route);
        }
    }
    return is_gone ? hand_over(sending) : SENT;
}

/* One producer at a time, under the lock; but loans come back to the ring in any order. */
static bool has_room(const struct hqq_ring *ring, uint64_t slots)
{
    for (uint64_t i = slots; i > 0; i--) {
        if (!hqq_ring_is_writable_ahead(ring, i))
            return false;
    }
    return true;
}

/* True if a reservation, which is not what is sent, has the next slots. acquire: edge D9. */
static bool is_lent_out(const struct sending *sending)
{
    const struct hqq_pair *pair = sending->route->pair;
    return __builtin_expect(pair && hqq_load32_acquire(&pair->is_lent) != 0, 0) && sending->reserved != pair;
}

/* True if a reserved datagram would have to be moved onto itself: no honest peer moves w, so either the next slots are
 * its own, or, where it was taken back and could not be sent, they come behind. */
static bool is_torn(const struct sending *sending, uint64_t position, uint64_t slots)
{
    const struct hqq_ring *ring = &sending->route->pair->tx;
    uint64_t apart = (position - sending->position) & ring->mask;
    return __builtin_expect(sending->reserved == sending->route->pair, 0) && apart != 0 &&
           (apart < slots || ring->count - apart < slots);
}

static enum outcome try_ring(const struct sending *sending)
{
    struct hqq_route *route = sending->route;
    struct hqq_pair *pair = route->pair;
    struct hqq_ring *ring = &pair->tx;
    uint64_t slots = hqq_pair_slots(ring, sending->length);
    uint32_t door = hqq_load32_relaxed(&pair->peer->door);
    uint64_t position = 0;

    if (__builtin_expect(hqq_door_kind(door) >= HQQ_DOOR_PARKED || sending->length > hqq_pair_longest(pair) ||
                             is_lent_out(sending),
                         0)) {
        if (door == HQQ_DOOR_HANDED_OVER)
            return hand_over(sending);
        hqq_route_leave_ring(route);
        return USE_KERNEL;
    }
    uint64_t now = hqq_ticks();
    if (__builtin_expect(is_question_due(route, now), 0)) {
        enum outcome outcome = check_route(sending, now);
        if (outcome != SENT)
            return outcome;
    }
    /* Where its process can't be asked for, its socket is. */
    bool is_question = __builtin_expect(!pair->may_compare, 0) && is_question_due(route, now);
    if (__builtin_expect(!has_room(ring, slots), 0) &&
        !(sending->may_wait && hqq_spin_for_space(sending->endpoint, pair, slots) && has_room(ring, slots))) {
        hqq_count_own(&sending->endpoint->counters->spills, 1);
        hqq_route_leave_ring(route);
        hqq_store32_relaxed(&route->kernel_run, HQQ_ROUTE_KERNEL_RUN); /* back as soon as there is room */
        return USE_KERNEL;
    }
    if (__builtin_expect(hqq_ring_claim_write(ring, slots, &position) != slots || is_torn(sending, position, slots),
                         0)) {
        hqq_route_forget_pair(sending->endpoint, route, HQQ_SOCKET_PEER_LEFT); /* the peer meddles */
        return USE_KERNEL;
    }
    fill(sending, position, slots);
    route->sent_ticks = now;
    if (pair->is_light)
        hqq_fence_compiler(); /* edge D2: with the barrier that the receiver makes us pass */
    else
        hqq_fence_full(); /* edge D1: with the fence in hqq_doorbell_arm() */
    door = hqq_load32_relaxed(&pair->peer->door);
    HQQ_POINT("socket.published");
    if (__builtin_expect(door != HQQ_DOOR_AWAKE || is_question, 0)) {
        enum outcome outcome = ring_bell(sending, door, position, slots);
        if (outcome != SENT)
            return outcome;
    } else {
        hqq_ring_prefetch_produce(ring, position, sending->length);
    }
    hqq_count_own(&sending->endpoint->counters->sent_ring, 1);
    hqq_count_own(&sending->endpoint->counters->sent_ring_bytes, sending->length);
    return SENT;
}

/* ---- The call -------------------------------------------------------------------------------------------------- */

/* True if this datagram may take a ring at all. */
static bool is_plain(const struct sending *sending)
{
    return sending->message->msg_controllen == 0 && (sending->flags & ~RING_FLAGS) == 0 &&
           sending->length <= hqq_load_relaxed(&sending->endpoint->longest);
}

/*
 * The token that is due found the queue full, where the datagram itself would have to wait as well: so the token waits,
 * as the app's own call would. Without the lock; if another thread sends meanwhile the token marks no place any more.
 * SENT: it is there, and the datagram goes on. FAILED: errno, as for the datagram.
 */
static enum outcome wait_with_token(const struct sending *sending)
{
    struct hqq_endpoint *endpoint = sending->endpoint;
    struct hqq_route *route = sending->route;
    struct hqq_pair *pair = route->pair;
    bool is_proof = route->progress != HQQ_PROGRESS_OPEN;
    uint32_t starts = route->kernel_starts;
    struct hqq_target target; /* the route may be gone by the time it is used */
    if (hqq_route_target(route, &target) != 0)
        return USE_KERNEL;
    if (target.lent >= 0) { /* not for as long as this may take: apps should not meet it */
        hqq_route_target_done(&target);
        return USE_KERNEL;
    }
    struct hqq_token token = hqq_token_make(pair->id, is_proof ? HQQ_TOKEN_PROOF : HQQ_TOKEN_BARRIER,
                                            is_proof ? route->nonce : pair->barrier + 1);
    struct iovec part = {.iov_base = &token, .iov_len = sizeof(token)};
    const struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_name = target.length != 0 ? &target.name : NULL,
        .msg_namelen = target.length,
    };
    hqq_add32_relaxed(&pair->references, 1);
    hqq_add32_relaxed(&route->inside, 1);
    hqq_lock_give(&endpoint->send_lock);
    struct waiting waiting = {route, pair};
    ssize_t sent;
    pthread_cleanup_push(stop_waiting, &waiting);
    sent = hqq_deadline_sendmsg(endpoint, sending->fd, &message, sending->flags | MSG_NOSIGNAL);
    pthread_cleanup_pop(0);
    leave_kernel(route);
    int error = errno;
    hqq_lock_take(&endpoint->send_lock);
    bool is_same = hqq_endpoint_is_live(endpoint, sending->fd) && route->pair == pair &&
                   route->kernel_starts == starts && hqq_load32_relaxed(&route->inside) == 0;
    if (sent < 0) {
        hqq_pair_drop(pair);
        errno = error;
        return error == EINTR || error == EAGAIN || error == ETIMEDOUT || (is_same && route->is_connected) ? FAILED
                                                                                                           : USE_KERNEL;
    }
    bool is_due = is_proof ? token.value == route->nonce : token.value == pair->barrier + 1;
    if (is_same && is_due && is_proof)
        hqq_route_proved(route);
    else if (is_same && is_due)
        hqq_route_entered(endpoint, route);
    else if (is_due && !is_proof)
        pair->barrier++; /* the token marks nothing, so its number must not be used again */
    is_same = is_same && is_due;
    hqq_pair_drop(pair);
    return is_same && !is_proof ? SENT : USE_KERNEL;
}

/* Where it goes. By name to where the socket is connected too: by the kernel, in order with the connection's ring. */
static struct hqq_route *route_of(struct hqq_endpoint *endpoint, const struct msghdr *message)
{
    if (!message->msg_name || message->msg_namelen == 0)
        return endpoint->peer;
    if (__builtin_expect(endpoint->peer != NULL, 0) && message->msg_namelen <= sizeof(struct sockaddr_un) &&
        message->msg_namelen >= sizeof(sa_family_t) && !hqq_is_bad_address(message->msg_name, message->msg_namelen) &&
        hqq_route_is_to(endpoint->peer, message->msg_name, message->msg_namelen))
        return endpoint->peer;
    return hqq_route_find(endpoint, message->msg_name, message->msg_namelen);
}

static ssize_t send_once(const struct sending *what)
{
    struct sending sending = *what;
    struct hqq_endpoint *endpoint = sending.endpoint;
    const struct msghdr *message = sending.message;
    int fd = sending.fd, flags = sending.flags;
    if (__builtin_expect(!hqq_endpoint_is_own(endpoint), 0))
        hqq_fork_noticed();
    if (!hqq_vector_length(message->msg_iov, message->msg_iovlen, &sending.length))
        return hqq_libc.sendmsg(fd, message, flags);
    if (!hqq_lock_take(&endpoint->send_lock)) { /* a signal handler inside a send */
        hqq_store32_relaxed(&endpoint->is_disturbed, 1);
        return hqq_libc.sendmsg(fd, message, flags);
    }
    if (__builtin_expect(!hqq_endpoint_is_live(endpoint, fd), 0)) {
        hqq_lock_give(&endpoint->send_lock);
        return hqq_libc.sendmsg(fd, message, flags);
    }
    sending.may_wait = (flags & MSG_DONTWAIT) == 0 && hqq_load32_relaxed(&endpoint->is_nonblocking) == 0;
    sending.route = route_of(endpoint, message);
    struct hqq_route *route = sending.route;
    if (__builtin_expect(!route, 0)) {
        /* It may be another name of a socket that we have a ring to. */
        hqq_store32_relaxed(&endpoint->is_disturbed, 1);
        return send_through_kernel(&sending);
    }
    if (__builtin_expect(hqq_load32_relaxed(&endpoint->is_disturbed) != 0, 0)) {
        hqq_store32_relaxed(&endpoint->is_disturbed, 0);
        hqq_route_leave_ring(route);
    }
    bool is_aside = message->msg_name && message->msg_namelen != 0 && route == endpoint->peer;
    if (__builtin_expect(!is_plain(&sending) || is_aside, 0)) {
        hqq_route_leave_ring(route);
        return send_through_kernel(&sending);
    }
    if (__builtin_expect(!route->is_on_ring && route->pair != NULL, 0) &&
        hqq_load32_relaxed(&route->pair->peer->door) == HQQ_DOOR_HANDED_OVER && hand_over(&sending) == FAILED) {
        hqq_lock_give(&endpoint->send_lock);
        return -1;
    }
    int advanced = HQQ_ROUTE_RING;
    if (__builtin_expect(!route->is_on_ring, 0))
        advanced = is_lent_out(&sending) ? HQQ_ROUTE_KERNEL : hqq_route_advance(endpoint, route, fd);
    if (__builtin_expect(advanced < 0, 0)) {
        hqq_lock_give(&endpoint->send_lock);
        errno = -advanced;
        return -1;
    }
    enum outcome outcome = advanced == HQQ_ROUTE_RING ? SENT : USE_KERNEL;
    if (__builtin_expect(advanced == HQQ_ROUTE_FULL && sending.may_wait, 0)) {
        outcome = wait_with_token(&sending);
        if (outcome == FAILED || !hqq_endpoint_is_live(endpoint, fd)) {
            int error = outcome == FAILED ? errno : EBADF;
            hqq_lock_give(&endpoint->send_lock);
            errno = error;
            return -1;
        }
    }
    if (outcome == SENT) {
        outcome = try_ring(&sending);
        if (__builtin_expect(outcome != USE_KERNEL, 1)) {
            if (outcome == SENT)
                end_lending(&sending);
            hqq_lock_give(&endpoint->send_lock);
            return outcome == SENT ? (ssize_t)sending.length : -1;
        }
    }
    return send_through_kernel(&sending);
}

/* Again and again while what was not read goes before it and finds no room, if it may wait. */
static ssize_t send_message(const struct sending *what)
{
    struct resending resending = {.tries = RESEND_TRIES};
    struct sending sending = *what;
    bool may_wait = (what->flags & MSG_DONTWAIT) == 0 && hqq_load32_relaxed(&what->endpoint->is_nonblocking) == 0;
    sending.resending = &resending;
    for (;;) {
        ssize_t result = send_once(&sending);
        if (__builtin_expect(!resending.is_full, 1) || !may_wait)
            return result;
        resending.is_full = false;
        resending.tries--;
        hqq_sys.sleep_until(hqq_clock_ns() + HQQ_NS_PER_MS);
    }
}

ssize_t hqq_send_message(struct hqq_endpoint *endpoint, int fd, const struct msghdr *message, int flags)
{
    const struct sending sending = {.endpoint = endpoint, .fd = fd, .flags = flags, .message = message};
    return send_message(&sending);
}

ssize_t hqq_send_reserved(struct hqq_endpoint *endpoint, int fd, const struct msghdr *message, int flags,
                          struct hqq_pair *pair, uint64_t position)
{
    const struct sending sending = {
        .endpoint = endpoint, .fd = fd, .flags = flags, .message = message, .reserved = pair, .position = position};
    return send_message(&sending);
}
