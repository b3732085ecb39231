-- Letters to buyers: where they go, and which have gone.

-- Where a buyer wants to hear of a booking, and in which language.
CREATE TABLE booking_contact (
    show_id    uuid        NOT NULL,
    booking_id uuid        NOT NULL,
    email      text,       -- null: the account's, if it has one
    locale     text        NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT booking_contact_pkey PRIMARY KEY (show_id, booking_id),
    CONSTRAINT booking_contact_booking_fkey FOREIGN KEY (show_id, booking_id) REFERENCES booking (show_id, id)
);

-- One letter for each booking and occasion, of refunds one for each, written in
-- the transaction that decides it and leased, as seats are, by whoever sends it:
-- one that is lost on the way is sent by another.
CREATE TABLE mail (
    show_id       uuid        NOT NULL,
    id            uuid        NOT NULL DEFAULT gen_random_uuid(), -- the Message-ID, whoever sends it how often
    booking_id    uuid        NOT NULL,
    occasion      text        NOT NULL,
    refund_id     uuid,
    status        text        NOT NULL DEFAULT 'QUEUED',
    claimed_until timestamptz NOT NULL DEFAULT '-infinity',
    attempts      integer     NOT NULL DEFAULT 0,
    error         text,       -- of the last attempt
    created_at    timestamptz NOT NULL DEFAULT now(),
    settled_at    timestamptz,
    CONSTRAINT mail_pkey PRIMARY KEY (show_id, id),
    CONSTRAINT mail_booking_fkey FOREIGN KEY (show_id, booking_id) REFERENCES booking (show_id, id),
    CONSTRAINT mail_refund_fkey FOREIGN KEY (show_id, refund_id) REFERENCES refund (show_id, id),
    CONSTRAINT mail_once UNIQUE NULLS NOT DISTINCT (show_id, booking_id, occasion, refund_id),
    CONSTRAINT mail_occasion_known CHECK (occasion IN ('CONFIRMED', 'REFUNDED', 'EXPIRED')),
    CONSTRAINT mail_refund_of_refunds CHECK ((occasion = 'REFUNDED') = (refund_id IS NOT NULL)),
    CONSTRAINT mail_status_known CHECK (status IN ('QUEUED', 'SENT', 'DROPPED', 'FAILED'))
);
