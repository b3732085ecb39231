-- Each night gateways are asked about the payments that were over lately, in this order: not the whole history is read.
CREATE INDEX payment_settled_idx ON payment (settled_at, show_id, id) WHERE settled_at IS NOT NULL;
