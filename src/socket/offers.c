#include "socket/offers.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <hqq/error.h>

#include "platform/trace.h"
#include "socket/doorbell.h"
#include "socket/fork.h"
#include "socket/libc.h"
#include "socket/rendezvous.h"

/* Links that a socket may have, and those among them whose peers have not proved yet that they may send. */
#define PAIRS_MAX 4096
#define UNPROVED_MAX 1024

void hqq_offers_take_over(struct hqq_endpoint *endpoint)
{
    struct hqq_pair *pair = hqq_swap_pointer_acq_rel(&endpoint->offered, NULL);
    while (pair) {
        struct hqq_pair *next = pair->next;
        hqq_doorbell_add(endpoint, pair);
        hqq_store32_release(&pair->own->stage, HQQ_STAGE_SEEN);
        pair = next;
    }
    hqq_doorbell_sweep(endpoint); /* for each new one some that may be over */
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
    if (endpoint->pair_count >= PAIRS_MAX || endpoint->unproved_count >= UNPROVED_MAX) {
        hqq_log(HQQ_LOG_WARN, "an offered link is refused: there are too many");
        hqq_add_relaxed(&endpoint->counters->links_refused, 1);
        hqq_pair_drop(pair);
        return true;
    }
    hqq_doorbell_add(endpoint, pair);
    if (hqq_load_relaxed(&endpoint->spin_budget_ns) == 0)
        hqq_store_relaxed(&endpoint->spin_budget_ns, endpoint->rule->spin_ns);
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
            hqq_libc.close(caller);
            continue;
        }
        caller = hqq_hide_descriptor(caller);
        if (caller < 0)
            continue;
        hqq_close_hidden(endpoint->caller[HQQ_CALLERS - 1]); /* the one that has been silent longest */
        memmove(&endpoint->caller[1], &endpoint->caller[0], (HQQ_CALLERS - 1) * sizeof(int));
        endpoint->caller[0] = caller;
    }
}

void hqq_offers_look(struct hqq_endpoint *endpoint, bool is_due)
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

void hqq_offers_listen(struct hqq_endpoint *endpoint)
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
