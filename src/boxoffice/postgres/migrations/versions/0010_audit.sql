-- What people who work here have done: a row for each act, written in the transaction of the act and never changed
-- (docs/decisions/0023). The roles of web and jobs may add rows and nothing else; the trigger stands for everybody,
-- the owner included.
CREATE TABLE audit_entry (
    id           bigint      GENERATED ALWAYS AS IDENTITY,
    at           timestamptz NOT NULL DEFAULT now(),
    actor_id     uuid,       -- null: who runs the commands; no foreign key: the entry outlives the account
    actor_role   text        NOT NULL,
    actor_email  text,       -- as it was then
    action       text        NOT NULL, -- a stable name, such as show.change
    subject_kind text        NOT NULL, -- what was acted upon, such as show
    subject_id   uuid        NOT NULL,
    details      jsonb       NOT NULL DEFAULT '{}',
    request_id   text,       -- as in the log
    address      text,       -- the network address that the request came from; of a command, user@machine
    CONSTRAINT audit_entry_pkey PRIMARY KEY (id)
);
CREATE INDEX audit_entry_at_idx ON audit_entry (at, id);
CREATE INDEX audit_entry_actor_idx ON audit_entry (actor_id, at, id);
CREATE INDEX audit_entry_subject_idx ON audit_entry (subject_id, at, id);

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only added to' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
-- Also where a session says that it replays what another server has done, which keeps triggers from firing.
ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_append_only;
ALTER TABLE ledger_entry ENABLE ALWAYS TRIGGER ledger_entry_append_only;
