/*
 * Claim, pay, expire, late webhook, duplicate webhook, refund: every interleaving of them, checked by Spin.
 *
 * Two bookings want overlapping seats: booking 0 both seats, booking 1 the second. Booking 0 may have two payment
 * sessions, booking 1 one. Two web processes, the jobs, the clock, the buyers and the gateway run at once; a web process
 * may be killed in the middle of a settlement; the gateway sends each event until it is taken, and some twice.
 *
 * One step here is one statement or one commit there; the comments name it. What Spin does not see (how many seats,
 * amounts, the seat map) is the other model's: tests/properties/imagined.py.
 *
 * tests/properties/test_interleavings.py runs it: the model must hold, and with each -DBUG_… Spin must find the bug.
 */

#define BOOKINGS 2
#define SEATS 2
#define PAYMENTS 3
#define EVENTS 9                       /* of each payment: success, failed, expired */
#define NOBODY 9
#ifndef AGAIN
#define AGAIN 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef RIVAL_PAYS
#define RIVAL_PAYS 0                   /* whether booking 1, too, may be paid; else it only takes seats and lapses */
#endif

#define BOOKING_OF(p) (p / 2)          /* payments 0 and 1 pay booking 0, payment 2 pays booking 1 */
#define WANTS(b, s) (b == 0 || s == 1)
#define SUCCESS 0
#define DECLINED 1
#define TIMED_OUT 2

mtype = { NONE, PENDING, CONFIRMED, EXPIRED, CANCELLED, REFUNDED };   /* booking.status */
mtype = { UNOPENED, OPEN, SUCCEEDED, FAILED, CLOSED };                /* payment.status; CLOSED is EXPIRED there */
mtype = { NO_REFUND, TO_SEND, SENT };                                 /* refund.status */

/* ------------------------------------------------------------- our books --- */
mtype booking[BOOKINGS] = NONE;
bool in_time[BOOKINGS];                /* expires_at > now() */
bool locked[BOOKINGS];                 /* SELECT … FOR UPDATE OF the booking */
byte paid_by[BOOKINGS] = NOBODY;
byte seat_of[SEATS] = NOBODY;          /* show_seat.booking_id */
bool live[SEATS];                      /* show_seat.taken_until > now(); for a sold seat for ever ('infinity') */
mtype payment[PAYMENTS] = UNOPENED;
mtype refund[PAYMENTS] = NO_REFUND;
bool seen[EVENTS];                     /* payment_event: its primary key */
byte effects[EVENTS];                  /* how often an event took effect (for the assertion alone) */

/* --------------------------------------------------- the gateway's books --- */
bool opened[PAYMENTS];
bool decided[PAYMENTS];
bool paid[PAYMENTS];                   /* it has the buyer's money */
byte given_back[PAYMENTS];             /* how often it gave that money back */
byte to_send[EVENTS];                  /* deliveries to come */
byte again = AGAIN;                    /* how many duplicates in all */
byte kills = KILLS;                    /* how many settlements may be cut off before their commit */

/* A seat that this booking may have: still its own, or free by time. */
#define CLAIMABLE(b, s) (seat_of[s] == b || !live[s])
#define ALL_FREE(b) ((!WANTS(b, 0) || !live[0]) && (!WANTS(b, 1) || !live[1]))
#define ALL_CLAIMABLE(b) ((!WANTS(b, 0) || CLAIMABLE(b, 0)) && (!WANTS(b, 1) || CLAIMABLE(b, 1)))

inline take(b) {                       /* claims.py `leased`, and leases.py _SELL */
    if :: WANTS(b, 0) -> seat_of[0] = b; live[0] = true :: else fi;
    if :: WANTS(b, 1) -> seat_of[1] = b; live[1] = true :: else fi;
}

inline give_back(b) {                  /* leases.py _GIVE_BACK: those that are its own still */
    if :: seat_of[0] == b -> seat_of[0] = NOBODY; live[0] = false :: else fi;
    if :: seat_of[1] == b -> seat_of[1] = NOBODY; live[1] = false :: else fi;
}

#ifdef BUG_LATE_UNCHECKED
#define CAN_BE_SOLD(b) true
#else
#define CAN_BE_SOLD(b) ALL_CLAIMABLE(b) /* leases.py _SELL: each is its own still or free, or none is sold */
#endif

