"""What the load client is told to do, and what it reports: the messages between the two processes."""

import msgspec


class Plan(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What all plans say. ``seconds``: no new question is asked after them; None: until there are no more."""

    host: str
    port: int
    connections: int
    seconds: float | None
    limit_s: float = 120.0
    """Past this the client stops waiting for answers and reports what it has."""


class Repeat(Plan, frozen=True, kw_only=True, tag="repeat"):
    """The questions of a lane, one after the other on each connection; lanes are dealt out in turn."""

    operation: str
    lanes: list[list[bytes]]
    again: bool = False
    """Whether a lane starts over at its end."""


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """One journey: who buys which seats of which show."""

    show_id: str
    seat_ids: list[str]
    token: str


class Journeys(Plan, frozen=True, kw_only=True, tag="journeys"):
    """Purchases from the map to the ticket, as many at once as there are connections."""

    purchases: list[Purchase]
    webhook_secret: str
    compressed: bool
    """Whether the map is asked for as browsers do, compressed."""
    looks: int = 0
    """How often a buyer looks at the map and finds it unchanged (304), instead of getting it once."""


class Rush(Plan, frozen=True, kw_only=True, tag="rush"):
    """Buyers who come at ``rate`` a second for ``seconds``, then at ``calm_rate`` for ``calm_s``, come what may."""

    purchases: list[Purchase]
    webhook_secret: str
    rate: float
    calm_rate: float
    calm_s: float
    normal_ms: float
    """What the p99 of all answers is to come back to."""
    compressed: bool = True
    looks: int = 3


class Listen(Plan, frozen=True, kw_only=True, tag="listen"):
    """Listeners of a show on ``connections`` connections, while seats are held one by one."""

    path: str
    holds: list[bytes]
    pause_s: float
    grace_s: float = 5.0
    """How long to wait for what has not arrived when the last seat is held."""


AnyPlan = Repeat | Journeys | Rush | Listen


class OperationReport(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of question: how often, how it went, how long it took (nearest rank, milliseconds)."""

    count: int
    statuses: dict[int, int]
    p50_ms: float
    p99_ms: float
    max_ms: float


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the client saw, from the first question to the last answer."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    operations: dict[str, OperationReport]
    failures: dict[str, int]
    """What was no answer: lost connections, broken journeys, missing updates."""
