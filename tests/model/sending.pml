/*
 * One channel: threads that send through one socket, with one lock that is only tried; a plain sender (-DPLAIN); a sender that stands
 * still for ever at any instruction (-DSTAND); datagrams of two slots (-DLONG); and one receiving thread that polls, arms, stops
 * (-DSTOPS: a foreign waiter came, and went) and peeks (-DPEEKS), as src/endpoint/{send,receive}.c do.
 * Checked: each thread's datagrams in order and once; what a peek has shown is delivered next; no end with the receiver asleep
 * and something unread.
 */
#ifndef SENDS
#define SENDS 3
#endif
#ifndef SENDERS
#define SENDERS 1
#endif
#ifndef RC
#define RC 2
#endif
#define QUEUE 2
#ifdef LONG
#define SLOTS 2
#else
#define SLOTS 1
#endif
#include "word.inc"

#ifdef NOTE_W
#define NOTED w
#else
#define NOTED BOUND
#endif
#define PLAIN_SENDER 7
chan queue = [QUEUE] of { byte, byte };
byte ring_t[RC], ring_i[RC];
byte wanted[SENDERS], wanted_plain = 0, returned[SENDERS], ended = 0;
bool send_lock = false, stands = false, has_peeked = false;
byte peeked_t, peeked_i;

inline deliver(t, i)
{
    assert(!has_peeked || (t == peeked_t && i == peeked_i));
    has_peeked = false;
    if
    :: t == PLAIN_SENDER -> assert(i == wanted_plain); wanted_plain++
    :: else -> assert(i == wanted[t]); wanted[t]++
    fi
}

proctype Sender(byte me)
{
    byte i = 0, p, L;
    bool D, is_sent, has_lock;
    {
    do
    :: i == SENDS -> break
    :: i < SENDS ->
       is_sent = false;
       atomic { has_lock = !send_lock; send_lock = true };
       if
       :: has_lock && MAY_PUBLISH && w + SLOTS - r <= RC ->
          p = w;
          ring_t[p % RC] = me; ring_i[p % RC] = i;
          w = p + SLOTS;
          look(p, is_sent)
       :: has_lock && !(MAY_PUBLISH && w + SLOTS - r <= RC)
       :: has_lock /* control data, an odd flag */
       :: !has_lock
       fi;
       if
       :: has_lock -> send_lock = false
       :: !has_lock
       fi;
       if
       :: !is_sent ->
#ifdef REQUEST_FIRST
          requested++; queue!me,i
#else
          queue!me,i; requested++
#endif
       :: is_sent
       fi;
       i++;
       returned[me] = i
    od;
    ended++
    } unless { stands }
}

#ifdef STAND
proctype Stand() { stands = true }
#endif

#ifdef PLAIN
proctype Plain() { queue!PLAIN_SENDER,0 }
#define ALL_PLAIN (wanted_plain == 1)
#else
#define ALL_PLAIN true
#endif

#if SENDERS == 2
#define ALL_RETURNED (wanted[0] >= returned[0] && wanted[1] >= returned[1])
#define ALL (wanted[0] == SENDS && wanted[1] == SENDS)
#else
#define ALL_RETURNED (wanted[0] >= returned[0])
#define ALL (wanted[0] == SENDS)
#endif
#define OVER ((ALL || (stands && ALL_RETURNED)) && ALL_PLAIN)

/* From the ring, up to a position. ok: there was one. */
inline take(top)
{
    ok = r < BOUND && r < top;
    if
    :: ok -> t = ring_t[r % RC]; i = ring_i[r % RC]; r = r + SLOTS; deliver(t, i)
    :: !ok
    fi
}

proctype Receiver()
{
    byte t, i, request, noted, round, ow_wp, ow_limit, ow_limit2, ow_w;
    mtype ow_st;
    bool ok, ow_wd, is_noted = false;
    do
    :: OVER -> break
    :: else ->
again: if
       :: poll()
       :: skip /* it does not pay, or somebody sleeps */
       fi;
       if
       :: !is_noted -> take(255);
          if
          :: ok -> goto done
          :: !ok
          fi;
          request = requested;
          if
          :: empty(queue) -> acknowledged = request; goto nothing
          :: nempty(queue) -> noted = NOTED; is_noted = true
          fi
       :: is_noted
       fi;
#ifndef POP_FIRST
       take(noted);
       if
       :: ok -> goto done
       :: !ok
       fi;
#endif
#ifdef PEEKS
       if
       :: queue?[t,i] -> atomic { queue?<t,i>; assert(!has_peeked || (t == peeked_t && i == peeked_i)); has_peeked = true; peeked_t = t; peeked_i = i }; goto done
       :: skip
       fi;
#endif
       queue?t,i; is_noted = false; deliver(t, i);
       goto done;
nothing:
       if
       :: goto done
#ifdef STOPS
       :: stop(SUSPENDED); goto done
#endif
       :: arm();
          if
          :: !ok || r < BOUND -> goto done
          :: else
          fi;
          if
          :: queue?t,i -> deliver(t, i)
          :: OVER -> break
          fi
       fi;
done:  skip
    od
}

init {
    atomic {
        run Sender(0);
#if SENDERS == 2
        run Sender(1);
#endif
#ifdef PLAIN
        run Plain();
#endif
#ifdef STAND
        run Stand();
#endif
        run Receiver()
    }
}
