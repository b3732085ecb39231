-- How many letters can be had without paying for them (docs/decisions/0027).

-- The letters of a day (UTC) to a mailbox that nobody has paid for. Anybody may name any address: who is written to
-- need not have asked. Not of a show, since a mailbox is none's; days that are over are forgotten.
CREATE TABLE unpaid_mail (
    day     date   NOT NULL,
    mailbox text   NOT NULL, -- an address without what varies in it while the mailbox stays the same
    letters uuid[] NOT NULL, -- each counts once, however often it is tried
    CONSTRAINT unpaid_mail_pkey PRIMARY KEY (day, mailbox)
);

-- A booking's address can be changed, and the one given last gets the tickets: so tickets are told once to each address
-- in turn, and there are only so many turns.
ALTER TABLE booking_contact ADD COLUMN address_no integer NOT NULL DEFAULT 0; -- 0: none was given but the account's
UPDATE booking_contact SET address_no = 1 WHERE email IS NOT NULL;
ALTER TABLE mail ADD COLUMN address_no integer NOT NULL DEFAULT 0; -- of tickets; other letters are told once, to whom it may be
UPDATE mail SET address_no = c.address_no
  FROM booking_contact c
 WHERE c.show_id = mail.show_id AND c.booking_id = mail.booking_id AND mail.occasion = 'CONFIRMED';
ALTER TABLE mail DROP CONSTRAINT mail_once;
ALTER TABLE mail ADD CONSTRAINT mail_once
    UNIQUE NULLS NOT DISTINCT (show_id, booking_id, occasion, refund_id, address_no);
