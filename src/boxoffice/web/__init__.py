"""The delivery package: HTTP in, the box office's own functions called, HTTP out. Statuses live here alone."""
