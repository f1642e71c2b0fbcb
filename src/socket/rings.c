#include "socket/rings.h"

#include <string.h>

#include "base/point.h"
#include "layout/packet.h"
#include "platform/trace.h"
#include "ring/consume.h"
#include "socket/deadline.h"
#include "socket/doorbell.h"
#include "socket/gather.h"

/* Datagrams from one ring before the next has its turn. */
#define RING_TURN 32

/* Rings that are looked at in a row: how many before its turn a ring's next slot is fetched. Each is a line, and often a
 * page, that this processor has not touched for a while. */
#define LOOK_AHEAD 4

/*
 * True if nothing is at the head, by a single line of the region. seq == p says that slot p is free for position p, so
 * r has not passed p and p is not published: with the head at p the ring is empty. Any other seq, also where r has moved
 * otherwise (taken back, or by another process that received), says no more than that it must be looked at. A peer that
 * writes nonsense there hides its own datagrams. Until the peer has proved that it has the socket nothing counts. Once our
 * door is closed the sender may take back what we have not read, and put it where it was: then r itself is looked at.
 */
static inline bool is_empty(struct hqq_pair *pair)
{
    if (!hqq_pair_is_met(pair))
        return true;
    return hqq_load_relaxed(hqq_ring_seq(&pair->rx, pair->head)) == pair->head && !pair->is_closing;
}

static inline struct hqq_pair *behind(const struct hqq_endpoint *endpoint, const struct hqq_pair *pair)
{
    return pair->active_next ? pair->active_next : endpoint->active;
}

/* The next ring that may have something, from first on and around; NULL: none has. */
static struct hqq_pair *find(const struct hqq_endpoint *endpoint, struct hqq_pair *first, struct hqq_pair *end)
{
    struct hqq_pair *ahead = first;
    for (int i = 0; i < LOOK_AHEAD; i++) {
        hqq_prefetch_read(hqq_ring_seq(&ahead->rx, ahead->head));
        ahead = behind(endpoint, ahead);
    }
    struct hqq_pair *pair = first;
    do {
        hqq_prefetch_read(hqq_ring_seq(&ahead->rx, ahead->head));
        if (!is_empty(pair))
            return pair;
        ahead = behind(endpoint, ahead);
        pair = behind(endpoint, pair);
    } while (pair != end);
    return NULL;
}

