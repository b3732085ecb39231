"""The bench: every gateway, each before its other side."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import local_stripe
import pytest
from local_stripe import LocalStripeRig
from merchant import Receiver
from razorpay_double import RazorpayDouble
from rigs import FakeRig, Line, RazorpayRig, Rig, StripeRig
from stripe_double import StripeDouble

from boxoffice.postgres.pool import connect_pool

GATEWAYS = ("fake", "fake-holding", "stripe-checkout", "stripe-intent", "localstripe", "razorpay")


@pytest.fixture(scope="session")
def local_stripe_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A localstripe of this test process."""
    folder: Path = tmp_path_factory.mktemp("localstripe")
    with local_stripe.running(folder) as address:
        yield address


@pytest.fixture(params=GATEWAYS)
def gateway_name(request: pytest.FixtureRequest) -> str:
    """Which gateway stands on the bench."""
    return request.param


@pytest.fixture
async def rig(gateway_name: str, request: pytest.FixtureRequest, receiver: Receiver) -> AsyncIterator[Rig]:
    """The gateway on the bench."""
    match gateway_name:
        case "fake" | "fake-holding":
            # Its deliveries reach nobody here: they are read in its table.
            async with httpx.AsyncClient(transport=Line(httpx.MockTransport(_nobody))) as http:
                pool = await connect_pool(request.getfixturevalue("dsn"), size=10, plan_once=True)
                try:
                    yield FakeRig(pool, http, authorise_first=gateway_name == "fake-holding")
                finally:
                    await pool.close()
        case "localstripe":
            address = request.getfixturevalue("local_stripe_address")
            line = Line(httpx.AsyncHTTPTransport())
            async with httpx.AsyncClient(transport=line) as http:
                made = LocalStripeRig(address, http, line, receiver)
                await made.listen()
                yield made
        case "razorpay":
            theirs = RazorpayDouble()
            line = Line(theirs.transport())
            async with httpx.AsyncClient(transport=line) as http:
                yield RazorpayRig(http, line, theirs)
        case _:
            double = StripeDouble()
            line = Line(double.transport())
            async with httpx.AsyncClient(transport=line) as http:
                mode = "checkout" if gateway_name == "stripe-checkout" else "payment_intent"
                yield StripeRig(http, line, double, mode)


def _nobody(request: httpx.Request) -> httpx.Response:
    return httpx.Response(503)
