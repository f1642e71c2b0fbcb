/*
 * The bells: how threads fall asleep on an empty or a full ring and are woken, and how closing an end wakes them.
 *
 * Models     producers and consumers that call up to CALLS or TAKES times, each call with or without a deadline, and
 *            may go away after any call; for each end a bell its threads sleep on (a futex word, whether it is
 *            armed, and a count of sleepers); the last thread to leave an end may close it. Publish and release stores pass through store
 *            buffers as on TSO machines, so a waker can look for sleepers before others see what it published.
 *            Without -DFENCED a ringer looks at the bell with its stores still on their way, and a sleeper makes the
 *            ringers' processors pass a barrier (membarrier); with it, the ringer has a full fence.
 * Relies on  ring.pml: a claim, and the answer "nothing ready", take effect in one step. Read-modify-writes and
 *            system calls drain the caller's store buffer. futex_wait compares and queues in one step.
 * Checks     at rest nobody sleeps beside something he waits for: a message at the head of the ring, a free slot at
 *            its tail, the other end closed. A consumer told "closed" has left no message behind. No deadlock.
 * Never      covers reordered loads (machines weaker than TSO), ends that die (recover.pml), an end closed while
 *            another of its threads is inside a call, or a futex word that goes round once (2^32 rings of the bell)
 *            between two steps of one sleeper.
 *
 * Sizes: RING, PRODUCERS and CONSUMERS (3 at most), CALLS (by each producer), TAKES (by each consumer), BATCH.
 */
#ifndef RING
#define RING 2
#endif
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef CONSUMERS
#define CONSUMERS 2
#endif
#ifndef CALLS
#define CALLS 1
#endif
#ifndef TAKES
#define TAKES 1
#endif
#ifndef SEND_BATCH
#define SEND_BATCH 1
#endif
#ifndef TAKE_BATCH
#define TAKE_BATCH 1
#endif

/*
 * The two ends do the same to each other: wait until the slot at the own position is ready, claim it, hand it over,
 * ring the other end's bell. So both are one proctype; `end` says which.
 */
#define PRODUCER 0
#define CONSUMER 1
#define PEER (1 - side)
#define SIZE(e) ((e) == PRODUCER -> PRODUCERS : CONSUMERS)
#define THREAD(e, i) (3 * (e) + (i))

byte seq[RING];
byte next[2];        /* w and r */
bool closed[2];
byte inside[2];      /* threads of each end that have not gone away */

byte sleepers[2];
bool armed[2];
bool asleep[6];      /* queued in the kernel */
bool changed[6];     /* all a sleeper can tell of the futex word: is it another than he read? */

byte buffered[6];    /* store buffers: how many positions handed over that nobody else sees yet, */
byte oldest[6];      /* and the first of them */

#define SLOT(p) ((p) % RING)
#define READY(e, p) (seq[SLOT(p)] == (p) + (e))
/* What a store buffer may hold of the own slot makes no difference to READY: it is not ready either way. */
#define DRAINED (buffered[me] == 0)
#ifdef PASS_ON_NEXT_ONLY
#define IN_LINE position
#else
#define IN_LINE next[side]
#endif

proctype Store_buffer(byte me; byte side) {
end:
    do
    :: d_step {
        buffered[me] > 0 ->
        seq[SLOT(oldest[me])] = oldest[me] + (side == PRODUCER -> 1 : RING);
        buffered[me]--;
        oldest[me] = (buffered[me] == 0 -> 0 : oldest[me] + 1)
    }
    od
}

/* The futex word is stepped, then up to n of those in the queue are woken, any of them. */
inline ring_bell(bell, n) {
    d_step {
        DRAINED;
#ifndef KEEP_WORD
        changed[THREAD(bell, 0)] = true;
        changed[THREAD(bell, 1)] = true;
        changed[THREAD(bell, 2)] = true
#endif
    }
    atomic {
        n_woken = 0;
        do
        :: n_woken < n && asleep[THREAD(bell, 0)] -> asleep[THREAD(bell, 0)] = false; n_woken++
        :: n_woken < n && asleep[THREAD(bell, 1)] -> asleep[THREAD(bell, 1)] = false; n_woken++
        :: n_woken < n && asleep[THREAD(bell, 2)] -> asleep[THREAD(bell, 2)] = false; n_woken++
        :: else -> break
        od;
        n_woken = 0
    }
}

