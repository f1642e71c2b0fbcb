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
    "channel.filled",        /* a datagram is in its slots, w is not past them */
    "channel.published",     /* w is past it, the notify word was not looked at */
    "channel.withdraw",      /* the receiver may be asleep, the word is not swapped */
    "channel.take",          /* a datagram was looked at, r has not moved */
    "channel.taken",         /* r has moved, the slots are not released */
    "channel.look",          /* the receiver has read the word, and not w */
    "channel.pass",          /* r is about to jump over what was withdrawn */
    "channel.poll",          /* what was withdrawn is passed, the word is not POLLING yet */
    "channel.arming",        /* the word was read, and not w */
    "channel.arm",           /* w was read, the word is not ARMED yet */
    "channel.armed",         /* it is, w was not looked at again */
    "channel.stop",          /* the word was read, and not w */
    "channel.stopped",       /* it has moved, neither word nor w were looked at again */
    "channel.move",          /* about to swap the word, whichever way */
    "endpoint.polling",      /* a channel has just begun to be polled */
    "endpoint.pop",          /* about to take from the kernel's queue */
    "endpoint.armed",        /* the rings are armed and empty, the thread is not counted as asleep */
    "endpoint.asleep",       /* armed, empty, about to sleep in the kernel */
    "endpoint.kernel",       /* inside a kernel send, without the lock */
    "endpoint.drained",      /* the kernel's queue was seen empty, nothing is acknowledged yet */
    "advanced.taken",        /* a packet was taken, its slot is held */
    "advanced.chunk",        /* a chunk is sound, nothing was done with it */
    "advanced.claimed",      /* a slot is claimed for a chunk */
    "advanced.put",          /* the chunk is published, its message does not know yet */
    NULL,
};
#endif