/* What is at the head of a ring, checked. */
struct head {
    uint64_t position, slots, length, barrier;
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

static enum hqq_look look_at(struct hqq_pair *pair, struct head *ret_head)
{
    const struct hqq_ring *ring = &pair->rx;
    struct head head = {.slots = 1};
    if (is_empty(pair))
        return HQQ_LOOK_EMPTY;
    if (!hqq_ring_peek(ring, &head.position)) {
        pair->head = hqq_load_relaxed(hqq_ring_r(ring));
        return HQQ_LOOK_EMPTY;
    }
    const hqq_atomic_u64 *element = hqq_ring_packet(ring, head.position);
    uint64_t opcode = hqq_load_relaxed(&element[0]);
    head.length = hqq_load_relaxed(&element[1 + HQQ_COPY_SIZE]);
    head.barrier = hqq_load_relaxed(&element[1 + HQQ_PAIR_BARRIER_OPERAND]);
    if (__builtin_expect(opcode == HQQ_OPCODE_COPY, 1)) {
        if (head.length - 1 >= ring->buffer_size)
            return HQQ_LOOK_BROKEN;
    } else if (opcode == HQQ_OPCODE_CONN_COPY) {
        if (head.length > hqq_pair_longest(pair))
            return HQQ_LOOK_BROKEN;
        head.slots = hqq_pair_slots(ring, head.length);
        if (!is_whole(ring, &head)) /* or taken back in between */
            return hqq_ring_is_unchanged(ring, head.position) ? HQQ_LOOK_BROKEN : HQQ_LOOK_EMPTY;
    } else {
        return HQQ_LOOK_BROKEN;
    }
    *ret_head = head;
    return __builtin_expect(head.barrier > pair->passed, 0) ? HQQ_LOOK_BLOCKED : HQQ_LOOK_DATA;
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

/* Takes the datagram at the head. HQQ_RECEIVE_NOTHING if the sender took it back in between. */
static ssize_t take(const struct hqq_receiving *receiving, struct hqq_pair *pair, const struct head *head)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    struct hqq_ring *ring = &pair->rx;
    bool is_peek = (receiving->flags & MSG_PEEK) != 0;
    if (!is_peek) {
        uint64_t expected = head->position;
        /* With the CAS of a sender that takes it back: one of the two has it. */
        if (!hqq_cas_acq_rel(hqq_ring_r(ring), &expected, head->position + head->slots))
            return HQQ_RECEIVE_NOTHING;
        pair->head = head->position + head->slots;
        HQQ_POINT("socket.taken");
        hqq_ring_prefetch_consume(ring, head->position, head->length);
    }
    size_t copied = copy_out(pair, head, receiving->message);
    if (is_peek) {
        if (!hqq_ring_is_unchanged(ring, head->position))
            return HQQ_RECEIVE_NOTHING;
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

static enum hqq_look look_and_note(struct hqq_endpoint *endpoint, struct hqq_pair *pair, struct head *ret_head)
{
    enum hqq_look look = look_at(pair, ret_head);
    if (__builtin_expect(look == HQQ_LOOK_BLOCKED, 0)) {
        pair->noted = ret_head->barrier;
        endpoint->has_noted = true;
    }
    return look;
}

enum hqq_look hqq_rings_look(struct hqq_endpoint *endpoint, struct hqq_pair *pair)
{
    struct head head;
    return look_and_note(endpoint, pair, &head);
}

/* True if it goes before the datagram at the head of the kernel's queue. The limit is noted when the ring is first
 * looked at after that datagram was seen. */
static bool is_within_limit(const struct hqq_endpoint *endpoint, struct hqq_pair *pair, uint64_t position)
{
    if (pair->limit_of != endpoint->head_count) {
        pair->limit_of = endpoint->head_count;
        pair->limit = hqq_load_relaxed(hqq_ring_w(&pair->rx));
    }
    return hqq_ring_distance(position, pair->limit) < 0;
}

ssize_t hqq_rings_take(const struct hqq_receiving *receiving)
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
        enum hqq_look look = look_and_note(endpoint, pair, &head);
        if (__builtin_expect(look == HQQ_LOOK_DATA, 1) &&
            (!endpoint->head_is_data || is_within_limit(endpoint, pair, head.position))) {
            ssize_t result = take(receiving, pair, &head);
            if (__builtin_expect(result != HQQ_RECEIVE_NOTHING, 1)) {
                if (pair != endpoint->current)
                    endpoint->run = 0;
                else if (!(receiving->flags & MSG_PEEK))
                    endpoint->run++;
                endpoint->current = pair;
                return result;
            }
        } else if (__builtin_expect(look == HQQ_LOOK_BROKEN, 0)) {
            hqq_log(HQQ_LOG_WARN, "a peer wrote what no peer writes: its link is closed");
            hqq_doorbell_break(endpoint, pair);
            endpoint->current = NULL;
            first = pair = endpoint->active; /* from the beginning; not by a call, as there may be thousands */
            continue;
        }
        pair = behind(endpoint, pair);
        pair = pair != first ? find(endpoint, pair, first) : NULL;
    }
    return HQQ_RECEIVE_NOTHING;
}

ssize_t hqq_rings_lend(struct hqq_endpoint *endpoint, struct hqq_pair *pair, struct hqq_lent *ret_lent)
{
    struct head head;
    bool is_there = look_and_note(endpoint, pair, &head) == HQQ_LOOK_DATA;
    if (endpoint->head_is_data && (!is_there || !is_within_limit(endpoint, pair, head.position)))
        return HQQ_RECEIVE_KERNELS;
    if (!is_there)
        return HQQ_RECEIVE_NOTHING;
    uint64_t expected = head.position;
    if (!hqq_cas_acq_rel(hqq_ring_r(&pair->rx), &expected, head.position + head.slots)) /* as in take() */
        return HQQ_RECEIVE_NOTHING;
    hqq_add32_relaxed(&pair->references, 1);
    hqq_count_own(&endpoint->counters->received_ring, 1);
    hqq_count_own(&endpoint->counters->received_ring_bytes, head.length);
    endpoint->turn++;
    endpoint->run++;
    pair->head = head.position + head.slots;
    *ret_lent = (struct hqq_lent){pair, head.position, head.slots};
    return (ssize_t)head.length;
}

bool hqq_rings_have_data(struct hqq_endpoint *endpoint)
{
    for (struct hqq_pair *pair = endpoint->active; pair; pair = pair->active_next) {
        if (hqq_rings_look(endpoint, pair) == HQQ_LOOK_DATA)
            return true;
    }
    return false;
}

bool hqq_rings_pass_noted(struct hqq_endpoint *endpoint)
{
    bool has_passed = false;
    if (__builtin_expect(!endpoint->has_noted, 1))
        return false;
    endpoint->has_noted = false;
    for (struct hqq_pair *pair = endpoint->active; pair; pair = pair->active_next) {
        if (pair->noted > pair->passed) {
            pair->passed = pair->noted;
            has_passed = true;
        }
        pair->noted = 0;
    }
    return has_passed;
}

void hqq_rings_set_limits(struct hqq_endpoint *endpoint)
{
    endpoint->head_count++;
    endpoint->head_is_data = true;
}

/* What is found is fetched at once, packet and payload, as the caller is about to take it. */
bool hqq_receive_glance(struct hqq_endpoint *endpoint)
{
    struct hqq_pair *pair = endpoint->current ? endpoint->current : endpoint->active;
    if (!pair)
        return false;
    struct hqq_pair *next = behind(endpoint, pair), *first = pair;
    if (is_empty(pair))
        pair = next != first ? find(endpoint, next, first) : NULL;
    for (; pair; pair = next != first ? find(endpoint, next, first) : NULL) {
        const struct hqq_ring *ring = &pair->rx;
        uint64_t position;
        next = behind(endpoint, pair);
        if (hqq_ring_peek(ring, &position)) {
            hqq_prefetch_write(hqq_ring_packet(ring, position));
            hqq_prefetch_read(hqq_ring_buffer(ring, position));
            return true;
        }
        pair->head = hqq_load_relaxed(hqq_ring_r(ring));
    }
    return false;
}
