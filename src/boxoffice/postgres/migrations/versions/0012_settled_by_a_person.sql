-- What waits for a person, and is settled by one (docs/decisions/0030). Who settled it, and how, is in audit_entry;
-- here is only that it waits no longer. The roles of web and jobs may not say so.
ALTER TABLE payment_event ADD COLUMN resolved_at timestamptz; -- null: waits, if it needs_look
ALTER TABLE refund ADD COLUMN resolved_at timestamptz;        -- null: waits, if it has FAILED; it stays FAILED
ALTER TABLE stray_event
    ADD COLUMN id          uuid        NOT NULL DEFAULT gen_random_uuid(), -- by which a person names it
    ADD COLUMN needs_look  boolean     NOT NULL DEFAULT true,              -- it tells of money
    ADD COLUMN resolved_at timestamptz;
UPDATE stray_event SET needs_look = false
 WHERE event_type IN ('payment.failed', 'payment.expired', 'payment.voided');

-- What waits is counted every minute, by each machine. Of the events that need a look there is an index already.
CREATE INDEX refund_failed_idx ON refund (settled_at) WHERE status = 'FAILED';
CREATE INDEX stray_event_needs_look_idx ON stray_event (received_at) WHERE needs_look;

-- Shows whose ledger did not say what their payments and refunds say when that was last added up, which reads both whole:
-- each time anew. No person can settle these by saying so; what is put right is gone the next time.
CREATE TABLE ledger_disagreement (
    show_id  uuid        NOT NULL,
    currency text        NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ledger_disagreement_pkey PRIMARY KEY (show_id, currency),
    CONSTRAINT ledger_disagreement_show_fkey FOREIGN KEY (show_id) REFERENCES show (id)
);
