/*
 * The ring: a bounded queue for many producers and many consumers (after Vyukov), with batch claims.
 *
 * Models     every load, store and compare-and-swap of a shared word as a step of its own, and the payload as two
 *            halves, so that a slot read too early or filled too late shows as a torn message.
 * Relies on  sequential consistency: the publish and release stores of seq are releases, the loads of seq that
 *            find a slot ready are acquires, and the payload is touched only between them. The mutations
 *            PUBLISH_BEFORE_FILL and RELEASE_BEFORE_READ are what a weaker order would look like.
 * Checks     no message lost, doubled or torn; the message taken at a position is the one claimed for it; each
 *            producer's messages rise with the position; "full" and "empty" are never said wrongly; no deadlock;
 *            all of it with position counters that wrap on the way.
 * Never      covers sleeping (bell.pml) or ends that die (recover.pml), nor a thread that stands still while the
 *            counters go round once (2^64 positions in the real ring).
 *
 * Sizes: RING, PRODUCERS, CONSUMERS, MESSAGES (by each producer), BATCH (most slots in one claim).
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
#ifndef MESSAGES
#define MESSAGES 3
#endif
#ifndef BATCH
#define BATCH 2
#endif

#define TOTAL (PRODUCERS * MESSAGES)

/* Positions count modulo 32 and start two short of the wrap: far fewer than 16 lie between any two that meet. */
#define START 30
#define END ADD(START, TOTAL)
#define ADD(p, n) (((p) + (n)) & 31)
#define DISTANCE(a, b) (((a) - (b)) & 31)
#ifdef COMPARE_WITHOUT_WRAP
#define BEHIND(a, b) ((a) < (b))
#else
#define BEHIND(a, b) (DISTANCE(a, b) >= 16)
#endif
#define SLOT(p) ((p) % RING)
#define SENDER(message) (((message) - 1) / MESSAGES)

byte w = START;
byte r = START;
byte seq[RING];
byte half1[RING];
byte half2[RING];

/* What no real ring holds; written in the same step as the word it explains. */
#define FREE 0
#define FILLING 1
#define PUBLISHED 2
#define READING 3
byte phase[RING];      /* where each slot stands in its lap */
byte owner[RING];      /* stamp of the thread that claimed it last: producers 1.., consumers 101.. */
byte meant[RING];      /* the message it was last claimed for */
byte taken[PRODUCERS]; /* the last message of each producer that consumers claimed */

inline stamp_fill(pos, number) {
    assert(phase[SLOT(pos)] == FREE);
    phase[SLOT(pos)] = FILLING;
    owner[SLOT(pos)] = me;
    meant[SLOT(pos)] = number
}

/* In the order of positions each producer's messages come one after the other: none missing, none twice. */
inline stamp_read(pos) {
    assert(phase[SLOT(pos)] == PUBLISHED);
    phase[SLOT(pos)] = READING;
    owner[SLOT(pos)] = me;
    taken[SENDER(meant[SLOT(pos)])]++;
    assert(taken[SENDER(meant[SLOT(pos)])] == meant[SLOT(pos)])
}

inline publish(pos) {
    d_step {
        assert(phase[SLOT(pos)] == FILLING && owner[SLOT(pos)] == me);
        phase[SLOT(pos)] = PUBLISHED;
        seq[SLOT(pos)] = ADD(pos, 1)
    }
}

inline release(pos) {
    d_step {
        assert(phase[SLOT(pos)] == READING && owner[SLOT(pos)] == me);
        phase[SLOT(pos)] = FREE;
        seq[SLOT(pos)] = ADD(pos, RING)
    }
}

