-- The whole box office: people, catalogue, seats as leases, bookings, money.
--
-- Every table of a show carries show_id first in each primary key, unique key
-- and foreign key, so that it can be partitioned or sharded by show without a
-- change to a statement (docs/decisions/0003). A test reads the catalogue and
-- fails on a constraint without it.

-- The exclusion constraint on show needs equality on uuid inside GiST.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- ---------------------------------------------------------------- people ---

CREATE TABLE account (
    id            uuid        NOT NULL DEFAULT gen_random_uuid(),
    email         text,       -- null: a guest
    name          text        NOT NULL DEFAULT '',
    password_hash text,       -- argon2id; null: a guest
    role          text        NOT NULL DEFAULT 'customer',
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT account_pkey PRIMARY KEY (id),
    CONSTRAINT account_role_known CHECK (role IN ('customer', 'staff', 'manager', 'admin')),
    -- Addresses are stored folded, so that one mailbox is one account.
    CONSTRAINT account_email_folded CHECK (email = lower(email)),
    CONSTRAINT account_email_with_password CHECK ((email IS NULL) = (password_hash IS NULL)),
    CONSTRAINT account_email_unique UNIQUE (email)
);

-- One sign-in on one device. Access tokens name their session, so that ending
-- it takes them all back.
CREATE TABLE account_session (
    id                    uuid        NOT NULL DEFAULT gen_random_uuid(),
    account_id            uuid        NOT NULL,
    refresh_hash          bytea       NOT NULL, -- SHA-256 of the refresh token now valid
    previous_refresh_hash bytea,                -- one already used: seen again, it was stolen
    created_at            timestamptz NOT NULL DEFAULT now(),
    expires_at            timestamptz NOT NULL,
    ended_at              timestamptz,
    CONSTRAINT account_session_pkey PRIMARY KEY (id),
    CONSTRAINT account_session_account_fkey FOREIGN KEY (account_id) REFERENCES account (id) ON DELETE CASCADE,
    CONSTRAINT account_session_refresh_unique UNIQUE (refresh_hash)
);
CREATE INDEX account_session_account_idx ON account_session (account_id);
CREATE INDEX account_session_previous_idx ON account_session (previous_refresh_hash);

-- The first answer to a POST that changed something, by the caller's own key.
-- Written in the transaction of the change, so that one never exists without
-- the other.
CREATE TABLE idempotency_key (
    caller_id   uuid        NOT NULL,
    key         text        NOT NULL,
    fingerprint bytea       NOT NULL, -- SHA-256 of operation and payload
    answer      jsonb       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_key_pkey PRIMARY KEY (caller_id, key)
);
CREATE INDEX idempotency_key_created_idx ON idempotency_key (created_at);

-- ------------------------------------------------------------- catalogue ---

CREATE TABLE movie (
    id           uuid        NOT NULL DEFAULT gen_random_uuid(),
    title        text        NOT NULL,
    duration_min integer     NOT NULL,
    language     text        NOT NULL,
    rating       text        NOT NULL DEFAULT '',
    genres       text[]      NOT NULL DEFAULT '{}',
    synopsis     text        NOT NULL DEFAULT '',
    poster_url   text,
    release_year smallint,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT movie_pkey PRIMARY KEY (id),
    CONSTRAINT movie_duration_positive CHECK (duration_min > 0)
);
CREATE INDEX movie_title_idx ON movie (title, id);

CREATE TABLE theatre (
    id         uuid        NOT NULL DEFAULT gen_random_uuid(),
    name       text        NOT NULL,
    city       text        NOT NULL,
    timezone   text        NOT NULL, -- IANA name
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT theatre_pkey PRIMARY KEY (id)
);
CREATE INDEX theatre_name_idx ON theatre (name, id);
CREATE INDEX theatre_city_idx ON theatre (lower(city));

CREATE TABLE screen (
    id          uuid        NOT NULL DEFAULT gen_random_uuid(),
    theatre_id  uuid        NOT NULL,
    name        text        NOT NULL,
    total_seats integer     NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT screen_pkey PRIMARY KEY (id),
    CONSTRAINT screen_theatre_fkey FOREIGN KEY (theatre_id) REFERENCES theatre (id),
    CONSTRAINT screen_name_unique UNIQUE (theatre_id, name),
    CONSTRAINT screen_has_seats CHECK (total_seats > 0)
);

