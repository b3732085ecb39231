-- A statement for exactly one booking, as the product had before it put requests together: what a program that does
-- nothing but this could send. $1 show, $2 buyer, $3 seats, $4 booking, $5 time to pay, $6..$8 idempotency key.
WITH seen AS (
    SELECT s.id, (s.taken_until <= now() OR (s.holder_id = $2 AND s.booking_id IS NULL)) AS claimable
      FROM show_seat s
     WHERE s.show_id = $1 AND s.id = ANY($3::uuid[])
), buyer AS (
    SELECT coalesce(max(b.version), 0) AS version,
           coalesce(array_agg(s.id) FILTER (WHERE s.id <> ALL($3::uuid[]) AND s.holder_id = $2
                                              AND s.taken_until > now() AND s.taken_until < 'infinity'), '{}')
               AS other_live_seats
      FROM show_buyer b
      LEFT JOIN show_seat s ON s.show_id = b.show_id AND s.id = ANY(b.seat_ids)
     WHERE b.show_id = $1 AND b.user_id = $2
), looked AS (
    SELECT CASE WHEN sh.id IS NULL THEN 'unknown_show'
                WHEN sh.starts_at <= now() THEN 'show_begun'
                WHEN (SELECT count(*) FROM seen) < cardinality($3::uuid[]) THEN 'foreign_seats'
                WHEN EXISTS (SELECT FROM seen WHERE NOT claimable) THEN 'taken'
                WHEN cardinality(buyer.other_live_seats) + cardinality($3::uuid[]) > 10 THEN 'limit'
                ELSE 'claimable' END AS verdict,
           sh.currency, buyer.version, buyer.other_live_seats
      FROM buyer LEFT JOIN show sh ON sh.id = $1
), turn AS (
    INSERT INTO show_buyer AS b (show_id, user_id, version, seat_ids)
    SELECT $1, $2, version + 1, other_live_seats || $3::uuid[] FROM looked WHERE verdict = 'claimable'
    ON CONFLICT (show_id, user_id) DO UPDATE SET version = excluded.version, seat_ids = excluded.seat_ids
     WHERE b.version = excluded.version - 1
    RETURNING b.version
), locked AS MATERIALIZED (
    SELECT s.id, s.position, s.row_label, s.number, s.tier, s.price, s.taken_until, s.held_since,
           (s.taken_until <= now() OR (s.holder_id = $2 AND s.booking_id IS NULL)) AS claimable
      FROM show_seat s
     WHERE s.show_id = $1 AND s.id = ANY($3::uuid[]) AND EXISTS (SELECT FROM turn)
     ORDER BY s.id
       FOR UPDATE OF s
), verdict AS (
    SELECT CASE WHEN looked.verdict <> 'claimable' THEN looked.verdict
                WHEN NOT EXISTS (SELECT FROM turn) THEN 'again'
                WHEN EXISTS (SELECT FROM locked WHERE NOT claimable) THEN 'taken'
                ELSE 'claimed' END AS outcome,
           looked.currency
      FROM looked
), booked AS (
    INSERT INTO booking (show_id, id, user_id, total_amount, currency, expires_at)
    SELECT $1, $4, $2, (SELECT sum(price) FROM locked), verdict.currency, now() + $5::interval
      FROM verdict WHERE verdict.outcome = 'claimed'
    RETURNING id, status, total_amount, currency, expires_at
), leased AS (
    UPDATE show_seat s
       SET taken_until = booked.expires_at, holder_id = $2, booking_id = booked.id,
           held_since = CASE WHEN locked.taken_until <= now() THEN now() ELSE locked.held_since END,
           revision = s.revision + 1
      FROM locked, booked
     WHERE s.show_id = $1 AND s.id = locked.id
), lines AS (
    INSERT INTO booking_seat (show_id, booking_id, seat_id, position, price, number, row_label, tier)
    SELECT $1, booked.id, locked.id, locked.position, locked.price, locked.number, locked.row_label, locked.tier
      FROM locked, booked
), answer AS (
    SELECT jsonb_build_object('id', booked.id, 'showId', $1, 'userId', $2, 'status', booked.status,
               'totalAmount', booked.total_amount, 'currency', booked.currency,
               'expiresAt', to_char(booked.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'seats', (SELECT jsonb_agg(jsonb_build_object('id', id, 'row', row_label, 'number', number,
                                                             'tier', tier, 'price', price) ORDER BY position)
                           FROM locked)) AS body
      FROM booked
), remembered AS (
    INSERT INTO idempotency_key (caller_id, key, fingerprint, answer)
    SELECT $6::uuid, $7::text, $8::bytea, body FROM answer WHERE $7::text IS NOT NULL
)
SELECT verdict.outcome, CASE verdict.outcome
        WHEN 'taken' THEN ARRAY(SELECT id FROM seen WHERE NOT claimable
                                UNION SELECT id FROM locked WHERE NOT claimable)
        WHEN 'foreign_seats' THEN ARRAY(SELECT unnest($3::uuid[]) EXCEPT SELECT id FROM seen)
    END AS in_the_way, (SELECT body FROM answer) AS answer
  FROM verdict
