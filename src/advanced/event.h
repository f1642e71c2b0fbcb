/* The descriptor that says when the program has something to take. With the lock. */
#ifndef HQQ_ADVANCED_EVENT_H
#define HQQ_ADVANCED_EVENT_H

#include "advanced/state.h"

/* Something that the descriptor tells may have changed. */
void hqq_event_update(struct hqq_advanced *advanced);

#endif
