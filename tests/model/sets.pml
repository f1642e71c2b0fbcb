/*
 * A thread waits for a set to which another one adds a socket that it has received from, and may have polled; then that one is gone,
 * and the waiter receives (-DEDGE: gives it, edge-triggered, to a worker that reads until nothing is left). Waits are as src/socket/{waiting,epoll}.c
 * make them: look, note requests, ask the kernel, acknowledge, count, arm, sleep; adding as note_change() and nudge() do.
 * Checked: order, each once, no end with something unread.
 */
#ifndef SENDS
#define SENDS 3
#endif
#define RC 2
#define QUEUE 2
#include "word.inc"

chan queue = [QUEUE] of { byte };
byte ring[RC], wanted = 0, waiters = 0, reported = 0;
bool receive_lock = false, is_busy = false, is_registered = false, is_member = false, is_nudged = false;
bool is_edge = false, is_given = false; /* the kernel's event; a worker has it */

proctype Sender()
{
    byte i = 0, p, L;
    bool D, is_sent;
    do
    :: i == SENDS -> break
    :: i < SENDS ->
       is_sent = false;
       if
       :: MAY_PUBLISH -> p = w; ring[p % RC] = i; w = p + 1; look(p, is_sent)
       :: true
       fi;
       if
       :: !is_sent -> atomic { queue!i; is_edge = true }; requested++
       :: is_sent
       fi;
       i++
    od
}

inline deliver(i) { assert(i == wanted); wanted++ }

inline take(top)
{
    ok = r < BOUND && r < top;
    if
    :: ok -> i = ring[r % RC]; r++; deliver(i)
    :: !ok
    fi
}

#ifdef POLL_ANYWAY
#define MAY_POLL true
#else
#define MAY_POLL (!is_member || waiters == 0)
#endif
#define LOCK atomic { !receive_lock -> receive_lock = true }
#define UNLOCK receive_lock = false

inline find_wanted()
{
    if
    :: is_busy
    :: !is_busy ->
       is_busy = true; ok = MAY_POLL;
       if
       :: ok -> poll()
       :: !ok
       fi;
       if
       :: !ok && r >= BOUND -> is_busy = false
       :: else
       fi
    fi
}

/* A receive that does not wait. ok: there was something. */
inline receive()
{
    LOCK;
    if
    :: is_busy && MAY_POLL -> poll()
    :: else
    fi;
    take(255);
    if
    :: ok
    :: !ok ->
       request = requested;
       if
       :: empty(queue) -> acknowledged = request
       :: nempty(queue) ->
          noted = BOUND;
          take(noted);
          if
          :: ok
          :: !ok -> queue?i; deliver(i); find_wanted(); ok = true
          fi
       fi
    fi;
    UNLOCK
}

#ifdef EDGE
#define READY (BOUND > reported && BOUND > r)
#define KERNEL_READY (is_registered && is_edge)
#else
#define READY (r < BOUND)
#define KERNEL_READY (is_registered && nempty(queue))
#endif

proctype Waiter()
{
    byte i, request, noted, round, ow_wp, ow_limit, ow_limit2, ow_w;
    mtype ow_st;
    bool ok, ow_wd;
    do
    :: wanted == SENDS -> break
    :: wanted < SENDS ->
again: ok = false;
       if
       :: is_member && is_busy ->
          LOCK;
          if
          :: is_busy && MAY_POLL -> poll()
          :: else
          fi;
          ok = is_busy && READY;
#ifdef EDGE
          if
          :: ok -> reported = w
          :: !ok
          fi;
#endif
          UNLOCK
       :: else
       fi;
       if
       :: ok -> goto event
       :: !ok
       fi;
       if
       :: is_member && is_busy -> request = requested;
          if
          :: atomic { KERNEL_READY -> is_edge = false }; goto event
          :: else
          fi;
#ifndef EDGE
          acknowledged = request
#endif
       :: else
       fi;
#ifdef COUNT_LATE
       ok = !(is_member && is_busy);
       waiters++;
#else
       waiters++;
       ok = !(is_member && is_busy);
#endif
       if
       :: ok
       :: !ok ->
          LOCK;
          if
          :: is_busy ->
             arm();
             if
             :: ok && !READY -> if :: r >= BOUND -> is_busy = false :: else fi
             :: else -> ok = false
             fi
          :: !is_busy -> ok = true
          fi;
          UNLOCK
       fi;
       if
       :: !ok -> waiters--; goto again
       :: ok
       fi;
       if
       :: atomic { KERNEL_READY -> is_edge = false }; waiters--
       :: atomic { is_nudged -> is_nudged = false }; waiters--; goto again
       :: wanted == SENDS -> break
       fi;
event: skip;
#ifdef EDGE
       is_given = true
#else
       receive()
#endif
    od
}

proctype Other()
{
    byte i, request, noted, round, ow_wp, ow_limit, ow_limit2, ow_w;
    mtype ow_st;
    bool ok, ow_wd;
    do
    :: receive()
    :: break
    od;
    /* the kernel's epoll_ctl() first */
    atomic { is_registered = true; is_edge = nempty(queue) };
#ifdef WAITERS_FIRST
    ok = waiters != 0; is_member = true;
#else
    is_member = true; ok = waiters != 0;
#endif
    if
    :: is_busy ->
       LOCK; reported = r; UNLOCK; /* what is there has not been reported in this set */
       if
       :: ok ->
          LOCK;
#ifdef NO_ARM
          ok = r >= BOUND;
#else
          if
          :: is_busy ->
             arm();
             if
             :: ok && r >= BOUND -> is_busy = false
             :: else -> ok = false
             fi
          :: !is_busy -> ok = true
          fi;
#endif
          UNLOCK;
          is_nudged = !ok
       :: !ok
       fi
    :: !is_busy
    fi;
#ifdef EDGE
    do
    :: wanted == SENDS -> break
    :: wanted < SENDS && is_given ->
       is_given = false;
       do
       :: receive();
          if
          :: ok
          :: !ok -> break
          fi
       od
    od
#endif
}

init { atomic { run Sender(); run Waiter(); run Other() } }
