#include "socket/receive.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include <hqq/link.h>

#include "base/point.h"
#include "layout/packet.h"
#include "platform/clock.h"
#include "platform/sys.h"
#include "platform/trace.h"
#include "ring/consume.h"
#include "socket/doorbell.h"
#include "socket/fork.h"
#include "socket/gather.h"
#include "socket/kernel.h"
#include "socket/rendezvous.h"
#include "socket/route.h"
#include "socket/spin.h"

/* Datagrams from the rings before the kernel's queue gets its turn, and from one ring before the next does. */
#define KERNEL_TURN 128
#define RING_TURN 32

/* Flags that are the kernel's to answer. */
#define KERNEL_FLAGS (MSG_OOB | MSG_ERRQUEUE)

/* Links that a socket may have, and those among them whose peers have not proved yet that they may send. */
#define PAIRS_MAX 4096
#define UNPROVED_MAX 1024

/* How long a store may stay in another processor's buffer, generously. */
#define UNSEEN_NS (50 * HQQ_NS_PER_US)

/* One receive. */
struct receiving {
    struct hqq_endpoint *endpoint;
    int fd, flags;
    struct msghdr *message;
};

/* No datagram to be had now; none of ours: the kernel is to be asked by the app's own call. */
#define NOTHING (-EAGAIN)
#define KERNELS (-ENOTSUP)

/* ---- From a ring ----------------------------------------------------------------------------------------------- */

/* What is at the head of a ring, checked. */
struct head {
    uint64_t position, slots, length, barrier;
};

enum look {
    LOOK_EMPTY,
    LOOK_BLOCKED, /* its barrier has not been passed */
    LOOK_DATA,
    LOOK_BROKEN, /* nothing that an honest peer writes */
};

/* The producer publishes the slots of a datagram from last to first, so that all are there once the first is. */
static bool is_whole(const struct hqq_ring *ring, const struct head *head)
{
    for (uint64_t i = 1; i < head->slots; i++) {
        if (hqq_load_acquire(hqq_ring_seq(ring, head->position + i)) != head->position + i + 1) /* edge R1 */
            return false;
    }
    return true;
}

static enum look look_at(const struct hqq_pair *pair, struct head *ret_head)
{
    const struct hqq_ring *ring = &pair->rx;
    struct head head = {.slots = 1};
    if (!pair->is_met || !hqq_ring_peek(ring, &head.position)) /* until a token came nobody has proved anything */
        return LOOK_EMPTY;
    const hqq_atomic_u64 *element = hqq_ring_packet(ring, head.position);
    uint64_t opcode = hqq_load_relaxed(&element[0]);
    head.length = hqq_load_relaxed(&element[1 + HQQ_COPY_SIZE]);
    head.barrier = hqq_load_relaxed(&element[1 + HQQ_PAIR_BARRIER_OPERAND]);
    if (__builtin_expect(opcode == HQQ_OPCODE_COPY, 1)) {
        if (head.length - 1 >= ring->buffer_size)
            return LOOK_BROKEN;
    } else if (opcode == HQQ_OPCODE_CONN_COPY) {
        if (head.length > hqq_pair_longest(pair))
            return LOOK_BROKEN;
        head.slots = hqq_pair_slots(ring, head.length);
        if (!is_whole(ring, &head)) /* or taken back in between */
            return hqq_ring_is_unchanged(ring, head.position) ? LOOK_BROKEN : LOOK_EMPTY;
    } else {
        return LOOK_BROKEN;
    }
    *ret_head = head;
    return __builtin_expect(head.barrier > pair->passed, 0) ? LOOK_BLOCKED : LOOK_DATA;
}

/* Copies the datagram into the app's vectors. Returns how many bytes. */
static size_t copy_out(const struct hqq_pair *pair, const struct head *head, const struct msghdr *message)
{
    struct hqq_cursor cursor = {.part = message->msg_iov, .parts = message->msg_iovlen};
    const struct hqq_ring *ring = &pair->rx;
    size_t copied = 0;
    uint64_t left = head->length;
    for (uint64_t i = 0; i < head->slots; i++) {
        uint64_t piece = left < ring->buffer_size ? left : ring->buffer_size;
        size_t done = hqq_cursor_copy_to(&cursor, hqq_ring_buffer(ring, head->position + i), piece);
        copied += done;
        left -= piece;
        if (done < piece)
            break;
    }
    return copied;
}

static void tell_name(const struct hqq_pair *pair, struct msghdr *message)
{
    if (!message->msg_name)
        return;
    size_t length = pair->name_length < message->msg_namelen ? pair->name_length : message->msg_namelen;
    memcpy(message->msg_name, &pair->name, length);
    message->msg_namelen = pair->name_length;
}

