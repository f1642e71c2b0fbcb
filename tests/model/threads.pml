/*
 * Two threads receive from one socket, each blocking or not, under one receive lock that is never held in a sleep; the first may go
 * away for good after any receive. While nothing is busy they make the kernel's own call, without the lock, and count themselves
 * (src/endpoint/receive.c); a channel is polled only while none is counted (scheduler.c, edge E1).
 * Checked: each datagram once; no end with a thread asleep and something unread.
 */
#ifndef SENDS
#define SENDS 3
#endif
#define RC 2
#define QUEUE 2
#include "word.inc"

chan queue = [QUEUE] of { byte };
byte ring[RC], seen[SENDS], got = 0, inside = 0;
bool receive_lock = false, is_busy = false;

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
       :: !is_sent -> queue!i; requested++
       :: is_sent
       fi;
       i++
    od
}

inline deliver(i) { assert(seen[i] == 0); seen[i] = 1; got++ }

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
#define MAY_POLL (inside == 0)
#endif

/* begin_to_poll(), under the lock */
inline find_wanted()
{
    if
    :: is_busy
    :: !is_busy ->
#ifdef CHECK_FIRST
       ok = MAY_POLL; is_busy = true;
#else
       is_busy = true; ok = MAY_POLL;
#endif
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

proctype Thread(bool may_go)
{
    byte i, request, noted, round, ow_wp, ow_limit, ow_limit2, ow_w;
    mtype ow_st;
    bool ok, ow_wd, waits;
    do
    :: got == SENDS -> break
    :: got < SENDS ->
       if
       :: waits = true
       :: waits = false
       fi;
#ifdef COUNT_LATE
       ok = !is_busy;
       if
       :: ok -> inside++
       :: !ok
       fi;
#else
       if
       :: !is_busy -> inside++; ok = !is_busy; if :: !ok -> inside-- :: ok fi
       :: is_busy -> ok = false
       fi;
#endif
       if
       :: ok -> /* plainly */
          if
          :: queue?i -> deliver(i); ok = true
          :: empty(queue) && !waits -> ok = false
          :: got == SENDS -> ok = false
          fi;
          inside--;
          if
          :: ok -> atomic { !receive_lock -> receive_lock = true }; find_wanted(); receive_lock = false
          :: !ok
          fi;
          goto done
       :: !ok
       fi;
       atomic { !receive_lock -> receive_lock = true };
again: if
       :: is_busy && MAY_POLL -> poll()
       :: else
       fi;
       take(255);
       if
       :: ok -> goto leave
       :: !ok
       fi;
       request = requested;
       if
       :: empty(queue) -> acknowledged = request
       :: nempty(queue) ->
          noted = BOUND;
          take(noted);
          if
          :: ok -> goto leave
          :: !ok
          fi;
          if
          :: queue?i -> deliver(i); find_wanted(); goto leave
          :: empty(queue) /* one that sleeps has it */
          fi
       fi;
       if
       :: !waits -> goto leave
       :: waits
       fi;
       if
       :: is_busy ->
          arm();
          if
          :: !ok || r < BOUND -> goto again
          :: else
          fi;
          is_busy = false
       :: !is_busy
       fi;
#ifdef COUNT_UNLOCKED
       receive_lock = false; inside++;
#else
       inside++; receive_lock = false;
#endif
       if
       :: queue?i -> deliver(i); ok = true
       :: got == SENDS -> ok = false
       fi;
       inside--;
       atomic { !receive_lock -> receive_lock = true };
       if
       :: ok -> find_wanted()
       :: !ok
       fi;
leave: receive_lock = false;
done:  if
       :: may_go -> break
       :: true
       fi
    od
}

init { atomic { run Sender(); run Thread(true); run Thread(false) } }
