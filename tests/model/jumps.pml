/*
 * A signal handler jumps out of a send at any instruction (src/endpoint/send.c, abandon()): the look that may be due is made, the lock given
 * back, and the datagram, whose call never returned, is dropped if it had to be withdrawn. A kernel send that was jumped out of may
 * have been made, so a drain is requested.
 * Checked: what calls that returned have sent comes in order and once, and one that was jumped out of not after a later one.
 */
#ifndef SENDS
#define SENDS 3
#endif
#define RC 2
#define QUEUE 2
#include "word.inc"

chan queue = [QUEUE] of { byte };
byte ring[RC], next = 0, jumped = 255, place = 0, count = 0;
bool send_lock = false, is_published = false, is_in_kernel = false, jumps = false, is_over = false;

inline deliver(i)
{
    assert(i == next || (next == jumped && i == next + 1));
    next = i + 1
}
#define ALL (next == SENDS || (next == jumped && jumped == SENDS - 1 && is_over))

inline send(i)
{
    is_sent = false;
    send_lock = true;
    if
    :: MAY_PUBLISH ->
       p = w; ring[p % RC] = i;
       atomic { place = p; is_published = true };
       w = p + 1;
       look(p, is_sent);
       is_published = false
    :: true
    fi;
    if
    :: !is_sent -> atomic { is_in_kernel = true; send_lock = false }; queue!i; requested++; is_in_kernel = false
    :: is_sent -> send_lock = false
    fi
}

proctype Sender()
{
    byte p, L;
    bool D, is_sent;
again:
    {
    do
    :: count >= SENDS -> break
    :: count < SENDS -> send(count); count++
    od
    } unless { jumps };
    if
    :: jumps ->
       jumps = false;
       jumped = count;
       if
       :: is_in_kernel ->
#ifndef NO_REQUEST
          requested++;
#endif
          is_in_kernel = false
       :: !is_in_kernel
       fi;
#ifndef NO_LOOK_AFTER
       if
       :: send_lock && is_published && w == place + 1 -> look(place, is_sent)
       :: else
       fi;
#endif
       is_published = false;
       send_lock = false;
       count++;
       goto again
    :: !jumps
    fi;
    is_over = true
}

proctype Jump()
{
    if
    :: count < SENDS -> jumps = true
    :: count == SENDS
    fi
}

inline take(top)
{
    ok = r < BOUND && r < top;
    if
    :: ok -> i = ring[r % RC]; r++; deliver(i)
    :: !ok
    fi
}

proctype Receiver()
{
    byte i, request, noted, ow_wp, ow_limit, ow_limit2, ow_w, round;
    mtype ow_st;
    bool ok, ow_wd;
    do
    :: ALL -> break
    :: else ->
again: poll();
       take(255);
       if
       :: ok -> goto done
       :: !ok
       fi;
       request = requested;
       if
       :: empty(queue) -> acknowledged = request
       :: nempty(queue) ->
          noted = BOUND;
          take(noted);
          if
          :: ok
          :: !ok -> queue?i; deliver(i)
          fi;
          goto done
       fi;
       if
       :: goto done
       :: arm();
          if
          :: !ok || r < BOUND -> goto again
          :: else
          fi;
          if
          :: queue?i -> deliver(i)
          :: ALL -> break
          fi
       fi;
done:  skip
    od
}

init { atomic { run Sender(); run Jump(); run Receiver() } }