CREATE TABLE screen_seat (
    screen_id uuid     NOT NULL,
    position  integer  NOT NULL, -- by row, then number: the order of every listing
    row_label text     NOT NULL,
    number    smallint NOT NULL,
    tier      text     NOT NULL,
    kind      text     NOT NULL,
    x         real     NOT NULL, -- seat widths from the left-most seat
    y         real     NOT NULL, -- row pitches from the screen
    CONSTRAINT screen_seat_pkey PRIMARY KEY (screen_id, position),
    CONSTRAINT screen_seat_screen_fkey FOREIGN KEY (screen_id) REFERENCES screen (id) ON DELETE CASCADE,
    CONSTRAINT screen_seat_unique UNIQUE (screen_id, row_label, number),
    CONSTRAINT screen_seat_tier_known CHECK (tier IN ('REGULAR', 'PREMIUM', 'VIP')),
    CONSTRAINT screen_seat_kind_known CHECK (kind IN ('standard', 'wheelchair', 'companion'))
);

CREATE TABLE show (
    id             uuid        NOT NULL DEFAULT gen_random_uuid(),
    movie_id       uuid        NOT NULL,
    theatre_id     uuid        NOT NULL,
    screen_id      uuid        NOT NULL,
    starts_at      timestamptz NOT NULL,
    ends_at        timestamptz NOT NULL,
    screen_free_at timestamptz NOT NULL, -- the end and the cleaning after it
    language       text        NOT NULL,
    format         text        NOT NULL,
    currency       text        NOT NULL,
    price_regular  integer,    -- minor units; null where the screen has no such tier
    price_premium  integer,
    price_vip      integer,
    total_seats    integer     NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT show_pkey PRIMARY KEY (id),
    CONSTRAINT show_movie_fkey FOREIGN KEY (movie_id) REFERENCES movie (id),
    CONSTRAINT show_theatre_fkey FOREIGN KEY (theatre_id) REFERENCES theatre (id),
    CONSTRAINT show_screen_fkey FOREIGN KEY (screen_id) REFERENCES screen (id),
    CONSTRAINT show_times_in_order CHECK (starts_at < ends_at AND ends_at <= screen_free_at),
    CONSTRAINT show_prices_not_negative CHECK (least(price_regular, price_premium, price_vip) >= 0),
    CONSTRAINT show_screen_is_free EXCLUDE USING gist (
        screen_id WITH =, tstzrange(starts_at, screen_free_at) WITH &&)
);
CREATE INDEX show_starts_idx ON show (starts_at, id);
CREATE INDEX show_movie_idx ON show (movie_id, starts_at, id);
CREATE INDEX show_theatre_idx ON show (theatre_id, starts_at, id);
CREATE INDEX show_screen_idx ON show (screen_id, starts_at, id);

-- ------------------------------------------------- the seats of one show ---

CREATE TABLE booking (
    show_id        uuid        NOT NULL,
    id             uuid        NOT NULL DEFAULT gen_random_uuid(),
    user_id        uuid        NOT NULL, -- an account; no foreign key: accounts are no table of the show
    status         text        NOT NULL DEFAULT 'PENDING',
    total_amount   bigint      NOT NULL, -- minor units
    currency       text        NOT NULL,
    expires_at     timestamptz NOT NULL, -- of an unpaid booking: its seats' taken_until
    extensions     smallint    NOT NULL DEFAULT 0, -- after failed payments
    paid_by        uuid,       -- the payment that bought the seats
    created_at     timestamptz NOT NULL DEFAULT now(),
    confirmed_at   timestamptz,
    ended_at       timestamptz,
    archived_seats jsonb,      -- the lines of a booking long over; null: they are in booking_seat
    CONSTRAINT booking_pkey PRIMARY KEY (show_id, id),
    CONSTRAINT booking_show_fkey FOREIGN KEY (show_id) REFERENCES show (id),
    CONSTRAINT booking_status_known CHECK (status IN ('PENDING', 'CONFIRMED', 'EXPIRED', 'CANCELLED', 'REFUNDED')),
    CONSTRAINT booking_confirmed_is_paid CHECK (status NOT IN ('CONFIRMED', 'REFUNDED') OR paid_by IS NOT NULL),
    CONSTRAINT booking_amount_not_negative CHECK (total_amount >= 0)
);
CREATE INDEX booking_id_idx ON booking (id);
CREATE INDEX booking_user_idx ON booking (user_id, created_at DESC, id DESC);
CREATE INDEX booking_pending_idx ON booking (expires_at) WHERE status = 'PENDING';
CREATE INDEX booking_unarchived_idx ON booking (ended_at)
    WHERE status IN ('EXPIRED', 'CANCELLED') AND archived_seats IS NULL;

