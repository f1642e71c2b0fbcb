/*
 * Recovery: what happens to the ring when the process that holds one of its ends dies.
 *
 * Models     one direction of a link: a process on the producer end with several threads, one on the consumer end, and
 *            newcomers that want an end nobody holds. Up to DEATHS processes die, between any two steps, with all
 *            their threads at once. Whoever waits for the other end, or wants an end, and finds its holder gone tries
 *            to recover it: compare-and-swap the end word from the gone holder to recovering(self), sweep the ring,
 *            store "dead". A recoverer that dies is recovered from in the same way. Meanwhile the rest goes on.
 * Relies on  ring.pml: a claim, and the answer "nothing ready", take effect in one step. A process is called gone only
 *            when none of its threads will ever run again, and by an identity that is never used twice. Whoever waits
 *            looks at the other end's holder from time to time: death rings no bell, so sleeps are bounded.
 *            "Closed" is stored when no thread of the end holds a slot or can still claim one.
 * Checks     no tombstone in, and no release of, a slot whose holder lives; no published message overwritten,
 *            doubled or skipped (those claimed by a consumer that died are its own); at rest nobody who lives waits
 *            for a slot of the dead, and no end that somebody waits for is left to a gone holder.
 * Never      covers the bells (bell.pml), store buffers, or a thread that ends while its process goes on.
 *
 * Sizes: RING, THREADS (of the first producer process), MESSAGES (by each), NEWCOMERS (2 at most), DEATHS.
 */
#ifndef RING
#define RING 2
#endif
#ifndef THREADS
#define THREADS 2
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef NEWCOMERS
#define NEWCOMERS 1
#endif
#ifndef DEATHS
#define DEATHS 2
#endif

#define POSITIONS (THREADS * MESSAGES + NEWCOMERS)
#define SLOT(p) ((p) % RING)

#define PRODUCER 0
#define CONSUMER 1

/* End words. */
#define NONE 0
#define CLOSED 1
#define DEAD 2
#define ALIVE(id) (16 + (id))
#define RECOVERING(id) (32 + (id))
#define HELD(word) ((word) >= ALIVE(0))
#define ID(word) ((word) & 15)
#ifdef NO_TAKEOVER
#define STALE(word) (HELD(word) && (word) < RECOVERING(0) && gone[ID(word)])
#else
#define STALE(word) (HELD(word) && GONE(ID(word)))
#endif

/* Processes: 1 held the producer end first, 2 the consumer end, newcomers follow. */
#define FIRST_NEWCOMER 3
#define PROCESSES (2 + NEWCOMERS)
bool gone[PROCESSES + 1];
#ifdef IDENTITY_REUSED
/* The newcomer was given the number that the first producer process had. */
bool born;
#define IDENTITY(process) ((process) == FIRST_NEWCOMER -> 1 : (process))
#define GONE(id) ((id) == 1 -> (born -> gone[FIRST_NEWCOMER] : gone[1]) : gone[id])
#else
#define IDENTITY(process) (process)
#define GONE(id) gone[id]
#endif

byte end_word[2];
byte w, r;
byte seq[RING];
byte content[RING]; /* a message is its position + 1 */
#define TOMBSTONE 255

/* What no real ring holds. */
byte producer_of[POSITIONS]; /* the processes that claimed each position */
byte consumer_of[POSITIONS];
#define PUBLISHED 1
#define SWEPT 2
byte fate[POSITIONS];
byte threads = THREADS; /* of the first producer process, still at work */
bool at_rest; /* nobody could take a step: sends home who waits, so that being stuck anywhere else shows */

/* To be called where `seen` is an end word whose holder was found gone. */
inline recover(e) {
#ifndef NO_RECOVERING_STATE
    atomic {
        if
#ifdef RECOVER_WITHOUT_CAS
        :: true ->
#else
        :: end_word[e] == seen ->
#endif
            end_word[e] = RECOVERING(IDENTITY(me)); mine = true
#ifndef RECOVER_WITHOUT_CAS
        :: else
#endif
        fi
    }
#else
    mine = true;
#endif
    if
    :: mine ->
#ifdef DEAD_BEFORE_SWEEP
        end_word[e] = DEAD;
#endif
        if
        :: e == PRODUCER ->
            q = r;
#ifdef SWEEP_PAST_W
            last = q + RING;
#else
            last = w;
#endif
            do
            :: q < last ->
                if
                :: seq[SLOT(q)] == q ->
#ifdef TOMBSTONE_LATE
                    sweep_publish();
                    content[SLOT(q)] = TOMBSTONE
#else
                    d_step {
                        assert(fate[q] == 0 && gone[producer_of[q]]);
                        content[SLOT(q)] = TOMBSTONE
                    }
                    sweep_publish()
#endif
                :: seq[SLOT(q)] != q
                fi;
                q++
            :: q >= last -> break
            od
        :: e == CONSUMER ->
            q = w;
            q = (q > RING -> q - RING : 0);
#ifdef RELEASE_UNREAD
            last = w;
#else
            last = r;
#endif
            do
            :: q < last ->
                if
                :: seq[SLOT(q)] == q + 1 ->
                    d_step {
                        assert(seq[SLOT(q)] == q + 1 && gone[consumer_of[q]]);
                        seq[SLOT(q)] = q + RING
                    }
                :: seq[SLOT(q)] != q + 1
                fi;
                q++
            :: q >= last -> break
            od
        fi;
#ifndef DEAD_BEFORE_SWEEP
#ifndef NO_RECOVERING_STATE
        end_word[e] = DEAD;
#else
        end_word[e] = (end_word[e] == seen -> DEAD : end_word[e]);
#endif
#endif
        atomic { q = 0; last = 0; mine = false }
    :: else
    fi;
    seen = 0
}

