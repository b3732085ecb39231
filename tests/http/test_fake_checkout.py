"""The fake gateway's pages: a buyer pays or declines, with or without JavaScript; in production there is none."""

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import msgspec
import pytest

from boxoffice.payments.gateway import EventType, SessionRequest
from boxoffice.postgres.pool import Pool
from boxoffice.settings import Settings
from boxoffice.web.office import Office
from boxoffice.web.pages.fake_checkout import readable_amount

CHECKOUT = "/api/v1/payments/fake-checkout"
SIMULATE = "/api/v1/payments/simulate"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Opened(msgspec.Struct, frozen=True):
    session_id: str
    payment_url: str
    booking_id: str

    @property
    def page(self) -> str:
        return f"{CHECKOUT}/{self.session_id}"

    def way_back(self, outcome: str) -> str:
        return f"http://box-office.test/bookings/{self.booking_id}?outcome={outcome}"


async def open_session(office: Office, *, lasts: timedelta = timedelta(minutes=15), amount: int = 125_050) -> Opened:
    """A session nobody has decided."""
    booking_id = uuid4()
    session = await office.gateway.open_session(
        SessionRequest(
            payment_id=uuid4(),
            booking_id=booking_id,
            amount=amount,
            currency="INR",
            expires_at=datetime.now(UTC) + lasts,
            return_url=f"http://box-office.test/bookings/{booking_id}",
        )
    )
    return Opened(session.session_id, session.payment_url, str(booking_id))


