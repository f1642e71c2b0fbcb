/* What every call of the program begins and ends with. */
#ifndef HQQ_ADVANCED_ENTER_H
#define HQQ_ADVANCED_ENTER_H

#include "advanced/state.h"

/* Takes the lock if the call may go on: 0, or FORKED and no lock. */
int hqq_advanced_begin(struct hqq_advanced *advanced);
/* The same where negotiation must have succeeded: else INVALID_OP, or why the link ended. */
int hqq_advanced_begin_agreed(struct hqq_advanced *advanced, uint64_t feature);
/* Sends what the call owes the peer, counts a failure, gives the lock up, and returns the result. */
int hqq_advanced_end(struct hqq_advanced *advanced, int result);

#endif