/* Takes the datagram at the head. NOTHING if the sender took it back in between. */
static ssize_t take(const struct receiving *receiving, struct hqq_pair *pair, const struct head *head)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    struct hqq_ring *ring = &pair->rx;
    bool is_peek = (receiving->flags & MSG_PEEK) != 0;
    if (!is_peek) {
        uint64_t expected = head->position;
        /* With the CAS of a sender that takes it back: one of the two has it. */
        if (!hqq_cas_acq_rel(hqq_ring_r(ring), &expected, head->position + head->slots))
            return NOTHING;
        HQQ_POINT("socket.taken");
        hqq_ring_prefetch_consume(ring, head->position, head->length);
    }
    size_t copied = copy_out(pair, head, receiving->message);
    if (is_peek) {
        if (!hqq_ring_is_unchanged(ring, head->position))
            return NOTHING;
    } else {
        for (uint64_t i = 0; i < head->slots; i++)
            hqq_ring_release(ring, head->position + i);
        hqq_count_own(&endpoint->counters->received_ring, 1);
        hqq_count_own(&endpoint->counters->received_ring_bytes, head->length);
        endpoint->turn++;
    }
    tell_name(pair, receiving->message);
    receiving->message->msg_controllen = 0;
    receiving->message->msg_flags = copied < head->length ? MSG_TRUNC : 0;
    if (receiving->flags & MSG_CMSG_CLOEXEC)
        receiving->message->msg_flags |= MSG_CMSG_CLOEXEC;
    return (ssize_t)(receiving->flags & MSG_TRUNC ? head->length : copied);
}

/* Takes the next datagram from the rings: that of the current one, for a while, then of those behind it. With limits,
 * only what was there when a datagram was seen at the head of the kernel's queue. */
static ssize_t take_from_rings(const struct receiving *receiving)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    struct hqq_pair *first = endpoint->current ? endpoint->current : endpoint->active;
    struct hqq_pair *pair = first;
    if (__builtin_expect(endpoint->run >= RING_TURN, 0) && first) {
        pair = first->active_next ? first->active_next : endpoint->active;
        first = pair;
        endpoint->run = 0;
    }
    while (pair) {
        struct head head;
        struct hqq_pair *next = pair->active_next ? pair->active_next : endpoint->active;
        enum look look = look_at(pair, &head);
        if (__builtin_expect(look == LOOK_DATA, 1) &&
            (!endpoint->head_is_data || hqq_ring_distance(head.position, pair->limit) < 0)) {
            ssize_t result = take(receiving, pair, &head);
            if (__builtin_expect(result != NOTHING, 1)) {
                endpoint->run = pair == endpoint->current && !(receiving->flags & MSG_PEEK) ? endpoint->run + 1 : 0;
                endpoint->current = pair;
                return result;
            }
        } else if (__builtin_expect(look == LOOK_BROKEN, 0)) {
            hqq_log(HQQ_LOG_WARN, "a peer wrote what no peer writes: its link is closed");
            hqq_doorbell_break(endpoint, pair);
            endpoint->current = NULL;
            return take_from_rings(receiving);
        }
        if (next == first)
            break;
        pair = next;
    }
    return NOTHING;
}

/* Notes which barriers stand in the way, before a look at the kernel's queue. */
static void note_barriers(struct hqq_endpoint *endpoint)
{
    for (struct hqq_pair *pair = endpoint->active; pair; pair = pair->active_next) {
        struct head head;
        pair->noted = look_at(pair, &head) == LOOK_BLOCKED ? head.barrier : 0;
    }
}

/* The queue was empty after they were noted: their tokens, which were sent before, are lost, or another process took
 * them. True if there were any. */
static bool pass_noted_barriers(struct hqq_endpoint *endpoint)
{
    bool has_passed = false;
    for (struct hqq_pair *pair = endpoint->active; pair; pair = pair->active_next) {
        if (pair->noted > pair->passed) {
            pair->passed = pair->noted;
            has_passed = true;
        }
        pair->noted = 0;
    }
    return has_passed;
}

/* ---- From the kernel ------------------------------------------------------------------------------------------- */

/* What was popped, or seen at the head. */
enum popped {
    POPPED_DATA,
    POPPED_TOKEN,
};

static void meet_token(struct hqq_endpoint *endpoint, int fd, const struct hqq_token *token,
                       const struct sockaddr_storage *name, socklen_t name_length)
{
    hqq_count_own(&endpoint->counters->tokens, 1);
    struct hqq_pair *pair = hqq_doorbell_find(endpoint, token);
    if (!pair) {
        hqq_log(HQQ_LOG_DEBUG, "a token of a link that is unknown here");
        if (token->kind == HQQ_TOKEN_BELL)
            hqq_fork_pass_token_on(endpoint, fd, token);
        return;
    }
    hqq_log(HQQ_LOG_DEBUG, "token %d, value %llu", (int)token->kind, (unsigned long long)token->value);
    if (name && name_length <= sizeof(pair->name)) {
        memcpy(&pair->name, name, name_length);
        pair->name_length = name_length;
    }
    switch (token->kind) {
    case HQQ_TOKEN_BARRIER:
        pair->is_met = true;
        if ((int64_t)(token->value - pair->passed) > 0)
            pair->passed = token->value;
        break;
    case HQQ_TOKEN_PROOF:
        if (!pair->is_met) {
            pair->is_met = true;
            hqq_add_relaxed(&endpoint->counters->links_opened, 1);
            hqq_store32_relaxed(&endpoint->counters->reason, HQQ_SOCKET_ACCELERATED);
            if (hqq_lock_take(&endpoint->send_lock)) {
                hqq_route_adopt(endpoint, pair);
                hqq_lock_give(&endpoint->send_lock);
            }
        }
        hqq_store_release(&pair->own->echo, token->value);
        break;
    default:
        break;
    }
    hqq_doorbell_activate(endpoint, pair);
}

