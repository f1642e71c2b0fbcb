/*
 * The fences, with explicit store buffers: a store stands in its process's buffer until it is flushed; stores of one process are flushed
 * in any order, which is weaker than x86 allows, unless the later one is a release. A swap and a fence flush first. One datagram; the slot,
 * w and the word are the shared variables.
 * Checked: it is delivered once, and whole; no end with the receiver asleep and the datagram in the ring.
 */
mtype = { POLLING, ARMED };
mtype st = POLLING;
bool wd = false;
byte slot = 0, w = 0;                /* memory */
bool stores_slot = false, stores_w = false; /* the sender's buffer */
bool stores_armed = false;           /* the receiver's buffer: the word ARMED, limit 0 */
chan queue = [1] of { byte };
byte got = 0;

proctype FlushSender()
{
end:
    do
    :: atomic { stores_slot -> slot = 1; stores_slot = false }
#ifdef NO_RELEASE
    :: atomic { stores_w -> w = 1; stores_w = false }
#else
    :: atomic { stores_w && !stores_slot -> w = 1; stores_w = false }
#endif
    od
}

proctype FlushReceiver()
{
end:
    do
    :: atomic { stores_armed -> st = ARMED; wd = false; stores_armed = false }
    od
}

proctype Sender()
{
    if
    :: st == POLLING ->
       stores_slot = true; stores_w = true;
#ifndef NO_FENCE_OF_SENDER
       (!stores_slot && !stores_w);
#endif
       if
       :: st == POLLING
       :: st == ARMED ->
          (!stores_slot && !stores_w);
          if
          :: atomic { st == ARMED && !wd -> wd = true }; queue!1
          :: atomic { !(st == ARMED && !wd) }
          fi
       fi
    :: st == ARMED -> queue!1
    fi
}

proctype Receiver()
{
    byte i;
    bool was_withdrawn = false;
    do
    :: got == 1 -> break
    :: got == 0 ->
again: if
       :: w == 1 && !was_withdrawn -> assert(slot == 1); got++; goto done
       :: else
       fi;
       if
       :: queue?i -> got++; goto done
       :: empty(queue)
       fi;
       if
       :: skip
       :: stores_armed = true;
#ifndef NO_FENCE_OF_RECEIVER
          (!stores_armed);
#endif
          if
          :: w == 1 && !was_withdrawn ->
             (!stores_armed);
             atomic { was_withdrawn = wd; st = POLLING; wd = false };
             goto again
          :: else
          fi;
          queue?i; got++
       fi;
done:  skip
    od;
    (!stores_armed);
    assert(got == 1 && empty(queue))
}

init { atomic { run FlushSender(); run FlushReceiver(); run Sender(); run Receiver() } }
