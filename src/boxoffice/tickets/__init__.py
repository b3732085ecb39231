"""Tickets of paid seats: their codes, what is printed and sent of them, and the door where they are checked in."""
