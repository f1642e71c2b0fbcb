/*
 * What another process may have done to a socket that it has by pidfd_getfd(2), or in another way that nobody sees: connect it, bind
 * it, shut it down. The sender asks the kernel now and then.
 */
#ifndef HQQ_ENDPOINT_ELSEWHERE_H
#define HQQ_ENDPOINT_ELSEWHERE_H

#include "endpoint/endpoint.h"

enum hqq_news {
    HQQ_NEWS_NONE,
    HQQ_NEWS_PEER, /* it is connected elsewhere, or nowhere */
    HQQ_NEWS_NAME, /* it has a name by now */
    HQQ_NEWS_SHUT, /* nothing may be sent any more */
};

/* With the send lock. What has changed since this process was last told; or an -errno, which the kernel had kept for the next call. */
int hqq_elsewhere_look(const struct hqq_endpoint *endpoint, int fd, bool is_connected);

/* Without it: the endpoint learns of the news. */
void hqq_elsewhere_learn(struct hqq_endpoint *endpoint, int fd, enum hqq_news news);

#endif
