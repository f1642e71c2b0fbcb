/*
 * Two sockets and the pair between them: how datagrams that go now through the ring and now through the kernel's queue
 * stay in order, and how tokens wake a receiver that sleeps on its socket.
 *
 * Models     the threads of a sending process: enter the ring by a numbered barrier token, publish, look at the door,
 *            send a bell and disarm that epoch, take a datagram back by CAS of r, spill, leave the ring for a datagram
 *            that only the kernel carries. The threads of a receiving process: rings first or the kernel first (its
 *            turn), limits, barriers, tokens, arm, look again, sleep in recv(MSG_PEEK), park while another sleeps.
 *            The kernel's queue: bounded; a token may be refused at any time, a datagram waits for room; each arrival
 *            wakes one sleeper, and one that finds the queue empty sleeps on without coming back to our code.
 *            A publication passes through a store buffer as on TSO machines: with -DFENCED the sender waits for it
 *            before it looks at the door, without it a barrier of the receiver does (membarrier).
 * Relies on  ring.pml: a claim takes effect in one step, and a slot that is taken is free at once. Locks, CAS and
 *            system calls drain the store buffer. Only whether two epochs are equal matters, so they are used again
 *            once neither a token nor the sender holds them.
 * Checks     every datagram is delivered once; those whose send had ended before another one's began come before it,
 *            also between threads of a sender; at rest all were delivered: nobody sleeps beside a datagram, and no
 *            barrier stays shut. When control goes to an app (rule): nothing is in the ring that neither a token nor
 *            a thread on its way tells of; but for a receiver alone, whose next wait passes through our code.
 * Never      covers the way to an open pair (offer, proof), several pairs, datagrams of several slots, a peer that
 *            dies or closes, forks, machines weaker than TSO, and sends that fail as the queue is full.
 *
 * Sizes: RING (2, 4), QUEUE, SENDERS and RECEIVERS (threads, 2 at most), SENDS and SENDS_OF_SECOND (datagrams of each),
 * FOREIGN (datagrams of a sender without a pair). With
 *
 *      UNSEEN      the receiver never waits in our calls: it receives without waiting, and waits by itself until the
 *                  kernel finds the socket readable
 *      PEEKS       the second receiver may peek, ask for the length of the next datagram, or poll without waiting
 *      QUESTIONS   senders ring, now and then, although the door says awake
 *      OPENED      the door may be opened, and the ring looked at, because other pairs of the socket were rung for
 *      THIEF       the token of one barrier is lost, to another process or to a reconnect (then order is not checked)
 */
#ifndef SENDERS
#define SENDERS 1
#endif
#ifndef SENDS
#define SENDS 3
#endif
#ifndef SENDS_OF_SECOND
#define SENDS_OF_SECOND SENDS
#endif
#ifndef RECEIVERS
#define RECEIVERS 1
#endif
#ifndef FOREIGN
#define FOREIGN 0
#endif
#ifndef RING
#define RING 2
#endif
#ifndef QUEUE
#define QUEUE 2
#endif

/* ---- The kernel's queue ---------------------------------------------------------------------------------------- */

#define DATA 1    /* which */
#define BELL 2    /* epoch */
#define BARRIER 3 /* number */

chan queue = [QUEUE] of {byte, byte};
bool waiting[2]; /* in the kernel's wait queue */

#define HEAD_IS_DATA queue?[DATA,_]
#define HEAD_IS_TOKEN (queue?[BELL,_] || queue?[BARRIER,_])

inline enqueue(a_kind, a_value) {
    queue!a_kind,a_value;
    if
    :: waiting[0] -> waiting[0] = false
    :: waiting[1] -> waiting[1] = false
    :: !waiting[0] && !waiting[1]
    fi
}

/* ---- The pair -------------------------------------------------------------------------------------------------- */

#define AWAKE 0
#define PARKED 10 /* and between the two: armed, with that epoch */

byte door;
byte w, r;
bool published[RING]; /* as others see it */
byte datagram[RING], barrier_of[RING];
bool pending;         /* the publication of w - 1 is in a store buffer yet */

#define SLOT(position) ((position) % RING)
#define HEAD SLOT(r)

/* ---- The sending process --------------------------------------------------------------------------------------- */

