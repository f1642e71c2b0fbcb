/*
 * Two processes receive on one socket after a fork (src/endpoint/ownership.c): the first one polls; the second one finds out that it is
 * not alone, moves the word to HANDOFF, and the first one learns of it later. Neither has a lock that the other one knows. A take copies
 * first, then moves r, and settles with the word (src/channel/rx.c); the sender takes what nobody has read yet in the same way, and
 * sends it again through the kernel (tx.c, resend.c). With -DONE the second one only hands over and goes: what is left comes from the
 * sender alone.
 * Checked: each datagram once; nothing is left.
 */
#ifndef SENDS
#define SENDS 3
#endif
#define RC 2
#define QUEUE 3
#define TURNS
#include "word.inc"

chan queue = [QUEUE] of { byte };
byte ring[RC], seen[SENDS], got = 0;
bool is_free[RC]; /* seq: the slot may be filled */
bool is_contested = false;

inline deliver(i) { assert(seen[i] == 0); seen[i] = 1; got++ }

/* hqq_tx_claim() and hqq_resend() */
inline resend()
{
    do
    :: q = r;
#ifdef CLAIM_TO_W
       ok = q < w;
#else
       ok = q < BOUND;
#endif
       if
       :: ok ->
          atomic { if :: r == q -> r++; ok = true :: else -> ok = false fi };
          if
          :: ok -> queue!ring[q % RC]; is_free[q % RC] = true
          :: !ok
          fi
       :: !ok -> break
       fi
    od
}

proctype Sender()
{
    byte i = 0, p, q, L;
    bool D, is_sent, ok, is_over = false;
    do
    :: i == SENDS -> break
    :: i < SENDS ->
       is_sent = false;
       if
       :: st == HANDOFF && !is_over -> resend(); is_over = true
       :: else
       fi;
       if
       :: !is_over && MAY_PUBLISH && is_free[w % RC] ->
          p = w; ring[p % RC] = i; is_free[p % RC] = false; w = p + 1;
          look(p, is_sent)
       :: true
       fi;
       if
       :: !is_sent -> queue!i; requested++
       :: is_sent
       fi;
       i++
    od;
    /* the next send, some time */
    if
    :: st == HANDOFF && !is_over -> resend()
    :: got == SENDS
    fi
}

/* hqq_rx_take() of a ring that is shared, looked at by the word ow_*. ok: it is ours. */
inline settle(p)
{
    do
    :: ow_st == POLLING ->
#ifdef NO_TURN
       atomic { ok = (st == POLLING); if :: !ok -> ow_st = st; ow_limit = limit; ow_wd = wd; NOTE_TURN :: ok fi };
#else
       atomic {
           ok = (st == POLLING && SAME_TURN);
           if
           :: ok -> MOVED
           :: !ok -> ow_st = st; ow_limit = limit; ow_wd = wd; NOTE_TURN
           fi
       };
#endif
       if
       :: ok -> break
       :: !ok
       fi
    :: ow_st != POLLING && p < ow_limit -> ok = true; break
    :: ow_st != POLLING && p >= ow_limit && ow_wd -> ok = false; break
    :: ow_st != POLLING && p >= ow_limit && !ow_wd ->
#ifdef NO_RAISE
       ok = true; break
#else
       atomic {
           ok = (st == ow_st && limit == ow_limit && !wd && SAME_TURN);
           if
           :: ok -> MOVED; limit = p + 1
           :: !ok -> ow_st = st; ow_limit = limit; ow_wd = wd; NOTE_TURN
           fi
       };
       if
       :: ok -> break
       :: !ok
       fi
#endif
    od
}

inline take()
{
    atomic { ow_st = st; ow_limit = limit; ow_wd = wd; ow_wp = wp; NOTE_TURN };
    q = r;
    if
    :: ow_st == POLLING -> ok = q < w
    :: ow_st != POLLING -> ok = q < (ow_wd -> ow_wp : ow_limit)
    fi;
    if
    :: ok ->
       i = ring[q % RC];
       atomic { if :: r == q -> r++; ok = true :: else -> ok = false fi };
       if
       :: ok ->
#ifndef NO_SETTLE
          if
          :: ow_st == POLLING -> settle(q)
          :: ow_st != POLLING
          fi;
#endif
          is_free[q % RC] = true;
          if
          :: ok -> deliver(i)
          :: !ok
          fi
       :: !ok
       fi;
       ok = true /* there was something: look again */
    :: !ok
    fi
}

proctype First()
{
    byte i, q, request, round, ow_wp, ow_limit, ow_limit2, ow_w, ow_turn;
    mtype ow_st;
    bool ok, ow_wd, knows = false;
    do
    :: got == SENDS -> break
    :: got < SENDS ->
       if
       :: is_contested && !knows -> knows = true; stop(HANDOFF)
       :: else
       fi;
       if
       :: !knows -> poll()
       :: knows
       fi;
       take();
       if
       :: ok -> goto done
       :: !ok
       fi;
       request = requested;
       if
       :: queue?i -> deliver(i)
       :: empty(queue) -> acknowledged = request
       fi;
done:  skip
    od
}

proctype Second()
{
    byte i, q, round, ow_wp, ow_limit, ow_limit2, ow_w, ow_turn;
    mtype ow_st;
    bool ok, ow_wd;
    is_contested = true;
    stop(HANDOFF);
#ifndef ONE
    do
    :: got == SENDS -> break
    :: got < SENDS ->
       take();
       if
       :: ok
       :: !ok ->
          if
          :: queue?i -> deliver(i)
          :: empty(queue)
          fi
       fi
    od
#endif
}

init { atomic { is_free[0] = true; is_free[1] = true; run Sender(); run First(); run Second() } }