/* The bytes that a vector holds. */
static size_t capacity_of(const struct msghdr *message)
{
    size_t capacity = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        capacity += message->msg_iov[i].iov_len;
    return capacity;
}

/* Tells the app what the kernel delivered. length: of the whole datagram. */
static ssize_t deliver(const struct receiving *receiving, const struct msghdr *from, size_t length)
{
    struct msghdr *app = receiving->message;
    size_t capacity = capacity_of(app);
    hqq_count_own(&receiving->endpoint->counters->received_kernel, 1);
    app->msg_namelen = app->msg_name ? from->msg_namelen : app->msg_namelen;
    app->msg_controllen = from->msg_controllen;
    app->msg_flags = from->msg_flags & ~MSG_TRUNC;
    if (length > capacity)
        app->msg_flags |= MSG_TRUNC;
    return (ssize_t)(receiving->flags & MSG_TRUNC || length < capacity ? length : capacity);
}

/* Pops the datagram at the head into the app's vectors. POPPED_TOKEN: another process was quicker, and what came after
 * was a token. */
static enum popped pop(const struct receiving *receiving, ssize_t *ret_result)
{
    struct msghdr message = *receiving->message;
    struct hqq_token token;
    long result = hqq_kernel_recvmsg(receiving->fd, &message, (receiving->flags & ~MSG_PEEK) | MSG_TRUNC);
    if (result < 0) {
        *ret_result = result;
        return POPPED_DATA;
    }
    if (__builtin_expect(result == sizeof(token), 0) && capacity_of(&message) >= sizeof(token)) {
        struct hqq_cursor cursor = {.part = message.msg_iov, .parts = message.msg_iovlen};
        hqq_cursor_copy_from(&cursor, &token, sizeof(token));
        if (hqq_token_is(&token, sizeof(token))) {
            meet_token(receiving->endpoint, receiving->fd, &token, NULL, 0);
            return POPPED_TOKEN;
        }
    }
    *ret_result = deliver(receiving, &message, (size_t)result);
    return POPPED_DATA;
}

/* Puts the first bytes, which came elsewhere, before those that came into the app's vectors. */
static void shift(const struct msghdr *app, const void *first, size_t first_length, size_t length)
{
    size_t capacity = capacity_of(app);
    size_t whole = length < capacity ? length : capacity;
    unsigned char block[sizeof(struct hqq_token)];
    for (size_t at = whole / first_length + 1; at-- > 0;) { /* from behind, block by block */
        size_t begin = at * first_length;
        if (begin >= whole)
            continue;
        size_t piece = whole - begin < first_length ? whole - begin : first_length;
        const void *from = first;
        if (at > 0) {
            struct hqq_cursor source = {.part = app->msg_iov, .parts = app->msg_iovlen};
            hqq_cursor_skip(&source, begin - first_length);
            hqq_cursor_copy_from(&source, block, piece);
            from = block;
        }
        struct hqq_cursor target = {.part = app->msg_iov, .parts = app->msg_iovlen};
        hqq_cursor_skip(&target, begin);
        hqq_cursor_copy_to(&target, from, piece);
    }
}

/* Pops the token at the head. Nothing of it may show in the app's buffer; but as another process that shares the socket
 * may have taken it since it was seen, what comes is received whole. */
static enum popped pop_token_or_data(const struct receiving *receiving, ssize_t *ret_result)
{
    struct msghdr *app = receiving->message;
    struct msghdr message = *app;
    struct sockaddr_storage name = {0};
    struct hqq_token token;
    struct iovec parts[IOV_MAX];
    parts[0] = (struct iovec){.iov_base = &token, .iov_len = sizeof(token)};
    size_t count = app->msg_iovlen < IOV_MAX ? app->msg_iovlen : IOV_MAX - 1;
    if (count != 0)
        memcpy(&parts[1], app->msg_iov, count * sizeof(parts[0]));
    message.msg_iov = parts;
    message.msg_iovlen = count + 1;
    message.msg_name = &name;
    message.msg_namelen = sizeof(name);
    long result = hqq_kernel_recvmsg(receiving->fd, &message, (receiving->flags & ~MSG_PEEK) | MSG_TRUNC);
    if (result < 0) {
        *ret_result = result;
        return POPPED_DATA;
    }
    if (hqq_token_is(&token, (size_t)result)) {
        meet_token(receiving->endpoint, receiving->fd, &token, &name, message.msg_namelen);
        return POPPED_TOKEN;
    }
    shift(app, &token, sizeof(token), (size_t)result);
    if (app->msg_name)
        memcpy(app->msg_name, &name, message.msg_namelen < app->msg_namelen ? message.msg_namelen : app->msg_namelen);
    *ret_result = deliver(receiving, &message, (size_t)result);
    return POPPED_DATA;
}

