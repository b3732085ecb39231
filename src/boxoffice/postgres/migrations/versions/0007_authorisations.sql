-- Money may be set aside before it is taken (docs/decisions/0018): a payment is AUTHORISED while we take what was set
-- aside, VOIDING while we let it go, and VOIDED when it is gone. None of the three is a session that can be paid, so
-- payment_one_live_session stays as it is.
ALTER TABLE payment
    DROP CONSTRAINT payment_status_known,
    ADD CONSTRAINT payment_status_known CHECK (
        status IN ('OPENING', 'OPEN', 'AUTHORISED', 'SUCCEEDED', 'FAILED', 'EXPIRED', 'VOIDING', 'VOIDED')),
    -- When the gateway was last asked about a payment that is not over: those asked longest ago come first.
    ADD COLUMN asked_at timestamptz;

-- The built-in gateway can set money aside, too.
ALTER TABLE fake_session
    DROP CONSTRAINT fake_session_status_known,
    ADD CONSTRAINT fake_session_status_known CHECK (
        status IN ('open', 'authorised', 'paid', 'declined', 'expired', 'voided'));
