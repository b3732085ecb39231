-- The built-in gateway's own books. It stands for somebody else's system: no
-- foreign key leads from here to the box office or back.

CREATE TABLE fake_session (
    id              text        NOT NULL, -- sess_…
    idempotency_key text        NOT NULL, -- the merchant's: asking twice opens one session
    booking_id      uuid        NOT NULL, -- the merchant's reference
    amount          bigint      NOT NULL,
    currency        text        NOT NULL,
    status          text        NOT NULL DEFAULT 'open',
    refunded_amount bigint      NOT NULL DEFAULT 0,
    expires_at      timestamptz NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    decided_at      timestamptz,
    CONSTRAINT fake_session_pkey PRIMARY KEY (id),
    CONSTRAINT fake_session_key_unique UNIQUE (idempotency_key),
    CONSTRAINT fake_session_status_known CHECK (status IN ('open', 'paid', 'declined', 'expired')),
    CONSTRAINT fake_session_refund_within_amount CHECK (refunded_amount BETWEEN 0 AND amount),
    CONSTRAINT fake_session_refund_of_paid CHECK (refunded_amount = 0 OR status = 'paid')
);
CREATE INDEX fake_session_open_idx ON fake_session (expires_at) WHERE status = 'open';

CREATE TABLE fake_refund (
    id              uuid        NOT NULL DEFAULT gen_random_uuid(),
    idempotency_key text        NOT NULL, -- the merchant's refund id
    session_id      text        NOT NULL,
    amount          bigint      NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT fake_refund_pkey PRIMARY KEY (id),
    CONSTRAINT fake_refund_key_unique UNIQUE (idempotency_key),
    CONSTRAINT fake_refund_session_fkey FOREIGN KEY (session_id) REFERENCES fake_session (id)
);

-- Webhooks to deliver: written with the change that they tell of. attempts also says whose
-- turn it is: a job names the attempt it makes, and does nothing when that one is over.
CREATE TABLE fake_delivery (
    id           uuid        NOT NULL, -- one event, one receiver
    body         bytea       NOT NULL, -- exactly the bytes that are signed and sent
    attempts     integer     NOT NULL DEFAULT 0,
    last_error   text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    CONSTRAINT fake_delivery_pkey PRIMARY KEY (id)
);
CREATE INDEX fake_delivery_undelivered_idx ON fake_delivery (created_at) WHERE delivered_at IS NULL;
