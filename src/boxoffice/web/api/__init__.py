"""The API, one file a resource; each has its ``ROUTES``, relative to ``/api/v1``."""
