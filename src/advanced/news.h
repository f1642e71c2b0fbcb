/*
 * All that waits for the program in one list, in the order in which it came; beside the queues by kind and connection,
 * which own it. With the lock.
 */
#ifndef HQQ_ADVANCED_NEWS_H
#define HQQ_ADVANCED_NEWS_H

#include "advanced/state.h"

/* Appends it, and wakes who waits for whatever comes next. object is of the kind that state.h says. */
void hqq_news_add(struct hqq_advanced *advanced, struct hqq_news *news, enum hqq_news_kind kind, void *object);

/* Takes it out; nothing if it is in no list. */
void hqq_news_remove(struct hqq_advanced *advanced, struct hqq_news *news);

#endif