proctype Producer(byte me) {
    byte message = (me - 1) * MESSAGES + 1; /* the next to send; 0 is no message */
    byte p, s, count;

reload:
    p = w;
    atomic {
        s = seq[SLOT(p)];
        if
        :: s == p -> s = 0; count = 1
        :: s != p && BEHIND(s, p) ->
            /* Full, and exactly so now: the slot has not come back from the lap before, so nobody passed p. */
            assert(w == p && phase[SLOT(p)] != FREE);
            goto no_room
        :: else -> p = 0; s = 0; goto reload
        fi
    }
    if
    :: BATCH > 1 && message < me * MESSAGES ->
        atomic {
            if
            :: seq[SLOT(ADD(p, 1))] == ADD(p, 1) -> count = 2
#ifdef BATCH_CHECKS_FIRST_ONLY
            :: else -> count = 2
#else
            :: else
#endif
            fi
        }
    :: true
    fi;
    atomic {
        if
#ifdef CLAIM_WITHOUT_CAS
        :: true ->
#else
        :: w == p ->
#endif
            w = ADD(p, count);
            stamp_fill(p, message);
            if
            :: count == 2 -> stamp_fill(ADD(p, 1), message + 1)
            :: else
            fi
#ifndef CLAIM_WITHOUT_CAS
        :: else -> p = 0; count = 0; goto reload
#endif
        fi
    }

    do
    :: count > 0 ->
#ifdef PUBLISH_BEFORE_FILL
        publish(p);
        half1[SLOT(p)] = message;
        half2[SLOT(p)] = message;
#else
        half1[SLOT(p)] = message;
        half2[SLOT(p)] = message;
        publish(p);
#endif
        atomic { p = ADD(p, 1); message++; count-- }
    :: count == 0 -> break
    od;
    atomic {
        p = 0;
        if
        :: message <= me * MESSAGES -> goto reload
        :: else -> goto done
        fi
    }

no_room:
    /* Trying again makes a difference only after one of the two words changed. */
    atomic { seq[SLOT(p)] != s || w != p -> p = 0; s = 0; goto reload }

done:
    skip
}

proctype Consumer(byte me) {
    byte p, s, count, first, second;

reload:
    p = r;
    if
    :: p == END -> goto done
    :: else
    fi;
    atomic {
        s = seq[SLOT(p)];
        if
        :: s == ADD(p, 1) -> s = 0; count = 1
        :: s != ADD(p, 1) && BEHIND(s, ADD(p, 1)) ->
            /* Empty, and exactly so now: the next message is not published, so nobody passed p. */
            assert(r == p && phase[SLOT(p)] != PUBLISHED);
            goto no_message
        :: else -> p = 0; s = 0; goto reload
        fi
    }
    if
    :: BATCH > 1 ->
        atomic {
            if
            :: seq[SLOT(ADD(p, 1))] == ADD(p, 2) -> count = 2
            :: else
            fi
        }
    :: true
    fi;
    atomic {
        if
#ifdef TAKE_WITHOUT_CAS
        :: true ->
#else
        :: r == p ->
#endif
            r = ADD(p, count);
            stamp_read(p);
            if
            :: count == 2 -> stamp_read(ADD(p, 1))
            :: else
            fi
#ifndef TAKE_WITHOUT_CAS
        :: else -> p = 0; count = 0; goto reload
#endif
        fi
    }

    do
    :: count > 0 ->
#ifdef RELEASE_BEFORE_READ
        s = meant[SLOT(p)]; /* what ought to be read; the slot may have a new message soon */
        release(p);
        first = half1[SLOT(p)];
        second = half2[SLOT(p)];
#else
        first = half1[SLOT(p)];
        second = half2[SLOT(p)];
        s = meant[SLOT(p)];
        release(p);
#endif
        atomic {
            assert(first == second);
            assert(first == s);
            p = ADD(p, 1); count--;
            first = 0; second = 0; s = 0
        }
    :: count == 0 -> break
    od;
    atomic { p = 0; goto reload }

no_message:
    atomic { seq[SLOT(p)] != s || r != p -> p = 0; s = 0; goto reload }

done:
    skip
}

init {
    byte i;
    atomic {
        for (i : 0 .. RING - 1) {
            seq[SLOT(ADD(START, i))] = ADD(START, i)
        }
        for (i : 1 .. PRODUCERS) {
            taken[i - 1] = (i - 1) * MESSAGES;
            run Producer(i)
        }
        for (i : 1 .. CONSUMERS) {
            run Consumer(100 + i)
        }
        i = 0
    }
    /* Reached only when every thread has come to its end; a thread that never does is an invalid end state. */
    atomic {
        _nr_pr == 1 ->
        assert(w == END && r == END);
        for (i : 1 .. PRODUCERS) {
            assert(taken[i - 1] == i * MESSAGES)
        }
    }
}
