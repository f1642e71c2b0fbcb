#include "socket/queue.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

#include <hqq/link.h>

#include "platform/trace.h"
#include "socket/doorbell.h"
#include "socket/fork.h"
#include "socket/gather.h"
#include "socket/kernel.h"
#include "socket/rings.h"
#include "socket/route.h"

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
    /* A pair that is listed by its name keeps it: honest peers have but one. */
    if (name && name_length <= sizeof(pair->name) && !pair->is_for_replies) {
        memcpy(&pair->name, name, name_length);
        pair->name_length = name_length;
    }
    switch (token->kind) {
    case HQQ_TOKEN_BARRIER:
        hqq_doorbell_meet(endpoint, pair);
        if ((int64_t)(token->value - pair->passed) > 0)
            pair->passed = token->value;
        break;
    case HQQ_TOKEN_PROOF:
        if (!pair->is_met) {
            hqq_doorbell_meet(endpoint, pair);
            hqq_add_relaxed(&endpoint->counters->links_opened, 1);
            hqq_store32_relaxed(&endpoint->counters->reason, HQQ_SOCKET_ACCELERATED);
            if (hqq_lock_take(&endpoint->send_lock)) {
                hqq_route_adopt(endpoint, pair);
                hqq_lock_give(&endpoint->send_lock);
            }
        }
        hqq_store_release(&pair->own->echo, token->value);
        break;
    case HQQ_TOKEN_BELL:
        hqq_doorbell_rung(endpoint, pair);
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
static ssize_t deliver(const struct hqq_receiving *receiving, const struct msghdr *from, size_t length)
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

enum hqq_popped hqq_queue_pop(const struct hqq_receiving *receiving, ssize_t *ret_result)
{
    struct msghdr message = *receiving->message;
    struct hqq_token token;
    long result = hqq_kernel_recvmsg(receiving->fd, &message, (receiving->flags & ~MSG_PEEK) | MSG_TRUNC);
    if (result < 0) {
        *ret_result = result;
        return HQQ_POPPED_DATA;
    }
    if (__builtin_expect(result == sizeof(token), 0) && capacity_of(&message) >= sizeof(token)) {
        struct hqq_cursor cursor = {.part = message.msg_iov, .parts = message.msg_iovlen};
        hqq_cursor_copy_from(&cursor, &token, sizeof(token));
        if (hqq_token_is(&token, sizeof(token))) {
            meet_token(receiving->endpoint, receiving->fd, &token, NULL, 0);
            return HQQ_POPPED_TOKEN;
        }
    }
    *ret_result = deliver(receiving, &message, (size_t)result);
    return HQQ_POPPED_DATA;
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

enum hqq_popped hqq_queue_pop_any(const struct hqq_receiving *receiving, ssize_t *ret_result)
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
        return HQQ_POPPED_DATA;
    }
    if (hqq_token_is(&token, (size_t)result)) {
        meet_token(receiving->endpoint, receiving->fd, &token, &name, message.msg_namelen);
        return HQQ_POPPED_TOKEN;
    }
    shift(app, &token, sizeof(token), (size_t)result);
    if (app->msg_name)
        memcpy(app->msg_name, &name, message.msg_namelen < app->msg_namelen ? message.msg_namelen : app->msg_namelen);
    *ret_result = deliver(receiving, &message, (size_t)result);
    return HQQ_POPPED_DATA;
}

bool hqq_queue_pop_token(struct hqq_endpoint *endpoint, int fd)
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

enum hqq_queue_head hqq_queue_look(int fd, struct hqq_token *token, long *ret_error)
{
    long length = hqq_kernel_peek(fd, token, sizeof(*token));
    if (length == -EAGAIN)
        return HQQ_QUEUE_EMPTY;
    if (length < 0) {
        *ret_error = length;
        return HQQ_QUEUE_ERROR;
    }
    return hqq_token_is(token, (size_t)length) ? HQQ_QUEUE_TOKEN : HQQ_QUEUE_DATA;
}

enum hqq_queue_head hqq_queue_ask(int fd, struct hqq_token *token)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN | POLLRDHUP}; /* shut down: there is an end of file to read */
    long error;
    if (hqq_kernel_poll_now(&ready, 1) <= 0)
        return HQQ_QUEUE_EMPTY;
    if (ready.revents & POLLRDHUP)
        return HQQ_QUEUE_END;
    if (ready.revents != POLLIN)
        return HQQ_QUEUE_DATA;
    return hqq_queue_look(fd, token, &error);
}

bool hqq_queue_may_pop(struct hqq_endpoint *endpoint, const struct hqq_token *token)
{
    if (hqq_load32_relaxed(&endpoint->is_ours_only) != 0 && hqq_load32_relaxed(&endpoint->sleepers) == 0)
        return true;
    struct hqq_pair *pair = hqq_doorbell_find(endpoint, token);
    if (pair) {
        if (token->kind == HQQ_TOKEN_BARRIER && (int64_t)(token->value - pair->passed) > 0)
            pair->passed = token->value;
        hqq_doorbell_activate(endpoint, pair);
    }
    hqq_doorbell_arm(endpoint);
    return !hqq_rings_have_data(endpoint);
}