inline sweep_publish() {
    d_step {
        assert(fate[q] == 0 && gone[producer_of[q]] && seq[SLOT(q)] == q);
        fate[q] = SWEPT;
        seq[SLOT(q)] = q + 1
    }
}

/* Sends `n` messages; goes to `gave_up` when the consumer end is closed and the ring is full. */
inline produce(n) {
    do
    :: n > 0 ->
        do
        :: atomic {
            seq[SLOT(w)] == w ->
            p = w; w++;
            assert(producer_of[p] == 0);
            producer_of[p] = me
        }
            break
        :: atomic { seq[SLOT(w)] != w && STALE(end_word[CONSUMER]) -> seen = end_word[CONSUMER] }
            recover(CONSUMER)
        :: atomic { seq[SLOT(w)] != w && end_word[CONSUMER] == CLOSED -> goto gave_up }
        :: at_rest -> goto done
        od;
        atomic {
            assert(fate[p] == 0 && seq[SLOT(p)] == p);
            content[SLOT(p)] = p + 1
        }
        d_step {
            assert(fate[p] == 0 && seq[SLOT(p)] == p);
            fate[p] = PUBLISHED;
            seq[SLOT(p)] = p + 1;
            p = 0;
            n--
        }
    :: n == 0 -> break
    od
}

/* Takes what comes, until the producer end is closed and the ring is empty. */
inline consume() {
    do
    :: atomic {
        seq[SLOT(r)] == r + 1 ->
        p = r; r++;
        assert(consumer_of[p] == 0);
        consumer_of[p] = me
    }
        d_step {
            assert(content[SLOT(p)] == (fate[p] == SWEPT -> TOMBSTONE : p + 1));
            assert(fate[p] != 0)
        }
        d_step {
            assert(seq[SLOT(p)] == p + 1);
            seq[SLOT(p)] = p + RING;
            p = 0
        }
    :: atomic { seq[SLOT(r)] != r + 1 && STALE(end_word[PRODUCER]) -> seen = end_word[PRODUCER] }
        recover(PRODUCER)
    :: end_word[PRODUCER] == CLOSED && r == w -> break
    :: at_rest -> goto done
    od
}

proctype Producer(byte me) {
    byte n = MESSAGES;
    byte p, q, last, seen;
    bool mine;
    {
        produce(n);
gave_up:
        atomic {
            threads--;
#ifndef CLOSE_WITH_CLAIM
            if
            :: threads > 0 -> goto done
            :: else
            fi
#endif
        }
        end_word[PRODUCER] = CLOSED;
done:
        skip
#ifdef LINGERING_THREAD
    } unless { false }
#else
    } unless { gone[me] }
#endif
}

proctype Consumer(byte me) {
    byte p, q, last, seen;
    bool mine;
    {
        consume();
        end_word[CONSUMER] = CLOSED;
done:
        skip
    } unless { gone[me] }
}

proctype Newcomer(byte me) {
    byte n = 1;
    byte p, q, last, seen, e;
    bool mine;
    {
        if
        :: e = PRODUCER
        :: e = CONSUMER
        fi;
        do
#ifdef ATTACH_EARLY
        :: atomic { !HELD(end_word[e]) || end_word[e] >= RECOVERING(0) ->
#else
        :: atomic { !HELD(end_word[e]) ->
#endif
            end_word[e] = ALIVE(IDENTITY(me));
#ifdef IDENTITY_REUSED
            born = true
#endif
        }
            break
        :: atomic { STALE(end_word[e]) -> seen = end_word[e] }
            recover(e)
        :: at_rest -> goto done
        od;
        if
        :: e == PRODUCER -> produce(n)
        :: e == CONSUMER -> consume()
        fi;
gave_up:
        end_word[e] = CLOSED;
done:
        skip
    } unless { gone[me] }
}

proctype Reaper() {
    byte left = DEATHS;
    do
    :: left > 0 ->
        atomic {
            if
            :: !gone[1] -> gone[1] = true
            :: !gone[2] -> gone[2] = true
            :: NEWCOMERS > 0 && !gone[3 % (PROCESSES + 1)] -> gone[3 % (PROCESSES + 1)] = true
            :: NEWCOMERS > 1 && !gone[4 % (PROCESSES + 1)] -> gone[4 % (PROCESSES + 1)] = true
            :: left = 1
            fi;
            left--
        }
    :: left == 0 -> break
    od
}

init {
    byte i;
    atomic {
        for (i : 0 .. RING - 1) {
            seq[i] = i
        }
        end_word[PRODUCER] = ALIVE(1);
        end_word[CONSUMER] = ALIVE(2);
        for (i : 1 .. THREADS) {
            run Producer(1)
        }
        run Consumer(2);
        for (i : FIRST_NEWCOMER .. PROCESSES) {
            run Newcomer(i)
        }
        run Reaper();
        i = 0
    }
    /* At rest: nobody can take a step, so whoever lives and holds an end waits for ever. */
    atomic {
        timeout ->
        at_rest = true;
        for (i : PRODUCER .. CONSUMER) {
            if
            :: HELD(end_word[i]) && !GONE(ID(end_word[i])) ->
                assert(end_word[i] < RECOVERING(0));
                assert(end_word[1 - i] != CLOSED);
                assert(!HELD(end_word[1 - i]) || !GONE(ID(end_word[1 - i])));
                /* A consumer has read everything; a producer has filled the ring, and it is all unread. */
                assert(i != CONSUMER || r == w);
                assert(i != PRODUCER || w == r + RING)
            :: else
            fi
        }
    }
}