/* The ringer looks, and swaps in 0 if it finds the bell armed; the swap drains its store buffer. */
inline ring_if_armed(bell, n) {
    if
    :: armed[bell] ->
        d_step { DRAINED -> found_armed = armed[bell]; armed[bell] = false }
        if
        :: found_armed -> ring_bell(bell, n)
        :: else
        fi;
        found_armed = false
    :: !armed[bell]
    fi
}

/* A barrier on the processors of the other end: each of its threads is seen with nothing in its store buffer. */
inline barrier() {
#if !defined(FENCED) && !defined(DROP_BARRIER)
    buffered[THREAD(PEER, 0)] == 0;
    buffered[THREAD(PEER, 1)] == 0;
    buffered[THREAD(PEER, 2)] == 0
#else
    skip
#endif
}

inline hand_over() {
    d_step {
        oldest[me] = (DRAINED -> position : oldest[me]);
        buffered[me] = buffered[me] + count;
        position = position + count
    }
}

proctype Thread(byte me; byte side) {
    byte calls = (side == PRODUCER -> CALLS : TAKES);
    byte position, count, n_woken;
    bool deadline, peer_closed, woken, found_armed, has_slept;

#ifdef CLAIMED
    if
    :: side == PRODUCER ->
        d_step {
            position = me; count = 1 + me;
            next[PRODUCER] = next[PRODUCER] + count;
            calls = 0;
            hand_over()
        }
        goto claimed
    :: else
    fi;
#endif

call:
    atomic {
        peer_closed = false;
        if
        :: calls > 0 -> calls--
#ifndef PATIENT
        :: goto leave
#else
        :: calls == 0 -> goto gone
#endif
        fi
    }

again:
#ifndef CLOSED_AFTER_RING
    /*
     * Before the ring, not after: what the other end published before it closed is then seen. Having seen it open is
     * the same as not having looked, at any time, so that it takes no step of its own.
     */
    if
    :: closed[PEER] -> peer_closed = true
    :: goto look
    fi;
#endif
look:
    atomic {
        if
        :: READY(side, next[side]) && DRAINED ->
            position = next[side]; count = 1;
            if
            :: (side == PRODUCER -> SEND_BATCH : TAKE_BATCH) > 1 && READY(side, position + 1) -> count = 2
            :: true
            fi;
            next[side] = next[side] + count;
#ifndef RING_BEFORE_PUBLISH
            /* Into the store buffer at once: what others can tell is when it leaves that. */
            hand_over();
#endif
            goto claimed
        :: !READY(side, next[side])
        fi;
#ifdef CLOSED_AFTER_RING
    }
    peer_closed = closed[PEER];
    atomic {
#endif
        if
        :: peer_closed ->
            assert(side == PRODUCER || next[PRODUCER] == next[CONSUMER]);
            goto pass_on
        :: !peer_closed
#ifndef PATIENT
        :: !peer_closed -> goto pass_on /* deadline passed, or never meant to wait */
#endif
        fi
    }

    /* Arm: be counted, read the word, arm the bell, look again, sleep only if the word is still the same. */
    d_step { DRAINED -> sleepers[side]++; woken = false; has_slept = true }
    /* The word before the bell: whoever finds the bell armed by us moves the word from what we have read. */
#ifndef READ_WORD_LATE
    changed[me] = false;
#endif
#ifndef ARM_AFTER_LOOK
    armed[side] = true;
#endif
#ifdef READ_WORD_LATE
    changed[me] = false;
#endif
    barrier();
#ifndef DROP_RECHECK
    /* The full fence that stands here has no work on TSO: the count was a read-modify-write. */
    if
    :: READY(side, next[side]) -> goto disarm
    :: !READY(side, next[side])
    fi;
#endif
#if !defined(DROP_RECHECK) && !defined(FORGET_CLOSED)
    if
    :: closed[PEER] -> goto disarm
    :: !closed[PEER]
    fi;
#endif
#ifdef ARM_AFTER_LOOK
    armed[side] = true;
#endif
    if
    :: changed[me] -> goto disarm
    :: atomic {
        !changed[me] -> asleep[me] = true;
        /* With a deadline or without: chosen no earlier than it makes a difference. */
        if
#ifndef PATIENT
        :: deadline = true
#endif
        :: true
        fi
    }
    fi;
end_asleep:
    atomic {
        if
        :: !asleep[me] -> woken = true
        :: asleep[me] && deadline -> asleep[me] = false
        fi;
        deadline = false
    }

disarm:
    atomic {
        DRAINED -> sleepers[side]--;
        changed[me] = false;
        peer_closed = false;
        if
        :: goto again
        /* Who was woken tries the ring first; who was not may find his deadline passed, and return. */
        :: !woken -> goto pass_on
        fi
    }

claimed:
#if defined(FENCED) && !defined(DROP_FENCE) && !defined(RING_BEFORE_PUBLISH)
    DRAINED;
#endif
#ifdef WAKE_ONE
    ring_if_armed(PEER, 1);
#else
    ring_if_armed(PEER, count);
#endif
#ifdef RING_BEFORE_PUBLISH
    hand_over();
    DRAINED;
#endif
    atomic { position = 0; count = 0; peer_closed = false }

pass_on:
#ifndef NO_PASS_ON
    /*
     * Since the bell was rung for this thread nobody has rung it, as it is not armed; and the one ring may have been
     * for a slot that was not the next in turn. So before the thread goes away it arms the bell for those that still
     * sleep, and looks where the ring stands now.
     */
    if
    :: has_slept && sleepers[side] != 0 ->
#ifndef PASS_ON_UNARMED
        d_step { DRAINED -> armed[side] = true };
        barrier();
#endif
        if
        :: READY(side, next[side]) -> ring_if_armed(side, 1)
        :: !READY(side, next[side])
        fi
    :: else
    fi;
#endif
    if
    :: peer_closed -> goto leave
    :: else -> atomic { woken = false; has_slept = false; goto call }
    fi;

leave:
    atomic {
        DRAINED; /* whoever closes the end knows that this thread has gone, by something that drains */
        peer_closed = false; woken = false; has_slept = false; calls = 0;
        inside[side]--;
        if
        :: inside[side] == 0 -> skip /* and close, or, as the other branch may be taken too, leave it open */
        :: goto gone
        fi
    }
    d_step { DRAINED -> closed[side] = true }
    if
    :: sleepers[PEER] != 0 ->
#ifdef CLOSE_WAKES_ONE
        ring_bell(PEER, 1)
#else
        ring_bell(PEER, 3)
#endif
    :: sleepers[PEER] == 0
    fi;

gone:
    position = 0
}

init {
    byte i;
    atomic {
        /* The ring starts with any number of messages in it. */
#ifdef FILLED
        next[PRODUCER] = FILLED;
#else
        select(i : 0 .. RING);
        next[PRODUCER] = i;
#endif
        for (i : 0 .. RING - 1) {
            seq[i] = (i < next[PRODUCER] -> i + 1 : i)
        }
        inside[PRODUCER] = PRODUCERS;
        inside[CONSUMER] = CONSUMERS;
        for (i : 0 .. PRODUCERS - 1) {
            run Store_buffer(THREAD(PRODUCER, i), PRODUCER);
            run Thread(THREAD(PRODUCER, i), PRODUCER)
        }
        for (i : 0 .. CONSUMERS - 1) {
            run Store_buffer(THREAD(CONSUMER, i), CONSUMER);
            run Thread(THREAD(CONSUMER, i), CONSUMER)
        }
        i = 0
    }
    /* At rest: nobody can take a step, so whoever is asleep sleeps for ever. */
    atomic {
        timeout ->
        for (i : 0 .. 5) {
            if
            :: asleep[i] ->
                assert(!READY(i / 3, next[i / 3]));
                assert(!closed[1 - i / 3])
            :: else
            fi
        }
    }
}
