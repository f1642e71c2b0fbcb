/* Driving a link from the program's own loop, and the descriptor that says when the program has something to take. */
#ifndef HQQ_ADVANCED_PROCESS_H
#define HQQ_ADVANCED_PROCESS_H

#include "advanced/state.h"

/* Something that the descriptor tells may have changed. With the lock. */
void hqq_event_update(struct hqq_advanced *advanced);

#endif
