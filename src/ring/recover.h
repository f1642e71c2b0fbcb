/*
 * Freeing what the dead held. A slot that was claimed by a process that died blocks its direction for ever: all
 * producers of a ring, or all its consumers, are one process, so once that is gone for certain every slot that is
 * still claimed on its side was its own. The caller knows that it is gone, and that nobody else sweeps or takes the end
 * over meanwhile (standard/end.h). The living side may go on using the ring while it is swept. Sweeping twice, or
 * going on with a sweep that somebody else did not finish, is the same as sweeping once.
 */
#ifndef HQQ_RING_RECOVER_H
#define HQQ_RING_RECOVER_H

#include "ring/ring.h"

/* The producers are gone: slots that are claimed and not published become tombstones. Returns how many. */
uint64_t hqq_ring_recover_producers(struct hqq_ring *ring);

/* The consumers are gone: slots that are claimed and not released become free; what was in them is lost, as it would
 * be in a reader that died just after reading. Returns how many. */
uint64_t hqq_ring_recover_consumers(struct hqq_ring *ring);

#endif
