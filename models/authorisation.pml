/*
 * Money that is set aside first: authorise, capture, void, and all that can come between, checked by Spin.
 *
 * One booking of one seat, with two payment sessions that may both be authorised; a rival who wants the seat; the clock;
 * the job that writes expiries down; web processes that hear events late, twice and in any order; job workers that take
 * or let go, and whose answers may be lost; and a gateway that may let go by itself. The steps before money is set aside,
 * and refunds that a buyer asks for, are in box_office.pml.
 *
 * One step here is one statement or one commit there; the comments name it.
 * tests/properties/test_interleavings.py runs it: the model must hold, and with each -DBUG_… Spin must find the bug.
 */

#define SESSIONS 2
#define KINDS 4                        /* of each session's events: authorised, success, voided, failed */
#define EVENTS 8
#ifndef SECOND
#define SECOND 0                       /* 1: the buyer may open the second session too */
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef AGAIN
#define AGAIN 0                        /* duplicates in all */
#endif
#ifndef KILLS
#define KILLS 0                        /* settlements that are cut off before their commit */
#endif
#ifndef LOST
#define LOST 1                         /* answers to captures and voids that are lost */
#endif

#define SET_ASIDE_TOLD 0
#define TAKEN_TOLD 1
#define LET_GO_TOLD 2
#define FAILED_TOLD 3

mtype = { NONE, PENDING, CONFIRMED, EXPIRED, CANCELLED };                        /* booking.status */
mtype = { UNOPENED, OPEN, AUTHORISED, VOIDING, VOIDED, SUCCEEDED, FAILED };     /* payment.status */
mtype = { FREE, OURS, RIVALS };                                                  /* show_seat.booking_id */
mtype = { WAITS, HELD, TAKEN, LET_GO };                                          /* at the gateway */

/* ------------------------------------------------------------- our books --- */
mtype booking = NONE;
bool in_time;                          /* expires_at > now() */
bool locked;                           /* SELECT … FOR UPDATE OF the booking */
bool cancelled;                        /* a buyer was told so (for the claim alone) */
byte paid_by = SESSIONS;
mtype seat = FREE;
bool live;                             /* taken_until > now(); for a sold seat for ever */
bool sold;
bool robbed;                           /* the rival lost a seat that was theirs (for the claim alone) */
mtype payment[SESSIONS] = UNOPENED;
bool queued[SESSIONS];                 /* the durable job payments.settle_authorisation */
bool to_refund[SESSIONS];
bool seen[EVENTS];                     /* payment_event: its primary key */

/* --------------------------------------------------- the gateway's books --- */
mtype there[SESSIONS] = WAITS;
byte given_back[SESSIONS];
byte to_send[EVENTS];
byte again = AGAIN;
byte kills = KILLS;
byte lost = LOST;

#define CLAIMABLE (seat == OURS || !live)
#define ASIDE(p) (payment[p] == AUTHORISED || payment[p] == VOIDING)
#define SHOWN(p) (payment[p] == OPEN || payment[p] == AUTHORISED)
#define OTHER(p) (1 - p)

inline announce(p, kind) { to_send[p * KINDS + kind]++ }

/* ------------------------------------------------- buyers, time and jobs --- */
active proctype Buyer() {
    byte session = 0;
    d_step { !live -> seat = OURS; live = true; booking = PENDING; in_time = true };   /* a claim, of one statement */
end:
    do
    /* sessions.py _RESERVE: one that waits for the buyer, unless money is set aside already. */
    :: d_step {
           booking == PENDING && in_time && session <= SECOND && !SHOWN(0) && !SHOWN(1) ->
           payment[session] = OPEN; session++ }
    /* cancellation.py _CANCEL: one conditional update under the row's lock. */
    :: d_step { !locked && booking == PENDING && in_time ->
           booking = CANCELLED; cancelled = true; if :: seat == OURS -> seat = FREE; live = false :: else fi }
    od
}

active proctype Rival() {
end:
    /* Takes the seat if it is free at that moment, and may let it lapse. */
    d_step { !live && booking != NONE -> seat = RIVALS; live = true };
lapses:
    if
    :: d_step { seat == RIVALS -> live = false }
    :: true
    fi
}