-- One row a seat of a show; taken_until alone decides who has it.
--   free: taken_until <= now()      held: a holder, no booking
--   unpaid booking: its expires_at  sold: 'infinity'
-- No column that changes is indexed, and pages keep room, so that every update
-- is heap-only. revision counts the changes of the row: twice its sum over a show,
-- plus one for each lapsed lease, is the version of the seat map (seating/seat_map.py).
CREATE TABLE show_seat (
    show_id     uuid        NOT NULL,
    id          uuid        NOT NULL DEFAULT gen_random_uuid(),
    taken_until timestamptz NOT NULL DEFAULT '-infinity',
    held_since  timestamptz, -- when this hold was first taken: renewals count from here
    holder_id   uuid,
    booking_id  uuid,
    revision    integer     NOT NULL DEFAULT 0,
    position    integer     NOT NULL, -- as screen_seat
    price       integer     NOT NULL, -- minor units
    number      smallint    NOT NULL,
    row_label   text        NOT NULL,
    tier        text        NOT NULL,
    kind        text        NOT NULL,
    CONSTRAINT show_seat_pkey PRIMARY KEY (show_id, id),
    CONSTRAINT show_seat_show_fkey FOREIGN KEY (show_id) REFERENCES show (id) ON DELETE CASCADE,
    CONSTRAINT show_seat_booking_fkey FOREIGN KEY (show_id, booking_id) REFERENCES booking (show_id, id),
    CONSTRAINT show_seat_lease_has_holder CHECK (taken_until = '-infinity' OR holder_id IS NOT NULL),
    CONSTRAINT show_seat_sale_has_booking CHECK (taken_until <> 'infinity' OR booking_id IS NOT NULL),
    CONSTRAINT show_seat_booking_has_holder CHECK (booking_id IS NULL OR holder_id IS NOT NULL)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

-- Who buys in a show, and which seats may be theirs now: the row on which two
-- requests of one person meet, so that the limit of live seats holds in a race.
-- seat_ids is a hint (what a seat is, its own row says); version makes it exact.
CREATE TABLE show_buyer (
    show_id  uuid    NOT NULL,
    user_id  uuid    NOT NULL,
    version  integer NOT NULL,
    seat_ids uuid[]  NOT NULL,
    CONSTRAINT show_buyer_pkey PRIMARY KEY (show_id, user_id),
    CONSTRAINT show_buyer_show_fkey FOREIGN KEY (show_id) REFERENCES show (id) ON DELETE CASCADE
) WITH (fillfactor = 70);
CREATE INDEX show_buyer_user_idx ON show_buyer (user_id);

-- What a booking held and at what price: immutable, since the seat row moves on.
CREATE TABLE booking_seat (
    show_id    uuid     NOT NULL,
    booking_id uuid     NOT NULL,
    seat_id    uuid     NOT NULL,
    position   integer  NOT NULL,
    price      integer  NOT NULL,
    number     smallint NOT NULL,
    row_label  text     NOT NULL,
    tier       text     NOT NULL,
    CONSTRAINT booking_seat_pkey PRIMARY KEY (show_id, booking_id, seat_id),
    CONSTRAINT booking_seat_booking_fkey FOREIGN KEY (show_id, booking_id) REFERENCES booking (show_id, id),
    CONSTRAINT booking_seat_seat_fkey FOREIGN KEY (show_id, seat_id) REFERENCES show_seat (show_id, id)
);

-- ----------------------------------------------------------------- money ---

-- One attempt to pay a booking, through one session of one gateway.
CREATE TABLE payment (
    show_id         uuid        NOT NULL,
    id              uuid        NOT NULL DEFAULT gen_random_uuid(),
    booking_id      uuid        NOT NULL,
    gateway         text        NOT NULL,
    session_id      text,       -- the gateway's; null until it has answered
    payment_url     text,
    status          text        NOT NULL DEFAULT 'OPENING',
    amount          bigint      NOT NULL,
    currency        text        NOT NULL,
    refunded_amount bigint      NOT NULL DEFAULT 0, -- decided, whether or not the gateway has answered
    gateway_ref     text,
    expires_at      timestamptz NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    settled_at      timestamptz,
    CONSTRAINT payment_pkey PRIMARY KEY (show_id, id),
    CONSTRAINT payment_booking_fkey FOREIGN KEY (show_id, booking_id) REFERENCES booking (show_id, id),
    CONSTRAINT payment_session_unique UNIQUE (show_id, gateway, session_id),
    CONSTRAINT payment_status_known CHECK (status IN ('OPENING', 'OPEN', 'SUCCEEDED', 'FAILED', 'EXPIRED')),
    CONSTRAINT payment_open_has_session CHECK (status IN ('OPENING', 'FAILED') OR session_id IS NOT NULL),
    CONSTRAINT payment_refund_within_amount CHECK (refunded_amount BETWEEN 0 AND amount),
    CONSTRAINT payment_refund_of_success CHECK (refunded_amount = 0 OR status = 'SUCCEEDED')
);
-- A booking never has two sessions that could both be paid.
CREATE UNIQUE INDEX payment_one_live_session ON payment (show_id, booking_id) WHERE status IN ('OPENING', 'OPEN');
CREATE INDEX payment_booking_idx ON payment (show_id, booking_id, created_at);
CREATE INDEX payment_session_idx ON payment (session_id);

ALTER TABLE booking ADD CONSTRAINT booking_paid_by_fkey
    FOREIGN KEY (show_id, paid_by) REFERENCES payment (show_id, id);

-- Every event that named a payment of ours, recorded in the transaction of its effect.
CREATE TABLE payment_event (
    show_id     uuid        NOT NULL,
    gateway     text        NOT NULL,
    event_id    text        NOT NULL,
    payment_id  uuid        NOT NULL,
    event_type  text        NOT NULL,
    outcome     text        NOT NULL, -- what it did, or why nothing
    needs_look  boolean     NOT NULL, -- it contradicts what we know: for a person to see
    body        text        NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT payment_event_pkey PRIMARY KEY (show_id, gateway, event_id),
    CONSTRAINT payment_event_payment_fkey FOREIGN KEY (show_id, payment_id) REFERENCES payment (show_id, id)
);
CREATE INDEX payment_event_needs_look_idx ON payment_event (received_at) WHERE needs_look;

-- Signed events about sessions that we never opened: kept for a person to see.
CREATE TABLE stray_event (
    gateway     text        NOT NULL,
    event_id    text        NOT NULL,
    event_type  text        NOT NULL,
    session_id  text        NOT NULL,
    body        text        NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT stray_event_pkey PRIMARY KEY (gateway, event_id)
);

CREATE TABLE refund (
    show_id     uuid        NOT NULL,
    id          uuid        NOT NULL DEFAULT gen_random_uuid(), -- the gateway's idempotency key
    booking_id  uuid        NOT NULL,
    payment_id  uuid        NOT NULL,
    reason      text        NOT NULL,
    original_amount bigint  NOT NULL, -- what the refunded seats had cost
    amount      bigint      NOT NULL,
    percentage  smallint    NOT NULL,
    currency    text        NOT NULL,
    status      text        NOT NULL DEFAULT 'PENDING',
    gateway_ref text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    settled_at  timestamptz,
    CONSTRAINT refund_pkey PRIMARY KEY (show_id, id),
    CONSTRAINT refund_booking_fkey FOREIGN KEY (show_id, booking_id) REFERENCES booking (show_id, id),
    CONSTRAINT refund_payment_fkey FOREIGN KEY (show_id, payment_id) REFERENCES payment (show_id, id),
    CONSTRAINT refund_reason_known CHECK (reason IN ('requested', 'paid_too_late', 'paid_after_cancel', 'paid_twice')),
    CONSTRAINT refund_status_known CHECK (status IN ('PENDING', 'SUCCEEDED', 'FAILED')),
    CONSTRAINT refund_percentage_range CHECK (percentage BETWEEN 1 AND 100),
    CONSTRAINT refund_amount_range CHECK (amount BETWEEN 0 AND original_amount)
);
-- Money that bought no seat goes back once; a refund of seats is bounded seat by seat below.
CREATE UNIQUE INDEX refund_whole_payment_once ON refund (show_id, payment_id) WHERE reason <> 'requested';
CREATE INDEX refund_booking_idx ON refund (show_id, booking_id, created_at);
CREATE INDEX refund_pending_idx ON refund (created_at) WHERE status = 'PENDING';

-- A seat of a booking is refunded once, ever.
CREATE TABLE refund_seat (
    show_id    uuid   NOT NULL,
    booking_id uuid   NOT NULL,
    seat_id    uuid   NOT NULL,
    refund_id  uuid   NOT NULL,
    amount     bigint NOT NULL,
    CONSTRAINT refund_seat_pkey PRIMARY KEY (show_id, booking_id, seat_id),
    CONSTRAINT refund_seat_line_fkey FOREIGN KEY (show_id, booking_id, seat_id)
        REFERENCES booking_seat (show_id, booking_id, seat_id),
    CONSTRAINT refund_seat_refund_fkey FOREIGN KEY (show_id, refund_id) REFERENCES refund (show_id, id)
);