/* Pops the token that is at the head, where there is no app's buffer to pop into. False if it was gone. */
static bool pop_token(struct hqq_endpoint *endpoint, int fd)
{
    struct hqq_token token;
    struct sockaddr_storage name = {0};
    struct iovec part = {.iov_base = &token, .iov_len = sizeof(token)};
    struct msghdr message = {.msg_name = &name, .msg_namelen = sizeof(name), .msg_iov = &part, .msg_iovlen = 1};
    long result = hqq_kernel_recvmsg(fd, &message, MSG_TRUNC);
    if (result < 0 || !hqq_token_is(&token, (size_t)result))
        return false;
    meet_token(endpoint, fd, &token, &name, message.msg_namelen);
    return true;
}

enum head_kind {
    HEAD_EMPTY,
    HEAD_TOKEN,
    HEAD_DATA, /* or end of file */
    HEAD_ERROR,
    HEAD_END, /* shut down for reading, by us or another process */
};

/* A pending error of the socket is reported once, to whoever looks first: *ret_error. */
static enum head_kind look_at_kernel(int fd, struct hqq_token *token, long *ret_error)
{
    long length = hqq_kernel_peek(fd, token, sizeof(*token));
    if (length == -EAGAIN)
        return HEAD_EMPTY;
    if (length < 0) {
        *ret_error = length;
        return HEAD_ERROR;
    }
    return hqq_token_is(token, (size_t)length) ? HEAD_TOKEN : HEAD_DATA;
}

/* The same for those who only want to know: an error is left for a receive. */
static enum head_kind ask_kernel(int fd, struct hqq_token *token)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN | POLLRDHUP}; /* shut down: there is an end of file to read */
    long error;
    if (hqq_kernel_poll_now(&ready, 1) <= 0)
        return HEAD_EMPTY;
    if (ready.revents & POLLRDHUP)
        return HEAD_END;
    if (ready.revents != POLLIN)
        return HEAD_DATA;
    return look_at_kernel(fd, token, &error);
}

/*
 * Somebody may wait for this socket in the kernel, unseen, and a token may be all that tells him: another thread that
 * sleeps, or an app that waits by itself. So a token is not popped while its ring holds something. It is met at the
 * head, its link is armed anew, and only what is empty after that loses its token; what comes later brings another.
 * False: the token is to be left where it is.
 */
static bool may_pop(struct hqq_endpoint *endpoint, const struct hqq_token *token)
{
    if (hqq_load32_relaxed(&endpoint->is_ours_only) != 0 && hqq_load32_relaxed(&endpoint->sleepers) == 0)
        return true;
    struct hqq_pair *pair = hqq_doorbell_find(endpoint, token);
    if (pair) {
        if (token->kind == HQQ_TOKEN_BARRIER && (int64_t)(token->value - pair->passed) > 0)
            pair->passed = token->value;
        if (token->kind == HQQ_TOKEN_BARRIER && !pair->is_attached)
            pair->is_met = true;
        hqq_doorbell_activate(endpoint, pair);
    }
    hqq_doorbell_arm(endpoint);
    for (pair = endpoint->active; pair; pair = pair->active_next) {
        struct head head;
        if (look_at(pair, &head) == LOOK_DATA)
            return false;
    }
    return true;
}

/* ---- Offers ---------------------------------------------------------------------------------------------------- */

/* Pairs that the sending side has made: what the peer sends back comes through them. */
static void take_over_offered(struct hqq_endpoint *endpoint)
{
    struct hqq_pair *pair = hqq_swap_pointer_acq_rel(&endpoint->offered, NULL);
    while (pair) {
        struct hqq_pair *next = pair->next;
        hqq_doorbell_add(endpoint, pair);
        hqq_store32_release(&pair->own->stage, HQQ_STAGE_SEEN);
        pair = next;
    }
}

