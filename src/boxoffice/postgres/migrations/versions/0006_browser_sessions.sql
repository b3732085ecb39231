-- Sessions of browsers, beside those of API clients. A browser shows the token of its cookie, an API client its
-- refresh token: each has a column of its own and a session only one of them, so that neither token is worth
-- anything in the other's place.

ALTER TABLE account_session
    ALTER COLUMN refresh_hash DROP NOT NULL,
    ADD COLUMN browser_hash bytea, -- SHA-256 of the token in the browser's cookie; null: an API client's session
    ADD CONSTRAINT account_session_browser_unique UNIQUE (browser_hash),
    ADD CONSTRAINT account_session_one_key CHECK (num_nonnulls(refresh_hash, browser_hash) = 1);