active proctype Clock() {
end:
    do
    :: d_step { booking == PENDING && in_time -> in_time = false;
           if :: seat == OURS && !sold -> live = false :: else fi }
    /* expiry.py _EXPIRE: skips what somebody has locked. */
    :: d_step { !locked && booking == PENDING && !in_time -> booking = EXPIRED }
    od
}

active proctype Refunds() {
end:
    do
    /* refunds.py send_refund: its interleavings are in box_office.pml. */
    :: d_step { to_refund[0] -> to_refund[0] = false; given_back[0]++ }
    :: d_step { to_refund[1] -> to_refund[1] = false; given_back[1]++ }
    od
}

/* --------------------------------------------------------------- gateway --- */
active [SESSIONS] proctype Gateway() {
    byte p = _pid - 4;                 /* after Buyer, Rival, Clock and Refunds: one process a session */
end:
    payment[p] != UNOPENED;
    /* A card may be declined before another, or the same one, is accepted. */
    if
    :: announce(p, FAILED_TOLD)
    :: true
    fi;
    if
    :: atomic { there[p] = HELD; announce(p, SET_ASIDE_TOLD) }
    :: goto over
    fi;
    /* What nobody takes is let go by the gateway itself, after days. */
    if
    :: atomic { there[p] == HELD -> there[p] = LET_GO; announce(p, LET_GO_TOLD) }
    :: true
    fi;
over:
    skip
}

/* ------------------------------------------ what is decided, under a lock --- */
/* authorisation.py keep_or_let_go: the seat is kept for this money, or the money is to be let go. */
inline keep_or_let_go(p, status) {
    if
    :: payment[OTHER(p)] != AUTHORISED && (status == PENDING || status == EXPIRED) && CLAIMABLE ->
#ifndef BUG_SEATS_NOT_KEPT
        seat = OURS; live = true;                                      /* leases.py _KEEP */
#endif
        booking = PENDING; in_time = true;                             /* authorisation.py _KEEP */
        payment[p] = AUTHORISED
    :: else ->
        payment[p] = VOIDING
    fi
}

/* settlement.py _succeeded: by the rule of any success, it asks the seat's own row. */
inline succeed(p, status) {
    if
    :: payment[p] == SUCCEEDED
    :: else ->
        payment[p] = SUCCEEDED;
        if
#ifdef BUG_SUCCESS_TRUSTS_THE_LEASE
        :: status == PENDING || status == EXPIRED ->
#else
        :: (status == PENDING || status == EXPIRED) && CLAIMABLE ->
#endif
            robbed = robbed || !CLAIMABLE;
            seat = OURS; live = true; sold = true; booking = CONFIRMED; paid_by = p
        :: else ->
            to_refund[p] = true
        fi
    fi
}

inline let_go(p) {                     /* settlement.py _voided */
    if :: payment[p] == OPEN || ASIDE(p) -> payment[p] = VOIDED :: else fi
}

/* ---------------------------------------------------- webhooks and jobs --- */
#define RECEIVE(n) atomic { to_send[n] > 0 -> to_send[n]--; e = n; p = e / KINDS }; goto settle
#define TWICE(n) atomic { to_send[n] > 0 && again > 0 -> again--; e = n; p = e / KINDS }; goto settle
/* What a process no longer needs to know is no part of its state. */
#define FORGET e = 0; p = 0; status = NONE; duplicate = false

