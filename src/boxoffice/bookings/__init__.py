"""Bookings: made, paid or lapsed, cancelled, refunded; each rule in one file with its SQL and its errors."""
