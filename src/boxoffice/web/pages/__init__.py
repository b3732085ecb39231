"""Pages for people, as HTML: usable without JavaScript, under a strict content security policy."""