/* ---------------------------------------------------------------- buyers --- */
proctype Buyer(byte b) {
    byte first = b * 2;
    byte session = first;
    bool asked = false;
    /* claims.py `seen`: the look without a lock. */
    if :: ALL_FREE(b) :: else -> goto gone fi;
    /* claims.py `locked`, `granted`, `leased`, `booked`: the second look, under the locks, and what it grants. */
    d_step {
        if
#ifdef BUG_NO_SECOND_LOOK
        :: true ->
#else
        :: ALL_FREE(b) ->
#endif
            take(b); booking[b] = PENDING; in_time[b] = true
        :: else
        fi
    };
end_bought:
    do
    /* sessions.py _RESERVE: while it can be paid, and has no live session (payment_one_live_session). */
    :: d_step {
           booking[b] == PENDING && in_time[b] && session < first + (b == 0 -> 2 : RIVAL_PAYS) && payment[first] != OPEN ->
           payment[session] = OPEN; opened[session] = true; session++ }
    /* cancellation.py _CANCEL: the row's lock, and a condition that is read under it. */
    :: d_step { !locked[b] && booking[b] == PENDING && in_time[b] -> booking[b] = CANCELLED; give_back(b) }
    /* cancellation.py refund_booking: one transaction under the booking's lock. */
    :: d_step {
           !locked[b] && booking[b] == CONFIRMED && !asked ->
           asked = true; booking[b] = REFUNDED; refund[paid_by[b]] = TO_SEND; give_back(b) }
    od;
gone:
    skip
}

/* -------------------------------------------------------- time and jobs --- */
active proctype Clock() {
end:
    do
    /* Time runs out: nobody writes, and the seats are free at that instant. */
    :: d_step { booking[0] == PENDING && in_time[0] -> in_time[0] = false;
           if :: seat_of[0] == 0 -> live[0] = false :: else fi; if :: seat_of[1] == 0 -> live[1] = false :: else fi }
    :: d_step { booking[1] == PENDING && in_time[1] -> in_time[1] = false;
           if :: seat_of[1] == 1 -> live[1] = false :: else fi }
    od
}

active proctype Jobs() {
    byte p = 0;
    bool lost = false;
end:
    do
    /* expiry.py _EXPIRE: skips what somebody has locked. */
    :: d_step { !locked[0] && booking[0] == PENDING && !in_time[0] -> booking[0] = EXPIRED }
    :: d_step { !locked[1] && booking[1] == PENDING && !in_time[1] -> booking[1] = EXPIRED }
    /* refunds.py send_refund: asks with the refund's id as key; the answer may be lost, then the job comes again. */
    :: atomic { refund[0] == TO_SEND -> p = 0 }; goto ask
    :: atomic { refund[1] == TO_SEND -> p = 1 }; goto ask
    :: atomic { refund[2] == TO_SEND -> p = 2 }; goto ask
    od;
ask:
    atomic {
        if
#ifdef BUG_REFUND_WITHOUT_KEY
        :: true -> given_back[p]++
#else
        :: given_back[p] == 0 -> given_back[p] = 1
        :: else
#endif
        fi
    };
    if
    :: !lost -> lost = true
    :: refund[p] = SENT                /* refunds.py _SUCCEED */
    fi;
    goto end
}

/* --------------------------------------------------------------- gateway --- */
inline announce(p, kind) { to_send[p * 3 + kind]++ }

active [PAYMENTS] proctype Gateway() {
    byte p = _pid - 2;                 /* after Clock and Jobs: one process a session */
end:
    opened[p];
    if
    :: atomic { paid[p] = true; announce(p, SUCCESS) }
    :: atomic { decided[p] = true; announce(p, DECLINED) }
    :: atomic { decided[p] = true; announce(p, TIMED_OUT) }
    fi;
    /* A card that was declined is tried again; an authorisation comes after the session's time. */
    if
    :: atomic { decided[p] && !paid[p] -> paid[p] = true; announce(p, SUCCESS) }
    :: true
    fi
}

/* ------------------------------------------- webhooks: settlement.py settle --- */
inline settle_success(b, p, e, status, before) {
    if
#ifdef BUG_TAKES_EFFECT_TWICE
    :: false
#else
    :: before == SUCCEEDED             /* paid_before */
#endif
    :: else ->
        payment[p] = SUCCEEDED; effects[e]++;
        if
        :: (status == PENDING || status == EXPIRED) && CAN_BE_SOLD(b) ->
           take(b); booking[b] = CONFIRMED; paid_by[b] = p        /* _PAID */
        :: else ->
#ifndef BUG_LATE_FORGOTTEN
           refund[p] = TO_SEND         /* automatic_refund.py, in the same transaction */
#else
           skip
#endif
        fi
    fi
}

inline settle_declined(b, p, e, status, timely, before) {
    if
    :: before == OPEN ->
        payment[p] = FAILED; effects[e]++;                           /* _CLOSE */
        if
#ifdef BUG_EXTENDS_WHAT_IS_LEFT
        :: status == PENDING && timely ->
            in_time[b] = true;
            if :: seat_of[0] == b -> live[0] = true :: else fi;
            if :: seat_of[1] == b -> live[1] = true :: else fi
#else
        /* leases.py _KEEP, by the seats' own rows: the time may have run out since it was read. Then _EXTEND. */
        :: status == PENDING && timely && ALL_CLAIMABLE(b) -> take(b); in_time[b] = true
#endif
        :: else
        fi
    :: else                                                          /* settled_before */
    fi
}