bool send_lock, is_on_ring;
byte inside;               /* threads in a kernel send */
byte barrier, barrier_due; /* the last; that of the next datagram in the ring */
byte seen;                 /* the door, as the thread with the lock saw it */

#ifdef ENTER_WHILE_INSIDE
#define NOBODY_INSIDE true
#else
#define NOBODY_INSIDE (inside == 0)
#endif

/* ---- The receiving process ------------------------------------------------------------------------------------- */

bool receive_lock, is_active, is_parked, head_is_data;
bool has_limit; /* noted for the datagram at the head */
byte passed, noted, limit, epoch, sleepers;

#define SOMETHING (is_active && published[HEAD])
#ifdef NOTE_LATE
#define NOTE skip
#else
#define NOTE noted = barrier_of[HEAD]
#endif
#define BLOCKED (SOMETHING && barrier_of[HEAD] > passed)
#define TAKEABLE (SOMETHING && barrier_of[HEAD] <= passed)
#ifdef NO_LIMITS
#define WITHIN_LIMIT !head_is_data
#else
#define WITHIN_LIMIT (!head_is_data || r < limit)
#endif

/* Somebody may be waiting who does not pass through our code before he finds the queue readable. */
#ifdef UNSEEN
#define HAS_UNSEEN_WAITER true
#else
#define HAS_UNSEEN_WAITER (sleepers != 0)
#endif

/* ---- What is checked ------------------------------------------------------------------------------------------- */

#define COUNT (SENDS + (SENDERS - 1) * SENDS_OF_SECOND)
#define ALL ((1 << COUNT) - 1)
#define BIT(id) (1 << (id))
#define FOREIGN_ID 100

byte completed, delivered; /* sets of datagrams */
byte before[COUNT];        /* when the send of this one began: those sent before, and not delivered */
byte foreign_delivered;

inline deliver(id) {
    if
    :: id == FOREIGN_ID -> foreign_delivered++
    :: else ->
        assert((delivered & BIT(id)) == 0);
#ifndef THIEF
        assert((before[id] & ~delivered) == 0);
#endif
        before[id] = 0;
        delivered = delivered | BIT(id)
    fi
}

/* A sender that holds its lock may be on its way with a token. */
#ifdef UNSEEN
#define RULE (nempty(queue) || send_lock || (!published[HEAD] && door != AWAKE))
#else
#define RULE (nempty(queue) || send_lock || !published[HEAD] || (!waiting[0] && !waiting[1]))
#endif

/* ---- Sending --------------------------------------------------------------------------------------------------- */

proctype Store_buffer() {
end:
    do
    :: d_step { pending -> published[SLOT(w - 1)] = true; pending = false }
    od
}

inline leave_ring() {
    is_on_ring = false;
    barrier_due = 0
}

#define ID (me * SENDS + count - 1)

inline publish() {
    datagram[SLOT(w)] = ID;
    barrier_of[SLOT(w)] = barrier_due;
    barrier_due = 0;
    w++;
    pending = true
}

inline clear_head() {
    published[HEAD] = false;
    datagram[HEAD] = 0;
    barrier_of[HEAD] = 0
}

