#include "endpoint/elsewhere.h"

#include <errno.h>
#include <stddef.h>

#include "endpoint/adopt.h"
#include "endpoint/changes.h"
#include "runtime/kernel.h"
#include "runtime/libc.h"

static bool has_moved(const struct hqq_endpoint *endpoint, int fd)
{
    return endpoint->peer_sum != 0 && hqq_adopt_peer_sum(fd) != endpoint->peer_sum;
}

static bool was_bound(const struct hqq_endpoint *endpoint, int fd)
{
    struct sockaddr_un name;
    socklen_t length = sizeof(name);
    return !endpoint->was_named && endpoint->name_length == 0 &&
           hqq_libc.getsockname(fd, (struct sockaddr *)(void *)&name, &length) == 0 &&
           length > offsetof(struct sockaddr_un, sun_path);
}

int hqq_elsewhere_look(const struct hqq_endpoint *endpoint, int fd, bool is_connected)
{
    int saved = errno;
    int news = is_connected && has_moved(endpoint, fd) ? HQQ_NEWS_PEER
               : was_bound(endpoint, fd)               ? HQQ_NEWS_NAME
                                                       : HQQ_NEWS_NONE;
    if (news == HQQ_NEWS_NONE) {
        const struct msghdr nothing = {.msg_iovlen = 0};
        long result = hqq_kernel_send_to_nobody(fd, &nothing, 0);
        news = result == -EPIPE ? HQQ_NEWS_SHUT : result == -ECONNRESET ? -ECONNRESET : HQQ_NEWS_NONE;
    }
    errno = saved;
    return news;
}

void hqq_elsewhere_learn(struct hqq_endpoint *endpoint, int fd, enum hqq_news news)
{
    struct sockaddr_un name = {.sun_family = AF_UNSPEC};
    socklen_t length = sizeof(name);
    int saved = errno;
    switch (news) {
    case HQQ_NEWS_PEER:
        if (hqq_libc.getpeername(fd, (struct sockaddr *)(void *)&name, &length) != 0 || length > sizeof(name)) {
            name.sun_family = AF_UNSPEC;
            length = sizeof(sa_family_t);
        }
        hqq_adopt_connected(fd, (const struct sockaddr *)(const void *)&name, length);
        break;
    case HQQ_NEWS_NAME:
        hqq_adopt_bound(fd);
        break;
    case HQQ_NEWS_SHUT:
        hqq_changes_shut_down(endpoint, SHUT_WR);
        break;
    case HQQ_NEWS_NONE:
    default:
        break;
    }
    errno = saved;
}
