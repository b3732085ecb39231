"""A cinema's box office: one seat, one holder; paid means seated or refunded; nothing is lost."""
