"""What `boxoffice demo` tells a newcomer: where things are, who to be, what to try."""

import sys
from pathlib import Path
from typing import Final

import msgspec


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A demo account that one can sign in with; what is known of it is known to everybody."""

    role: str
    name: str

    @property
    def email(self) -> str:
        """In a domain that nobody can own (RFC 2606)."""
        return f"{self.role}@boxoffice.example"

    @property
    def password(self) -> str:
        """Easy to type; no secret."""
        return f"{self.role}-demo"


CUSTOMER: Final = Login(role="customer", name="Asha Customer")
STAFF: Final = Login(role="staff", name="Sunil Staff")
MANAGER: Final = Login(role="manager", name="Meera Manager")
ADMIN: Final = Login(role="admin", name="Arjun Admin")
LOGINS: Final = (CUSTOMER, STAFF, MANAGER, ADMIN)


def _python() -> str:
    """The interpreter that has what the example needs, as one would type it here."""
    try:
        return str(Path(sys.executable).relative_to(Path.cwd()))
    except ValueError:
        return sys.executable


def welcome(base_url: str) -> str:
    """The text that is printed once the demo answers at ``base_url``, in Rich's markup."""
    api = f"{base_url}/api/v1"
    logins = "\n".join(f"  {login.role:<10}{login.email:<30}{login.password}" for login in LOGINS)
    elsewhere = "" if base_url == "http://127.0.0.1:8001" else f" {base_url}"
    return f"""
[bold]The box office is open.[/bold]

  Cinema     {base_url}/
  API        {api}, documented at {base_url}/api/docs
  Metrics    {base_url}/metrics

[bold]Logins[/bold]
{logins}

[bold]Three things to try[/bold], in another terminal

  1. Buy a ticket as a moviegoer does: open {base_url}/ in two windows, choose a show,
     and see the seats that you tap in one taken in the other. Nobody is charged.

  2. Buy two seats by the API, step by step:
     {_python()} examples/buy_two_seats.py{elsewhere}

  3. Sign in as the manager and look at who you are:
     curl {api}/auth/login -H 'Content-Type: application/json' \\
       -d '{{"email":"{MANAGER.email}","password":"{MANAGER.password}"}}'
     curl {api}/auth/me -H 'Authorization: Bearer ACCESS_TOKEN'

Ctrl+C closes it."""
