"""What every handler may need, made once by `boxoffice.app` and handed in."""

from dataclasses import dataclass, field

from boxoffice.accounts import Accounts
from boxoffice.payments.gateway import Gateway, SimulatedGateway
from boxoffice.postgres.pool import Pool
from boxoffice.seating.claims import Claims
from boxoffice.seating.hot_maps import HotMaps
from boxoffice.seating.live import LiveSeats
from boxoffice.seating.usher import Usher
from boxoffice.settings import Settings
from boxoffice.tickets.codes import TicketKeys
from boxoffice.web.bodies import Patience
from boxoffice.web.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """The parts of a running box office."""

    settings: Settings
    pool: Pool
    accounts: Accounts
    claims: Claims
    hot_maps: HotMaps
    live_seats: LiveSeats
    ticket_keys: TicketKeys
    usher: Usher
    limits: Limits
    patience: Patience
    gateways: dict[str, Gateway] = field(default_factory=dict[str, Gateway])
    """By name: `payments/webhook/{gateway}` takes events of any of them."""
    simulated: SimulatedGateway | None = None
    """The fake gateway, where its checkout page may be shown (never in production)."""

    @property
    def gateway(self) -> Gateway:
        """The one that new payments go through."""
        return self.gateways[self.settings.payment_gateway]
