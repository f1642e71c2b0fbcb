/*
 * Two senders with a channel each, and datagrams of both in the kernel's queue (src/endpoint/{receive,scheduler}.c). When a datagram is
 * seen at the head of the queue the positions of both rings are noted, once, and kept over calls: what lies before them is delivered,
 * then the head. Now and then the queue is looked at although the rings hold something.
 * Checked: each sender's order; and that the head does not wait for ever: at most two rings stand before it.
 */
#ifndef SENDS
#define SENDS 3
#endif
#define RC 2
chan queue = [2] of { byte, byte };
byte ring[4], w[2], r[2], requested[2], acknowledged[2], wanted[2], noted[2], since = 0;
bool is_noted = false;
#define ALL (wanted[0] == SENDS && wanted[1] == SENDS)

proctype Sender(byte me)
{
    byte i = 0;
    do
    :: i == SENDS -> break
    :: i < SENDS ->
       if
       :: queue!me,i -> requested[me]++
       :: acknowledged[me] == requested[me] && w[me] - r[me] < RC -> ring[me * 2 + w[me] % RC] = i; w[me]++
       fi;
       i++
    od
}

inline deliver(c, i) { assert(i == wanted[c]); wanted[c]++ }

proctype Receiver()
{
    byte c, i, first, second;
    do
    :: ALL -> break
    :: !ALL ->
       if
       :: c = 0
       :: c = 1
       fi;
       if
       :: r[c] == w[c] || (is_noted && r[c] >= noted[c]) -> c = 1 - c
       :: else
       fi;
       if
       :: r[c] < w[c] && (!is_noted || r[c] < noted[c]) ->
          i = ring[c * 2 + r[c] % RC]; r[c]++; deliver(c, i);
          if
          :: since > 0 -> since++; assert(since <= 2 * RC + 1)
          :: since == 0
          fi;
#ifdef NOTE_ANEW
          is_noted = false;
#endif
          if
          :: !is_noted -> goto look
          :: goto done
          fi
       :: else
       fi;
       if
       :: is_noted -> queue?c,i; is_noted = false; since = 0; deliver(c, i); goto done
       :: !is_noted
       fi;
look:  first = requested[0]; second = requested[1];
       if
       :: empty(queue) -> acknowledged[0] = first; acknowledged[1] = second
       :: nempty(queue) ->
#ifdef POP_FIRST
          queue?c,i; deliver(c, i)
#else
          noted[0] = w[0]; noted[1] = w[1]; is_noted = true;
          if
          :: since == 0 -> since = 1
          :: since != 0
          fi
#endif
       fi;
done:  skip
    od
}

init { atomic { run Sender(0); run Sender(1); run Receiver() } }
