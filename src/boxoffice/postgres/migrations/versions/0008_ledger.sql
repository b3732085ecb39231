-- Where the money is: each row moves an amount from one account to another, so that the ledger balances whatever is
-- written into it. It is written in the statement of each decision about money, and never changed
-- (docs/decisions/0018).
--   gateway  what gateways hold for us          sales  what seats have brought in
--   owed     what we owe to buyers              each kind of movement has its two accounts, and happens once
CREATE TABLE ledger_entry (
    show_id    uuid        NOT NULL,
    subject_id uuid        NOT NULL, -- the payment or the refund that moves it
    kind       text        NOT NULL,
    payment_id uuid        NOT NULL,
    debit      text        NOT NULL,
    credit     text        NOT NULL,
    amount     bigint      NOT NULL, -- minor units
    currency   text        NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ledger_entry_pkey PRIMARY KEY (show_id, subject_id, kind),
    CONSTRAINT ledger_entry_payment_fkey FOREIGN KEY (show_id, payment_id) REFERENCES payment (show_id, id),
    CONSTRAINT ledger_entry_moves_something CHECK (amount > 0),
    CONSTRAINT ledger_entry_kind_has_accounts CHECK ((kind, debit, credit) IN (
        ('sale', 'gateway', 'sales'),      -- paid, and seated
        ('unseated', 'gateway', 'owed'),   -- paid, and to go back whole
        ('refund', 'sales', 'owed'),       -- decided to go back
        ('paid_back', 'owed', 'gateway'),  -- the gateway has given it back
        ('returned', 'gateway', 'owed')))  -- it did not arrive after all: we owe it still
);

CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is only added to' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER ledger_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

-- Money that came before there was a ledger.
INSERT INTO ledger_entry (show_id, subject_id, kind, payment_id, debit, credit, amount, currency, written_at)
SELECT p.show_id, p.id, k.kind, p.id, 'gateway', k.credit, p.amount, p.currency, coalesce(p.settled_at, p.created_at)
  FROM payment p
  JOIN booking b ON b.show_id = p.show_id AND b.id = p.booking_id
 CROSS JOIN LATERAL (
    SELECT CASE WHEN b.paid_by = p.id THEN 'sale' ELSE 'unseated' END AS kind,
           CASE WHEN b.paid_by = p.id THEN 'sales' ELSE 'owed' END AS credit) k
 WHERE p.status = 'SUCCEEDED' AND p.amount > 0;
INSERT INTO ledger_entry (show_id, subject_id, kind, payment_id, debit, credit, amount, currency, written_at)
SELECT show_id, id, 'refund', payment_id, 'sales', 'owed', amount, currency, created_at
  FROM refund WHERE reason = 'requested' AND amount > 0;
INSERT INTO ledger_entry (show_id, subject_id, kind, payment_id, debit, credit, amount, currency, written_at)
SELECT show_id, id, 'paid_back', payment_id, 'owed', 'gateway', amount, currency, coalesce(settled_at, created_at)
  FROM refund WHERE status = 'SUCCEEDED' AND amount > 0;

-- What a gateway says and our books do not, where the program cannot mend it: for a person to see, and to settle.
CREATE TABLE reconciliation_issue (
    show_id       uuid        NOT NULL,
    payment_id    uuid        NOT NULL,
    kind          text        NOT NULL,
    detail        text        NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at  timestamptz NOT NULL DEFAULT now(),
    resolved_at   timestamptz, -- set by the person who has settled it
    CONSTRAINT reconciliation_issue_pkey PRIMARY KEY (show_id, payment_id, kind),
    CONSTRAINT reconciliation_issue_payment_fkey FOREIGN KEY (show_id, payment_id) REFERENCES payment (show_id, id)
);

-- Payments that are not over are asked about every minute. Those that wait for the buyer are in
-- payment_one_live_session.
CREATE INDEX payment_set_aside_idx ON payment (show_id, id) WHERE status IN ('AUTHORISED', 'VOIDING');

-- A dispute names only the gateway's own reference. The built-in gateway, which is load tested, has no disputes.
CREATE INDEX payment_gateway_ref_idx ON payment (gateway_ref) WHERE gateway <> 'fake';
