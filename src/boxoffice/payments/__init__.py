"""Money in and out: the gateway protocol and its implementations, sessions, events, refunds."""
