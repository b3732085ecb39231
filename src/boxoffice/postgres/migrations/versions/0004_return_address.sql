-- Where the built-in gateway sends a buyer when a session is over. Null: opened before gateways were told.
ALTER TABLE fake_session ADD COLUMN return_url text;