/* Takes what a caller offers. False: he has not spoken yet. */
static bool hear(struct hqq_endpoint *endpoint, int caller)
{
    struct hqq_pair *pair;
    int fd = hqq_rendezvous_hear(caller);
    if (fd == -EAGAIN)
        return false;
    if (fd < 0) { /* he only wanted to know whether we are here, or was no peer */
        hqq_log(HQQ_LOG_DEBUG, "a caller offered nothing: %s", strerror(-fd));
        return true;
    }
    int result = hqq_pair_attach(fd, &pair);
    hqq_libc.close(fd);
    if (result != 0) {
        hqq_log(HQQ_LOG_WARN, "an offered link is refused: %s", hqq_strerror(result));
        hqq_add_relaxed(&endpoint->counters->links_refused, 1);
        return true;
    }
    hqq_doorbell_sweep(endpoint);
    if (endpoint->pair_count >= PAIRS_MAX || hqq_doorbell_unproved(endpoint) >= UNPROVED_MAX) {
        hqq_log(HQQ_LOG_WARN, "an offered link is refused: there are too many");
        hqq_add_relaxed(&endpoint->counters->links_refused, 1);
        hqq_pair_drop(pair);
        return true;
    }
    hqq_doorbell_add(endpoint, pair);
    if (endpoint->spin_budget_ns == 0)
        endpoint->spin_budget_ns = endpoint->rule->spin_ns;
    /* Release: from here on the offerer may send tokens, and we know them. */
    hqq_store32_release(&pair->own->stage, HQQ_STAGE_SEEN);
    return true;
}

static void accept_offers(struct hqq_endpoint *endpoint)
{
    for (int i = 0; i < HQQ_CALLERS; i++) {
        if (endpoint->caller[i] >= 0 && hear(endpoint, endpoint->caller[i])) {
            hqq_close_hidden(endpoint->caller[i]);
            endpoint->caller[i] = -1;
        }
    }
    for (int i = 0; i < 64; i++) {
        int caller = hqq_rendezvous_accept(endpoint->rule, endpoint->listener);
        if (caller == -EPERM || caller == -ECONNABORTED)
            continue;
        if (caller < 0)
            return;
        if (hear(endpoint, caller)) {
            hqq_close_hidden(caller);
            continue;
        }
        hqq_close_hidden(endpoint->caller[HQQ_CALLERS - 1]); /* the one that has been silent longest */
        memmove(&endpoint->caller[1], &endpoint->caller[0], (HQQ_CALLERS - 1) * sizeof(int));
        endpoint->caller[0] = caller;
    }
}

/* Looks at the rendezvous, less often the longer nobody came. */
static void look_for_offers(struct hqq_endpoint *endpoint, bool is_due)
{
    if (endpoint->listener < 0 || !hqq_fork_may_receive_alone(endpoint) || (hqq_load32_relaxed(&endpoint->park) != 0))
        return;
    if (!is_due && endpoint->listen_countdown > 0) {
        endpoint->listen_countdown--;
        return;
    }
    uint32_t before = endpoint->pair_count;
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* the lock is held */
    accept_offers(endpoint);
    pthread_setcancelstate(cancel, NULL);
    if (endpoint->pair_count != before || endpoint->caller[0] >= 0)
        endpoint->listen_interval = 0;
    else if (endpoint->listen_interval < 15)
        endpoint->listen_interval = endpoint->listen_interval * 2 + 1;
    endpoint->listen_countdown = endpoint->listen_interval;
}

/* ---- The next datagram ----------------------------------------------------------------------------------------- */

/* A datagram is at the head of the kernel's queue: what the rings hold now goes before it. */
static void set_limits(struct hqq_endpoint *endpoint)
{
    for (struct hqq_pair *pair = endpoint->active; pair; pair = pair->active_next)
        pair->limit = hqq_load_relaxed(hqq_ring_w(&pair->rx));
    endpoint->head_is_data = true;
}

static ssize_t take_from_kernel(const struct receiving *receiving)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    ssize_t result;
    endpoint->turn = 0;
    if (!endpoint->may_meet_tokens && receiving->flags & MSG_PEEK)
        return hqq_kernel_recvmsg(receiving->fd, receiving->message, receiving->flags);
    for (;;) {
        bool is_token = false;
        if (endpoint->may_meet_tokens && !endpoint->head_is_data) {
            struct hqq_token token;
            long error = 0;
            note_barriers(endpoint);
            switch (look_at_kernel(receiving->fd, &token, &error)) {
            case HEAD_ERROR:
                return error;
            case HEAD_EMPTY:
                if (pass_noted_barriers(endpoint))
                    return take_from_rings(receiving);
                return NOTHING;
            case HEAD_END:
            case HEAD_DATA:
                set_limits(endpoint);
                break;
            case HEAD_TOKEN:
            default:
                is_token = true;
                if (!may_pop(endpoint, &token))
                    return take_from_rings(receiving);
                break;
            }
        }
        if (endpoint->head_is_data) {
            result = take_from_rings(receiving);
            if (result != NOTHING)
                return result;
            if (receiving->flags & MSG_PEEK) {
                long peeked = hqq_kernel_recvmsg(receiving->fd, receiving->message, receiving->flags);
                endpoint->head_is_data = peeked >= 0;
                return peeked;
            }
        }
        endpoint->head_is_data = false;
        if ((is_token ? pop_token_or_data(receiving, &result) : pop(receiving, &result)) == POPPED_DATA)
            return result;
        /* It was a token; the ring that it speaks of may have something that goes before what follows. */
        result = take_from_rings(receiving);
        if (result != NOTHING)
            return result;
    }
}

