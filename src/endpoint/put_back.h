/*
 * Putting back: what the rings of a socket hold is sent to the socket itself, into the kernel's queue, for readers that
 * see nothing else. The senders' names are lost by it.
 */
#ifndef HQQ_ENDPOINT_PUT_BACK_H
#define HQQ_ENDPOINT_PUT_BACK_H

#include "endpoint/endpoint.h"

/*
 * As much as there is room for, in order, and before what the kernel's queue holds already, unless that leaves no room
 * to turn it round. keeps_names: only what came from senders that have none, none of it behind others, and only if it
 * is little. Suspends all channels: whoever calls hands off what is left.
 *
 * Nothing where the socket can't be sent to: it has no name, or the name leads elsewhere by now; it is connected; there
 * is a filter. Nor while a sender is at work, whose next datagram would come between: it sends again what is handed
 * off, at once. Under the receive lock, in a change. Never sleeps; where there is much it watches the senders for half
 * a millisecond.
 */
void hqq_put_back(struct hqq_endpoint *endpoint, int fd, bool keeps_names);

#endif
