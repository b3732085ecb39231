"""How much the box office sells: `make bench`, and `boxoffice bench` for a server that runs.

Every figure stands beside one that the same machine gave a moment before (`pgbench` with the
booking's own statement, a bare server with a constant body), so that it can be compared
elsewhere as a ratio. docs/performance.md says what is measured and how.
"""