static ssize_t take_next(const struct receiving *receiving)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    if (__builtin_expect(hqq_load32_relaxed(&endpoint->is_kernel_only) != 0, 0))
        return take_from_rings(receiving);
    if (__builtin_expect(endpoint->offered != NULL, 0))
        take_over_offered(endpoint);
    /* With another thread asleep always: a token must stay for it. */
    bool is_kernels_turn = endpoint->turn >= KERNEL_TURN || endpoint->head_is_data;
    if (__builtin_expect(!is_kernels_turn || hqq_load32_relaxed(&endpoint->sleepers) != 0, 1)) {
        ssize_t result = take_from_rings(receiving);
        if (__builtin_expect(result != NOTHING, 1))
            return result;
    }
    look_for_offers(endpoint, false);
    ssize_t result = take_from_kernel(receiving);
    if (result == NOTHING && endpoint->active)
        return take_from_rings(receiving);
    return result;
}

/* ---- Sleeping -------------------------------------------------------------------------------------------------- */

/* What is found is fetched at once, packet and payload, as the caller is about to take it. */
bool hqq_receive_glance(struct hqq_endpoint *endpoint)
{
    for (struct hqq_pair *pair = endpoint->active; pair; pair = pair->active_next) {
        const struct hqq_ring *ring = &pair->rx;
        if (!pair->is_met || !hqq_ring_is_readable(ring))
            continue;
        uint64_t position = hqq_load_relaxed(hqq_ring_r(ring));
        hqq_prefetch_write(hqq_ring_packet(ring, position));
        hqq_prefetch_read(hqq_ring_buffer(ring, position));
        return true;
    }
    return false;
}

bool hqq_receive_is_ready(struct hqq_endpoint *endpoint, int fd)
{
    if (endpoint->offered)
        take_over_offered(endpoint);
    for (int i = 0; i < 1024; i++) {
        struct head head;
        struct hqq_pair *broken = NULL;
        for (struct hqq_pair *pair = endpoint->active; pair && !broken; pair = pair->active_next) {
            enum look look = look_at(pair, &head);
            if (look == LOOK_DATA)
                return true;
            if (look == LOOK_BROKEN)
                broken = pair;
        }
        if (broken) {
            hqq_doorbell_break(endpoint, broken);
            continue;
        }
        struct hqq_token token;
        note_barriers(endpoint);
        switch (ask_kernel(fd, &token)) {
        case HEAD_END:
            hqq_store32_relaxed(&endpoint->is_kernel_only, HQQ_KERNEL_ONLY_SHUT);
            return true;
        case HEAD_DATA:
        case HEAD_ERROR:
            return true;
        case HEAD_EMPTY:
            if (!pass_noted_barriers(endpoint))
                return false;
            break;
        case HEAD_TOKEN:
        default:
            if (!may_pop(endpoint, &token) || !pop_token(endpoint, fd))
                return true;
            break;
        }
    }
    return true;
}

bool hqq_receive_arm(struct hqq_endpoint *endpoint, int fd)
{
    look_for_offers(endpoint, true);
    if (!endpoint->pairs)
        return true;
    if (hqq_receive_is_ready(endpoint, fd))
        return false;
    if (!hqq_doorbell_arm(endpoint)) /* the barrier was refused: what was published will be seen very soon */
        hqq_sys.sleep_until(hqq_clock_ns() + UNSEEN_NS);
    if (!hqq_receive_glance(endpoint))
        return true;
    hqq_doorbell_disarm(endpoint);
    return false;
}

/* Sleeps until the kernel has something, in the receive that the app made, so that time-outs, signals and cancellation
 * are the kernel's own. Peeking, as another thread may be quicker. The lock is not held. */
static ssize_t sleep_in_kernel(struct hqq_endpoint *endpoint, int fd, uint64_t until_ns)
{
    char byte;
    ssize_t result;
    pthread_cleanup_push(hqq_doorbell_leave_sleep, endpoint);
    HQQ_POINT("socket.asleep");
    if (until_ns == HQQ_FOREVER) {
        result = hqq_libc.recv(fd, &byte, sizeof(byte), MSG_PEEK);
    } else {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        struct timespec timeout = hqq_timespec(hqq_clock_left(until_ns));
        result = hqq_libc.ppoll(&ready, 1, &timeout, NULL);
        if (result == 0) {
            errno = EAGAIN;
            result = -1;
        }
    }
    pthread_cleanup_pop(1);
    return result < 0 ? -errno : result;
}

/* The descriptor was closed while this thread slept. A receive that sleeps keeps its socket, so it gets what came; the
 * socket was kept for it (descriptor.c). */