inline settle_timed_out(b, p, e, status, before) {
    if
    :: before == OPEN ->
        payment[p] = CLOSED; effects[e]++;
        if
#ifdef BUG_OLD_SESSION_HARMS
        :: true ->
#else
        :: status == PENDING ->                                      /* settlement.py _EXPIRE */
#endif
            booking[b] = EXPIRED; give_back(b)
        :: else
        fi
    :: else
    fi
}

#define RECEIVE(n) atomic { to_send[n] > 0 -> to_send[n]--; e = n; p = e / 3; b = BOOKING_OF(p) }; goto settle
/* What a process no longer needs to know is no part of its state. */
#define FORGET e = 0; p = 0; b = 0; status = NONE; before = UNOPENED; timely = false; duplicate = false
/* A duplicate is on its way beside the first, or long after it. */
#define TWICE(n) atomic { to_send[n] > 0 && again > 0 -> again--; e = n; p = e / 3; b = BOOKING_OF(p) }; goto settle

active [2] proctype Web() {
    byte e, p, b;
    mtype status, before;
    bool timely, duplicate;
end:
    do
    /* Which event comes next, and to which process, is anybody's guess. */
    :: RECEIVE(0) :: RECEIVE(1) :: RECEIVE(2) :: RECEIVE(3) :: RECEIVE(4)
    :: RECEIVE(5) :: RECEIVE(6) :: RECEIVE(7) :: RECEIVE(8)
    :: TWICE(0) :: TWICE(1) :: TWICE(2) :: TWICE(3) :: TWICE(4) :: TWICE(5) :: TWICE(6) :: TWICE(7) :: TWICE(8)
    od;
settle:
#ifndef BUG_NO_BOOKING_LOCK
       atomic { !locked[b] -> locked[b] = true };                    /* _LOCK_BOOKING */
#endif
       /* _LOCK_PAYMENT: what is known, as of this transaction's now(). */
       atomic { status = booking[b]; timely = in_time[b]; before = payment[p]; duplicate = seen[e] };
#ifdef BUG_RECORDED_APART
       seen[e] = true;
#endif
       if
       /* Killed, or the connection broke: rolled back, not acknowledged, and so it is sent again. */
       :: d_step { kills > 0 -> kills--; to_send[e]++; locked[b] = false; FORGET }
       /* The commit: _RECORD and the effect, both or neither. */
       :: d_step {
              if
#ifdef BUG_TAKES_EFFECT_TWICE
              :: false
#else
              :: duplicate
#endif
              :: else ->
                  if
                  :: e % 3 == SUCCESS -> settle_success(b, p, e, status, before)
                  :: e % 3 == DECLINED -> settle_declined(b, p, e, status, timely, before)
                  :: else -> settle_timed_out(b, p, e, status, before)
                  fi;
                  seen[e] = true
              fi;
              locked[b] = false;
              assert(effects[e] <= 1);
              FORGET
          }
       fi;
    goto end
}

init { atomic { run Buyer(0); run Buyer(1) } }

/* ------------------------------------------------------- what must hold --- */
#define HAS(b, s) (!WANTS(b, s) || (seat_of[s] == b && live[s]))
#define SEATED(b) (HAS(b, 0) && HAS(b, 1))

/* Never CONFIRMED without its seats; and so never two holders: of two CONFIRMED that want one seat, one would lack it. */
#define CONFIRMED_HAS_SEATS(b) (booking[b] != CONFIRMED || SEATED(b))
/* A booking that was made, and whose time runs, has its seats. */
#define PENDING_HAS_SEATS(b) (booking[b] != PENDING || !in_time[b] || SEATED(b))
/* Money goes back at most once, only if it was paid, and never while its seats are kept. */
#define NOT_BOTH(p) \
    (given_back[p] == 0 || (given_back[p] == 1 && paid[p] \
                            && !(booking[BOOKING_OF(p)] == CONFIRMED && paid_by[BOOKING_OF(p)] == p)))
ltl safe {
    [] (CONFIRMED_HAS_SEATS(0) && CONFIRMED_HAS_SEATS(1) && PENDING_HAS_SEATS(0) && PENDING_HAS_SEATS(1)
        && NOT_BOTH(0) && NOT_BOTH(1) && NOT_BOTH(2))
}
/*
 * Paid means seated or refunded: in the end, and for good. No fairness is assumed beyond that what can go on does go
 * on: every course ends (kills, duplicates and lost answers are bounded), and Spin lets the last state stand for ever.
 */
#define SETTLED(p) \
    (!paid[p] || given_back[p] == 1 || (booking[BOOKING_OF(p)] == CONFIRMED && paid_by[BOOKING_OF(p)] == p))
ltl settled { <> [] (SETTLED(0) && SETTLED(1) && SETTLED(2)) }
