/*
 * Packets in: the taker takes one from the link, opens it if packets are sealed, and does what its kind asks for. What is
 * malformed, or not allowed in this state, is dropped and counted; a packet that fails to open ends the link.
 */
#ifndef HQQ_ADVANCED_INPUT_H
#define HQQ_ADVANCED_INPUT_H

#include "advanced/state.h"

/* Takes the next packet, waiting for it until that time (0: not at all). With the lock, which is given up meanwhile; the
 * role must be free. 0 if it took one; WOULD_BLOCK, TIMEOUT; else why the link has ended, which is noted. */
int hqq_input_take(struct hqq_advanced *advanced, uint64_t until_ns);

/* Notes why nothing more will come, and wakes everybody. With the lock. */
void hqq_advanced_note_end(struct hqq_advanced *advanced, int result);

#endif