static ssize_t take_from_closed(const struct receiving *receiving, ssize_t slept)
{
    int ghost = receiving->endpoint->ghost;
    ssize_t result = slept <= 0 ? slept : -EBADF; /* 0: shut down */
    while (ghost >= 0 && slept > 0) {
        struct hqq_token token;
        long error = result;
        enum head_kind head = look_at_kernel(ghost, &token, &error);
        const struct receiving from_ghost = {receiving->endpoint, ghost, receiving->flags, receiving->message};
        if (head == HEAD_EMPTY || head == HEAD_ERROR)
            break;
        if (pop_token_or_data(&from_ghost, &result) == POPPED_DATA)
            break;
    }
    if (hqq_load32_relaxed(&receiving->endpoint->sleepers) == 0) {
        hqq_close_hidden(ghost);
        receiving->endpoint->ghost = -1;
    }
    return result;
}

/* One receive that may wait; called and returns with the lock held. */
static ssize_t wait_and_take(const struct receiving *receiving)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    uint64_t timeout = hqq_load_relaxed(&endpoint->receive_timeout_ns);
    uint64_t until = HQQ_FOREVER;
    for (;;) {
        ssize_t result = take_next(receiving);
        if (result != NOTHING)
            return result;
        if (hqq_load32_relaxed(&endpoint->is_kernel_only) != 0)
            return KERNELS;
        if (hqq_spin_for_data(endpoint))
            continue;
        if (timeout != HQQ_FOREVER && until == HQQ_FOREVER)
            until = hqq_deadline_after(hqq_clock_ns(), timeout);
        if (!hqq_receive_arm(endpoint, receiving->fd))
            continue;
        uint64_t asleep_ns = endpoint->pairs ? hqq_clock_ns() : 0;
        hqq_doorbell_enter_sleep(endpoint);
        hqq_lock_give(&endpoint->receive_lock);
        result = sleep_in_kernel(endpoint, receiving->fd, until);
        hqq_lock_take(&endpoint->receive_lock);
        if (asleep_ns != 0)
            hqq_spin_learn(endpoint, hqq_clock_ns() - asleep_ns);
        if (!hqq_endpoint_is_live(endpoint, receiving->fd))
            return take_from_closed(receiving, result);
        if (result < 0) {
            int error = (int)result;
            result = take_next(receiving);
            return result != NOTHING ? result : error;
        }
        hqq_doorbell_woke(endpoint);
    }
}

/* ---- For waits that do not come through our calls --------------------------------------------------------------- */

/*
 * Before control goes back to an app that may wait by itself: either a token is in the kernel's queue while there is
 * something to read, or every link is armed and empty and no token is left to make the socket look readable. A token
 * that came for the arming just made stays, as there is something again.
 */
static void settle_readiness(struct hqq_endpoint *endpoint, int fd)
{
    struct hqq_token token;
    if (!endpoint->pairs || hqq_receive_glance(endpoint))
        return;
    hqq_doorbell_arm(endpoint);
    while (!hqq_receive_glance(endpoint) && ask_kernel(fd, &token) == HEAD_TOKEN &&
           !hqq_doorbell_is_news(endpoint, &token)) {
        if (!pop_token(endpoint, fd))
            return;
        hqq_doorbell_arm(endpoint);
    }
}

/* ---- The call -------------------------------------------------------------------------------------------------- */