proctype Sender(byte me; byte count) {
again:
    atomic {
        if
        :: count == 0 -> goto done
        :: count > 0 && !send_lock
        fi;
        send_lock = true;
        before[ID] = completed & ~delivered;
        if
        :: is_on_ring -> goto ring
        :: is_on_ring -> leave_ring(); goto kernel /* ancillary data, or too long */
        :: !is_on_ring && door < PARKED && w - r <= RING / 2 && NOBODY_INSIDE
        :: !is_on_ring -> goto kernel
        fi
    }
    atomic {
#ifndef NO_BARRIER
        if
        :: nfull(queue) ->
            enqueue(BARRIER, barrier + 1);
            barrier++;
            barrier_due = barrier
        :: goto kernel /* refused */
        fi;
#endif
        is_on_ring = true
    }

ring:
    atomic {
        if
        :: door >= PARKED || w - r == RING -> leave_ring(); goto kernel
        :: else
        fi;
#ifndef BELL_BEFORE_PUBLISH
        publish()
#endif
    }
#if defined(FENCED) && !defined(DROP_FENCE)
    atomic { !pending -> seen = door }
#else
    seen = door;
#endif
    if
    :: seen == AWAKE -> goto unlock
#ifdef QUESTIONS
    :: atomic { seen == AWAKE && !pending && nfull(queue) -> enqueue(BELL, 0); goto unlock }
#endif
    :: seen == PARKED -> goto take_back
    :: seen != AWAKE && seen != PARKED
    fi;
#ifdef DISARM_EARLY
    d_step { !pending -> door = (door == seen -> AWAKE : door) }
#endif
    atomic {
        !pending ->
        if
        :: nfull(queue) -> enqueue(BELL, seen)
#ifdef KEEP_ON_REFUSAL
        :: seen = AWAKE; goto unlock
#else
        :: goto take_back
#endif
        fi
    }
    /* Disarmed only now, and only that epoch. */
    d_step {
#ifdef DISARM_ANY_EPOCH
        door = (door < PARKED -> AWAKE : door);
#else
        door = (door == seen -> AWAKE : door);
#endif
        seen = AWAKE
    }
    goto unlock;

take_back:
    atomic {
        !pending ->
        if
        :: r == w - 1 ->
#ifdef TAKE_BACK_WITHOUT_CAS
            goto take_without_cas
#else
            clear_head();
            r++;
            leave_ring();
            seen = AWAKE;
            goto kernel
#endif
        :: r != w - 1 -> /* the receiver has it, or is reading what lies before it */
            if
            :: seen == PARKED -> leave_ring()
            :: else
            fi;
            seen = AWAKE;
            goto unlock
        fi
    }
#ifdef TAKE_BACK_WITHOUT_CAS
take_without_cas:
    atomic {
        r = w - 1;
        clear_head();
        r = w;
        leave_ring();
        seen = AWAKE;
        goto kernel
    }
#endif

unlock:
    atomic {
#ifdef BELL_BEFORE_PUBLISH
        publish();
#endif
        !pending ->
        completed = completed | BIT(ID);
        send_lock = false;
        count--;
        goto again
    }

kernel:
    atomic { inside++; send_lock = false }
    atomic { nfull(queue) -> enqueue(DATA, ID); completed = completed | BIT(ID) }
    atomic { inside--; count--; goto again }

done:
    skip
}

#if FOREIGN > 0
proctype Foreigner() {
    byte count;
    do
    :: count < FOREIGN -> atomic { nfull(queue) -> enqueue(DATA, FOREIGN_ID); count++ }
    :: count == FOREIGN -> break
    od
}
#endif

#ifdef THIEF
proctype Thief() {
end:
    queue?BARRIER,_
}
#endif

/* ---- Receiving ------------------------------------------------------------------------------------------------- */

#define IN_USE(e) (queue??[BELL,e] || seen == e)

/*
 * The door, then the barrier, in one step: what is published in between is published by a thread that looks at the
 * door later.
 */
inline arm() {
    if
    :: is_active && !is_parked ->
        if
        :: !IN_USE(1) -> epoch = 1
        :: else ->
            if
            :: !IN_USE(2) -> epoch = 2
            :: else ->
                if
                :: !IN_USE(3) -> epoch = 3
                :: else ->
                    if
                    :: !IN_USE(4) -> epoch = 4
                    :: else -> epoch = 5; assert(!IN_USE(5))
                    fi
                fi
            fi
        fi;
        door = epoch
    :: else
    fi;
    barrier_everywhere()
}

inline barrier_everywhere() {
#if !defined(FENCED) && !defined(DROP_MEMBARRIER)
    !pending
#else
    skip
#endif
}

inline park() {
    if
    :: !is_parked -> is_parked = true; door = PARKED; is_active = true
    :: is_parked
    fi;
    barrier_everywhere()
}

#ifdef PEEKS
#define IS_PEEK is_peek
#else
#define IS_PEEK false
#endif

/* Limits and barriers are noted when the ring is looked at. */
inline take_from_rings() {
    if
    :: TAKEABLE && head_is_data && !has_limit -> limit = w; has_limit = true
    :: BLOCKED -> NOTE
    :: else
    fi;
    if
    :: TAKEABLE && WITHIN_LIMIT ->
        if
        :: !IS_PEEK ->
            deliver(datagram[HEAD]);
            clear_head();
            r++
        :: else
        fi;
        goto hand_over
    :: else
    fi
}

