-- Who went in: a ticket (one seat of a booking) admits once, ever.
--
-- A row is written under the booking's lock, which its refund takes too, so
-- that a seat is either given back or gone into.
CREATE TABLE ticket_admission (
    show_id     uuid        NOT NULL,
    booking_id  uuid        NOT NULL,
    seat_id     uuid        NOT NULL,
    admitted_at timestamptz NOT NULL DEFAULT now(),
    admitted_by uuid        NOT NULL, -- an account; no foreign key: accounts are no table of the show
    CONSTRAINT ticket_admission_pkey PRIMARY KEY (show_id, booking_id, seat_id),
    CONSTRAINT ticket_admission_line_fkey FOREIGN KEY (show_id, booking_id, seat_id)
        REFERENCES booking_seat (show_id, booking_id, seat_id)
);
