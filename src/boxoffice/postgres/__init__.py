"""The database: pool, migrations, the embedded server, and the door to the durable queue."""
