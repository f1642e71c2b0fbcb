/*
 * A signal handler interrupts a receive of its own thread at any point, and receives from the same socket, blocking or not
 * (src/endpoint/entered.c, spoil()). It moves the word's turn before it begins, so that a swap which it has interrupted fails; it spoils
 * the frame below: a take of that one commits by a swap of r, its kernel receive by a header that the kernel refuses; and a spoilt frame
 * begins anew. While the frame below sleeps in the kernel nothing is polled.
 * Checked: order, each once, no end with the thread asleep and something unread.
 */
#ifndef SENDS
#define SENDS 3
#endif
#ifndef HANDLERS
#define HANDLERS 1
#endif
#define RC 2
#define QUEUE 2
#define TURNS
#include "word.inc"

chan queue = [QUEUE] of { byte };
byte ring[RC], wanted = 0, inside = 0;
bool in_handler = false, is_spoilt = false;

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

#ifdef NO_SPOIL
#define SPOILT false
#else
#define SPOILT (is_spoilt && !nested)
#endif

inline take(top)
{
    q = r;
    ok = q < BOUND && q < top;
    if
    :: ok ->
       i = ring[q % RC];
       ok = !SPOILT;
       atomic {
           if
           :: ok && r == q -> r++; assert(i == wanted); wanted++
           :: else -> ok = false
           fi
       };
       if
       :: ok -> goto taken
       :: !ok -> goto again
       fi
    :: !ok
    fi
}

/* The handler, if nested, which the other one stands still for. */
proctype Receive(bool nested) provided (_pid != 2 || !in_handler)
{
    byte i, q, count = 0, request, noted, round, ow_wp, ow_limit, ow_limit2, ow_w, ow_turn;
    mtype ow_st;
    bool ok, ow_wd, waits;
    do
    :: wanted == SENDS || (nested && count == HANDLERS) -> break
    :: wanted < SENDS && !(nested && count == HANDLERS) ->
       if
       :: nested ->
          atomic { in_handler = true; count++; is_spoilt = true };
#ifndef NO_INTERRUPT
          atomic { MOVED };
#endif
       :: !nested
       fi;
       if
       :: waits = true
       :: waits = false
       fi;
again: if
       :: !nested -> is_spoilt = false
       :: nested
       fi;
       if
#ifdef POLL_ANYWAY
       :: true -> poll()
#else
       :: inside == 0 -> poll()
       :: inside != 0
#endif
       fi;
       take(255);
       request = requested;
       if
       :: empty(queue) -> acknowledged = request
       :: nempty(queue) ->
          noted = BOUND;
          take(noted);
          atomic {
              if
              :: SPOILT || len(queue) == 0 -> ok = false
              :: !SPOILT && len(queue) > 0 -> queue?i; assert(i == wanted); wanted++; ok = true
              fi
          };
          if
          :: ok -> goto taken
          :: !ok -> goto again
          fi
       fi;
       if
       :: !waits -> goto taken
       :: waits
       fi;
       arm();
       if
       :: !ok || r < BOUND -> goto again
       :: else
       fi;
       inside++;
       if
       :: SPOILT -> inside--; goto again
       :: else
       fi;
       if
       :: atomic { queue?i -> assert(i == wanted); wanted++ }
       :: wanted == SENDS
       fi;
       inside--;
taken: if
       :: nested -> in_handler = false
       :: !nested
       fi
    od
}

init { atomic { run Sender(); run Receive(false); run Receive(true) } }
