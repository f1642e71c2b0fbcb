/* The labels of the testing build; see point.h. A label in the source that is not listed here fails a test. */
#include "base/point.h"

#include <stddef.h>

#ifdef HQQ_TESTING
void (*hqq_point_hook)(const char *label);

const char *const hqq_point_labels[] = {
    "superblock.claimed",    /* state is 1, nothing is written yet */
    "superblock.identified", /* the initializer's identity is in the extension */
    "superblock.formatted",  /* rings and fields are there, state is still 1 */
    "superblock.ready",      /* state is 2 */
    "link.named",            /* a named object, whose region is ready, has its name */
    "end.claimed",           /* this process holds its end */
    "produce.claimed",       /* w has moved, the slot is empty */
    "produce.filled",        /* buffer and packet are written, seq is not */
    "produce.published",     /* seq is written, the bell was not looked at */
    "consume.claimed",       /* r has moved */
    "consume.copied",        /* the datagram is copied, seq is not written */
    "consume.released",      /* seq is written, the bell was not looked at */
    "bell.armed",            /* sleepers counted, the ring was not looked at again */
    "bell.asleep",           /* about to sleep in the kernel */
    "bell.woken",            /* back from the kernel, still counted as a sleeper */
    "bell.ringing",          /* sequence moved, futex not woken */
    "recover.begun",         /* the dead end is marked as being recovered */
    "recover.swept",         /* one slot was freed */
    "recover.done",          /* all slots are freed, the end is not marked dead yet */
    "end.closing",           /* the end is marked closed, nobody is woken yet */
    "socket.kernel",         /* inside a kernel send, without the lock */
    "socket.token",          /* about to send a token */
    "socket.published",      /* a datagram is in the ring, the door was looked at, no token sent yet */
    "socket.rung",           /* the bell's token was sent or refused, the door is armed still */
    "socket.refused",        /* about to take a datagram back */
    "socket.taken",          /* a receiver has claimed a datagram */
    "socket.arming",         /* nothing was found, doors are not armed yet */
    "socket.armed",          /* doors are armed, the rings were not looked at again */
    "socket.asleep",         /* armed, empty, about to sleep in the kernel */
    "advanced.taken",        /* a packet was taken, its slot is held */
    "advanced.chunk",        /* a chunk is sound, nothing was done with it */
    "advanced.claimed",      /* a slot is claimed for a chunk */
    "advanced.put",          /* the chunk is published, its message does not know yet */
    NULL,
};
#endif