static ssize_t settle(ssize_t result)
{
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

/* A buffer that can't be written: the kernel says EFAULT, and the datagram is lost. */
static ssize_t receive_badly(const struct receiving *receiving)
{
    struct msghdr nowhere = {0};
    struct receiving lost = *receiving;
    ssize_t result = NOTHING;
    lost.message = &nowhere;
    if (hqq_lock_take(&receiving->endpoint->receive_lock)) {
        result = take_from_rings(&lost);
        hqq_lock_give(&receiving->endpoint->receive_lock);
    }
    if (result == NOTHING)
        return hqq_libc.recvmsg(receiving->fd, receiving->message, receiving->flags);
    errno = EFAULT;
    return -1;
}

/* A signal handler that interrupted a receive of its own thread: datagrams of the kernel's queue, but no tokens. */
static ssize_t receive_in_handler(const struct receiving *receiving)
{
    struct hqq_token token;
    long error;
    if (look_at_kernel(receiving->fd, &token, &error) == HEAD_TOKEN) {
        errno = EAGAIN;
        return -1;
    }
    return hqq_libc.recvmsg(receiving->fd, receiving->message, receiving->flags);
}

/* The app's own call comes next. */
static void drop_tokens(struct hqq_endpoint *endpoint, int fd)
{
    struct hqq_token token;
    long error;
    while (hqq_load32_relaxed(&endpoint->is_kernel_only) == HQQ_KERNEL_ONLY_SHUT && endpoint->may_meet_tokens &&
           look_at_kernel(fd, &token, &error) == HEAD_TOKEN && pop_token(endpoint, fd)) {
    }
}

ssize_t hqq_receive(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags)
{
    struct receiving receiving = {.endpoint = endpoint, .fd = fd, .flags = flags & ~MSG_NOSIGNAL, .message = message};
    bool may_wait = (flags & MSG_DONTWAIT) == 0 && hqq_load32_relaxed(&endpoint->is_nonblocking) == 0;
    size_t length;
    ssize_t result;

    if (__builtin_expect(!hqq_endpoint_is_own(endpoint), 0))
        hqq_fork_noticed();
    if ((flags & KERNEL_FLAGS) != 0 || message->msg_iovlen > IOV_MAX)
        return hqq_libc.recvmsg(fd, message, flags);
    if (!hqq_vector_length(message->msg_iov, message->msg_iovlen, &length))
        return receive_badly(&receiving);
    if (!hqq_lock_take(&endpoint->receive_lock))
        return receive_in_handler(&receiving);
    if (__builtin_expect(!hqq_endpoint_is_live(endpoint, fd), 0)) {
        hqq_lock_give(&endpoint->receive_lock);
        return hqq_libc.recvmsg(fd, message, flags);
    }
    if (__builtin_expect(!endpoint->is_receiver, 0))
        hqq_fork_receives(endpoint);
    hqq_doorbell_enter(endpoint);
    result = take_next(&receiving);
    if (__builtin_expect(result == NOTHING, 0) && may_wait) {
        hqq_store32_relaxed(&endpoint->is_ours_only, 1);
        result = wait_and_take(&receiving);
    }
    if (__builtin_expect(result == KERNELS || (result == NOTHING && hqq_load32_relaxed(&endpoint->is_kernel_only)),
                         0)) {
        drop_tokens(endpoint, fd);
        hqq_lock_give(&endpoint->receive_lock);
        return hqq_libc.recvmsg(fd, message, flags);
    }
    if (!hqq_load32_relaxed(&endpoint->is_ours_only))
        settle_readiness(endpoint, fd);
    hqq_lock_give(&endpoint->receive_lock);
    return settle(result);
}

size_t hqq_receive_next_length(struct hqq_endpoint *endpoint, int fd)
{
    struct msghdr message = {0};
    struct receiving receiving = {.endpoint = endpoint, .fd = fd, .flags = MSG_PEEK | MSG_TRUNC, .message = &message};
    ssize_t result = take_next(&receiving);
    return result > 0 ? (size_t)result : 0;
}

/* ---- Slow changes ---------------------------------------------------------------------------------------------- */

void hqq_receive_park(struct hqq_endpoint *endpoint, enum hqq_park why)
{
    hqq_or32_relaxed(&endpoint->park, (uint32_t)why);
    hqq_doorbell_park(endpoint);
}

void hqq_receive_look_anew(struct hqq_endpoint *endpoint)
{
    endpoint->head_is_data = false;
    for (struct hqq_pair *pair = endpoint->pairs; pair; pair = pair->next)
        hqq_doorbell_activate(endpoint, pair);
}

void hqq_receive_end_all(struct hqq_endpoint *endpoint, bool is_own)
{
    if (endpoint->offered)
        take_over_offered(endpoint);
    while (endpoint->pairs) {
        struct hqq_pair *pair = endpoint->pairs;
        if (is_own) {
            hqq_doorbell_break(endpoint, pair);
        } else { /* the region is the parent's */
            endpoint->pairs = pair->next;
            hqq_pair_drop(pair);
        }
    }
    endpoint->active = endpoint->current = NULL;
    endpoint->pair_count = 0;
    endpoint->head_is_data = false;
}

void hqq_receive_listen(struct hqq_endpoint *endpoint)
{
    struct hqq_place place;
    int result = hqq_rendezvous_place(endpoint->rule, &endpoint->name, endpoint->name_length, -1, &place);
    if (result == 0)
        result = hqq_rendezvous_listen(&place);
    if (result >= 0)
        endpoint->listener = result;
    else
        hqq_log(HQQ_LOG_WARN, "no rendezvous: %s", strerror(-result));
}

bool hqq_receive_has_news(const struct hqq_endpoint *endpoint)
{
    for (const struct hqq_pair *pair = endpoint->active; pair; pair = pair->active_next) {
        if (pair->is_met && hqq_ring_is_readable(&pair->rx) && hqq_load_relaxed(hqq_ring_w(&pair->rx)) != pair->told)
            return true;
    }
    return false;
}

void hqq_receive_note_told(struct hqq_endpoint *endpoint)
{
    for (struct hqq_pair *pair = endpoint->pairs; pair; pair = pair->next)
        pair->told = hqq_load_relaxed(hqq_ring_w(&pair->rx));
}

void hqq_receive_forget_told(struct hqq_endpoint *endpoint)
{
    for (struct hqq_pair *pair = endpoint->pairs; pair; pair = pair->next)
        pair->told = UINT64_MAX;
}
