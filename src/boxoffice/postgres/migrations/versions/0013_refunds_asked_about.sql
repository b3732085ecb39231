-- Refunds that a gateway has taken on are asked about until they are done (docs/decisions/0032), the older the more seldom.
-- Those that wait are in refund_pending_idx.
ALTER TABLE refund ADD COLUMN asked_at timestamptz; -- null: not yet, but for the job that every refund has