active proctype Web() {
    byte e, p;
    mtype status = NONE;
    bool duplicate;
end:
    do
    :: RECEIVE(0) :: RECEIVE(1) :: RECEIVE(2) :: RECEIVE(3) :: RECEIVE(4) :: RECEIVE(5) :: RECEIVE(6) :: RECEIVE(7)
    :: TWICE(0) :: TWICE(1) :: TWICE(2) :: TWICE(3) :: TWICE(4) :: TWICE(5) :: TWICE(6) :: TWICE(7)
    od;
settle:
    atomic { !locked -> locked = true; status = booking; duplicate = seen[e] };         /* settlement.py _LOCK */
    if
    :: d_step { kills > 0 -> kills--; to_send[e]++; locked = false; FORGET }           /* rolled back, sent again */
    :: d_step {
           if
           :: duplicate
           :: else ->
               if
               :: e % KINDS == SET_ASIDE_TOLD ->                       /* authorisation.py authorised */
                   if
                   :: ASIDE(p) || payment[p] == SUCCEEDED || payment[p] == VOIDED
                   :: else ->
                       keep_or_let_go(p, status);
#ifndef BUG_JOB_FORGOTTEN
                       queued[p] = true
#else
                       queued[p] = (payment[p] == AUTHORISED)
#endif
                   fi
               :: e % KINDS == TAKEN_TOLD -> succeed(p, status)
               :: e % KINDS == LET_GO_TOLD -> let_go(p)
               :: else ->                                              /* settlement.py _failed */
                   if
#ifdef BUG_OLD_FAILURE_HARMS
                   :: payment[p] == OPEN || payment[p] == AUTHORISED -> payment[p] = FAILED
#else
                   :: payment[p] == OPEN -> payment[p] = FAILED
#endif
                   :: else
                   fi
               fi;
               seen[e] = true
           fi;
           locked = false;
           FORGET
       }
    fi;
    goto end
}

/* capture.py settle_authorisation. Two at once: the job, and reconciliation, which does the same. */
active [WORKERS] proctype Worker() {
    byte p;
    mtype status = NONE, said = WAITS;
    bool take;
end:
    do
    :: atomic { queued[0] -> p = 0 }; goto decide
    :: atomic { queued[1] -> p = 1 }; goto decide
    od;
decide:
    /* capture.py _LOCK: only a payment whose money is set aside; otherwise the job is done. */
#ifdef BUG_DECIDES_UNLOCKED
    atomic { status = booking };
#else
    atomic { !locked -> locked = true; status = booking };
#endif
    d_step {
        take = false; said = WAITS;
        if
        :: ASIDE(p) ->
            if :: payment[p] == AUTHORISED -> keep_or_let_go(p, status) :: else fi;
            take = (payment[p] == AUTHORISED)
        :: else ->
            queued[p] = false
        fi;
        status = NONE;
#ifndef BUG_DECIDES_UNLOCKED
        locked = false
#endif
    };
    if :: !queued[p] -> goto done :: else fi;
    /* The gateway takes, or lets go, once; asked again, or for what cannot be, it says where it stands. */
    d_step {
        if
        :: there[p] == HELD && take -> there[p] = TAKEN; announce(p, TAKEN_TOLD)
        :: there[p] == HELD && !take -> there[p] = LET_GO; announce(p, LET_GO_TOLD)
        :: else
        fi;
        said = there[p]; take = false
    };
    if
    :: d_step { lost > 0 -> lost--; said = WAITS }; goto done          /* the job comes again */
    :: true
    fi;
    atomic { !locked -> locked = true; status = booking };              /* its answer takes effect through settle */
    d_step {
        if
        :: said == TAKEN -> succeed(p, status)
        :: said == LET_GO -> let_go(p)
        fi;
        locked = false; status = NONE; said = WAITS
    };
done:
    atomic { p = 0; said = WAITS; take = false };
    goto end
}

/* ------------------------------------------------------- what must hold --- */
/* Never CONFIRMED without its seat, nor with one that was another's, nor after a buyer was told that it is cancelled. A
   booking whose time runs has its seat, so that what is taken is taken for a seat. Money goes back at most once, only if
   it was taken, and never while the seat is kept. */
#define HAS_SEAT (seat == OURS && live)
#define NOT_BOTH(p) \
    (given_back[p] == 0 || (given_back[p] == 1 && there[p] == TAKEN && !(booking == CONFIRMED && paid_by == p)))
ltl safe {
    [] ((booking != CONFIRMED || HAS_SEAT) && (booking != PENDING || !in_time || HAS_SEAT) && !robbed
        && (!cancelled || booking == CANCELLED) && NOT_BOTH(0) && NOT_BOTH(1))
}
/* What was set aside is in the end, and for good, let go; or taken, and then seated or refunded. */
#define ENDED(p) \
    (there[p] != HELD && (there[p] != TAKEN || given_back[p] == 1 || (booking == CONFIRMED && paid_by == p)))
ltl settled { <> [] (ENDED(0) && ENDED(1)) }