def as_text(page: httpx.Response) -> str:
    """What a reader sees, roughly."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))


async def test_the_page_shows_what_is_to_pay_and_until_when(client: httpx.AsyncClient, office: Office) -> None:
    opened = await open_session(office)
    assert opened.payment_url.endswith(opened.page)
    page = await client.get(opened.page)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    text = as_text(page)
    assert "₹1,250.50" in text
    assert opened.booking_id in text
    assert re.search(r"1[45]:\d\d", text)
    assert '<button class="pay" name="result" value="success">' in page.text
    assert '<button class="decline" name="result" value="failed">' in page.text


async def test_the_page_runs_no_script_but_our_own(client: httpx.AsyncClient, office: Office) -> None:
    opened = await open_session(office)
    page = await client.get(opened.page)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*\bsrc=)", page.text)
    assert not re.search(r"\b(?:style|on\w+)=", page.text)
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        if address == opened.way_back("cancelled"):
            continue
        assert address.startswith("/static/")
        asset = await client.get(address)
        assert asset.status_code == 200
        assert asset.headers["content-type"].startswith(("text/css", "text/javascript", "image/svg+xml"))


@pytest.mark.parametrize(
    ("result", "status", "says"),
    [("success", "paid", "Paid"), ("failed", "declined", "Payment declined")],
)
async def test_the_buttons_work_as_a_plain_form(
    client: httpx.AsyncClient, office: Office, result: str, status: str, says: str
) -> None:
    opened = await open_session(office)
    sent = await client.post(opened.page, data={"result": result})
    assert sent.status_code == 303
    assert sent.headers["location"] == opened.page
    assert office.simulated is not None
    assert (await office.simulated.checkout(opened.session_id)).status == status
    page = await client.get(sent.headers["location"])
    assert page.status_code == 200
    assert says in as_text(page)
    assert "<button" not in page.text
    back = opened.way_back({"success": "paid", "failed": "declined"}[result])
    assert f'href="{back}" data-forward-s="3">Back to the box office</a>' in page.text
    assert f'<noscript><meta http-equiv="refresh" content="3; url={back}"></noscript>' in page.text


async def test_a_buyer_may_go_back_without_deciding(client: httpx.AsyncClient, office: Office) -> None:
    opened = await open_session(office)
    page = await client.get(opened.page)
    assert f'<a href="{opened.way_back("cancelled")}">Cancel and go back</a>' in page.text
    assert 'http-equiv="refresh" content="3' not in page.text


async def test_a_session_from_before_there_were_ways_back_has_none(
    client: httpx.AsyncClient, office: Office, pool: Pool
) -> None:
    opened = await open_session(office)
    await pool.execute("UPDATE fake_session SET return_url = NULL")
    assert "go back" not in as_text(await client.get(opened.page))
    await client.post(opened.page, data={"result": "success"})
    page = await client.get(opened.page)
    assert "go back to your booking" in as_text(page)
    assert "<a " not in page.text


async def test_a_second_choice_shows_what_the_first_one_did(client: httpx.AsyncClient, office: Office) -> None:
    opened = await open_session(office)
    for result in ("success", "success", "failed"):
        assert (await client.post(opened.page, data={"result": result})).status_code == 303
    assert "Paid" in as_text(await client.get(opened.page))


async def test_the_event_is_kept_for_delivery(client: httpx.AsyncClient, office: Office, pool: Pool) -> None:
    opened = await open_session(office)
    await client.post(opened.page, data={"result": "success"})
    body = await pool.fetchval("SELECT body FROM fake_delivery")
    assert msgspec.json.decode(body)["eventType"] == EventType.SUCCESS


async def test_a_page_whose_time_is_over_can_no_longer_be_paid(
    client: httpx.AsyncClient, office: Office, pool: Pool
) -> None:
    opened = await open_session(office, lasts=timedelta(seconds=-1))
    page = await client.get(opened.page)
    assert "Time is up" in as_text(page)
    assert "<button" not in page.text
    assert (await client.post(opened.page, data={"result": "success"})).status_code == 303
    assert await pool.fetchval("SELECT status FROM fake_session") == "open"


async def test_a_session_that_is_not_has_a_page_that_says_so(client: httpx.AsyncClient) -> None:
    for session_id in ("sess_unknown", "%00", "sess_%00" + "x" * 32, "%ff", "x" * 5000):
        for page in (
            await client.get(f"{CHECKOUT}/{session_id}"),
            await client.post(f"{CHECKOUT}/{session_id}", data={"result": "success"}),
        ):
            assert page.status_code == 404
            assert "No such payment" in as_text(page)


@pytest.mark.parametrize(
    "body", [b"", b"result=", b"result=expired", b"result=success&result=failed", b"\x00\xff=&&&", b"{}"]
)
async def test_a_form_of_something_else_is_refused(client: httpx.AsyncClient, office: Office, body: bytes) -> None:
    opened = await open_session(office)
    answer = await client.post(opened.page, content=body, headers=FORM)
    assert answer.status_code == 400
    assert answer.json()["code"] == "malformed"
    assert office.simulated is not None
    assert (await office.simulated.checkout(opened.session_id)).status == "open"


@pytest.mark.parametrize(("result", "status"), [("success", "paid"), ("failed", "declined"), ("expired", "expired")])
async def test_a_developer_plays_the_gateway(
    client: httpx.AsyncClient, office: Office, result: str, status: str
) -> None:
    opened = await open_session(office)
    for _ in range(2):
        answer = await client.post(f"{SIMULATE}/{opened.session_id}", json={"result": result})
        assert answer.status_code == 200
        assert answer.json() == {"sessionId": opened.session_id, "result": result, "status": status}
    other = "failed" if result == "success" else "success"
    refused = await client.post(f"{SIMULATE}/{opened.session_id}", json={"result": other})
    assert refused.status_code == 409
    assert refused.json()["code"] == "session_decided"
    assert refused.json()["sessionStatus"] == status


async def test_a_payment_may_come_late(client: httpx.AsyncClient, office: Office) -> None:
    opened = await open_session(office, lasts=timedelta(seconds=-1))
    answer = await client.post(f"{SIMULATE}/{opened.session_id}", json={"result": "success"})
    assert answer.json()["status"] == "paid"


async def test_nobody_plays_a_session_that_is_not(client: httpx.AsyncClient) -> None:
    for session_id in ("sess_unknown", "%00", "%ff"):
        answer = await client.post(f"{SIMULATE}/{session_id}", json={"result": "success"})
        assert answer.status_code == 404
        assert answer.json()["code"] == "session_not_found"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"result": "maybe"}', b'{"result": 1}', b"\xff", b"[" * 60_000])
async def test_a_result_of_something_else_is_refused(client: httpx.AsyncClient, office: Office, body: bytes) -> None:
    opened = await open_session(office)
    answer = await client.post(
        f"{SIMULATE}/{opened.session_id}", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["code"] == "malformed"


class TestInProduction:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return msgspec.structs.replace(
            settings, environment="production", secret_key="a-secret-key-of-production-for-tests"
        )

    async def test_none_of_this_is_there(self, client: httpx.AsyncClient, office: Office) -> None:
        opened = await open_session(office)
        simulate = f"{SIMULATE}/{opened.session_id}"
        for answer in (
            await client.get(opened.page),
            await client.post(opened.page, data={"result": "success"}),
            await client.post(opened.page, data={"result": "maybe"}),
            await client.post(opened.page, content=b"\x00"),
            await client.post(simulate, json={"result": "success"}),
            await client.post(simulate, json={"result": "maybe"}),
            await client.post(simulate, content=b"{"),
            await client.post(simulate, content=b"x" * 100_000),
            await client.post(simulate),
        ):
            assert answer.status_code == 404
            assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(0, "INR", "₹0.00"), (5, "INR", "₹0.05"), (12_345_678, "USD", "$123,456.78"), (100, "CHF", "CHF 1.00")],
)
def test_amounts_are_shown_as_people_read_them(amount: int, currency: str, text: str) -> None:
    assert readable_amount(amount, currency) == text