inline meet(a_kind, a_value) {
#ifndef DROP_ACTIVATION
    is_active = true;
#endif
    passed = (a_kind == BARRIER && a_value > passed -> a_value : passed)
}

proctype Receiver(byte me) {
    byte kind, value;
#ifdef PEEKS
    bool is_peek, is_poll;
#endif
#ifdef THIEF
    bool is_late;
#endif

app:
    atomic {
        if
        :: me == 1 -> goto gone
        :: true
#ifdef PEEKS
        :: me == 1 -> is_peek = true
        :: me == 1 -> is_poll = true
        :: me == 1 -> is_peek = true; !receive_lock; receive_lock = true; goto next /* FIONREAD: parks nothing */
#endif
#ifdef UNSEEN
        :: empty(queue) -> goto app_asleep
#endif
        fi;
        !receive_lock -> receive_lock = true;
        if
#ifdef NO_PARK
        :: true
#else
        :: sleepers != 0 -> park()
        :: sleepers == 0
#endif
        :: sleepers == 0 && is_parked -> is_parked = false; door = AWAKE; is_active = true
        fi;
#ifdef PEEKS
        if
        :: is_poll -> goto is_ready
        :: else
        fi
#endif
    }

next:
#ifdef OPENED
#ifdef OPEN_BESIDE_SLEEPER
#define MAY_OPEN (!is_active && !is_parked)
#else
#define MAY_OPEN (!is_active && !is_parked && sleepers == 0)
#endif
    atomic {
        if
        :: MAY_OPEN -> door = AWAKE; is_active = true; limit = r; has_limit = true
        :: true
        fi
    }
#endif
#ifdef THIEF
    is_late = completed == ALL;
#endif
    atomic {
        if
        :: !head_is_data || sleepers != 0 -> take_from_rings()
        :: head_is_data || sleepers == 0 /* the kernel's turn */
        fi
    }

look_at_kernel:
    atomic {
        if
        :: head_is_data -> goto before_head
        :: else
        fi;
#ifdef LIMIT_EARLY
        limit = w;
        has_limit = true
#endif
    }
    atomic {
        if
        :: empty(queue)
        :: HEAD_IS_DATA -> goto at_data
        :: HEAD_IS_TOKEN -> goto at_token
        fi
    }
    atomic {
#ifdef NOTE_LATE
        noted = (BLOCKED -> barrier_of[HEAD] : 0);
#endif
        if
        :: noted > passed -> passed = noted; noted = 0; take_from_rings()
        :: else -> noted = 0
        fi;
        goto nothing
    }

at_data:
    atomic {
#ifndef LIMIT_EARLY
        has_limit = false;
#endif
        head_is_data = true
    }

before_head:
    atomic {
        take_from_rings();
        if
        :: IS_PEEK -> head_is_data = nempty(queue); goto hand_over
        :: else -> goto pop
        fi
    }

at_token:
    /*
     * It stays where it is until, after arming, the ring was seen empty: it may be all that tells those who sleep, or
     * wait by themselves, of what the ring holds.
     */
#ifndef POP_FIRST
    atomic {
        if
        :: HAS_UNSEEN_WAITER ->
            if
            :: queue?<kind,value> -> meet(kind, value); kind = 0; value = 0
            :: empty(queue)
            fi;
            arm()
        :: else -> goto pop
        fi
    }
    atomic { take_from_rings() }
#endif

pop:
    atomic {
        head_is_data = false;
        has_limit = false;
        limit = 0;
        if
        :: queue?kind,value
        :: empty(queue) -> goto nothing
        fi;
        if
        :: kind == DATA -> deliver(value); goto hand_over
        :: else -> meet(kind, value); kind = 0; value = 0
        fi
    }
    atomic { take_from_rings(); goto look_at_kernel }

nothing:
    atomic {
        take_from_rings();
        if
        :: IS_PEEK -> goto hand_over
        :: else
        fi
    }
#ifdef UNSEEN
    goto hand_over;
#else

is_ready:
    atomic {
        if
        :: TAKEABLE -> goto ready
        :: else
        fi;
        if
        :: BLOCKED -> noted = barrier_of[HEAD]
        :: else
        fi
    }
    atomic {
        if
        :: empty(queue) && noted > passed ->
#ifndef NEVER_PASS_EMPTY
            passed = noted;
            noted = 0;
            goto is_ready
#endif
        :: empty(queue) && noted <= passed -> noted = 0
        :: HEAD_IS_DATA -> goto ready
        :: HEAD_IS_TOKEN -> goto is_ready_at_token
        fi
    }
#ifdef PEEKS
    if
    :: is_poll -> goto hand_over
    :: else
    fi;
#endif
    goto arm_and_sleep;

is_ready_at_token:
#ifndef POP_FIRST
    atomic {
        if
        :: HAS_UNSEEN_WAITER ->
            if
            :: queue?<kind,value> -> meet(kind, value); kind = 0; value = 0
            :: empty(queue)
            fi;
            arm()
        :: else -> goto is_ready_pop
        fi
    }
    atomic {
        if
        :: TAKEABLE -> goto ready
        :: else
        fi
    }
#endif
is_ready_pop:
    atomic {
        if
        :: HEAD_IS_TOKEN -> queue?kind,value; meet(kind, value); kind = 0; value = 0; goto is_ready
        :: empty(queue) || HEAD_IS_DATA -> goto ready
        fi
    }

ready:
#ifdef PEEKS
    if
    :: is_poll -> goto hand_over
    :: else
    fi;
#endif
    goto next;

arm_and_sleep:
#ifdef ARM_AFTER_LOOK
    if
    :: SOMETHING -> goto next
    :: !SOMETHING
    fi;
    atomic { arm() }
#else
    atomic { arm() }
#ifndef DROP_LOOK
    atomic {
        if
        :: SOMETHING ->
#ifdef THIEF
            assert(!is_late);
#endif
            goto next
        :: !SOMETHING
        fi
    }
#endif
#endif
#ifdef DRAIN_AFTER_ARMING
    do
    :: atomic { HEAD_IS_TOKEN -> queue?kind,value; meet(kind, value); kind = 0; value = 0 }
    :: empty(queue) || HEAD_IS_DATA -> break
    od;
#endif
    /* What a parked ring holds still is looked at again. */
    atomic { noted = 0; is_active = SOMETHING; sleepers++; receive_lock = false }

sleep:
    atomic {
        if
        :: nempty(queue) -> goto woken
        :: empty(queue) -> waiting[me] = true
        fi
    }
end_asleep:
    atomic { !waiting[me] -> goto sleep }

woken:
    sleepers--;
    atomic {
        !receive_lock -> receive_lock = true;
#ifndef NO_PARK
        if
        :: sleepers != 0 -> park()
        :: sleepers == 0
        fi;
#endif
        goto next
    }
#endif

hand_over:
#ifdef UNSEEN
    atomic {
        if
        :: SOMETHING -> goto settled
        :: else
        fi
    }
settle:
    atomic { arm() }
    atomic {
        if
        :: !SOMETHING && HEAD_IS_TOKEN && !queue?[BELL,eval(epoch)] ->
            queue?kind,value;
            meet(kind, value);
            kind = 0;
            value = 0;
            goto settle
        :: else
        fi
    }
settled:
#endif
    atomic {
        assert(RULE);
        kind = 0;
        value = 0;
#ifdef PEEKS
        is_peek = false;
        is_poll = false;
#endif
        receive_lock = false;
        goto app
    }

#ifdef UNSEEN
end_app_asleep:
app_asleep:
    nempty(queue) -> goto app;
#endif

gone:
    skip
}

init {
    atomic {
        is_active = true;
        run Store_buffer();
        run Sender(0, SENDS);
#if SENDERS > 1
        run Sender(1, SENDS_OF_SECOND);
#endif
        run Receiver(0);
#if RECEIVERS > 1
        run Receiver(1);
#endif
#if FOREIGN > 0
        run Foreigner();
#endif
#ifdef THIEF
        run Thief();
#endif
    }
    /* At rest: nobody can take a step. */
    timeout ->
    assert(delivered == ALL);
    assert(foreign_delivered == FOREIGN)
}
