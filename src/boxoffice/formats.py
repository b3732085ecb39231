"""Money, times and lengths as people write them, in the visitor's language and on the theatre's clock."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time, get_timezone_gmt
from babel.lists import format_list
from babel.numbers import format_currency, format_decimal, get_currency_precision

from boxoffice.languages import Language, texts_in

DAY_NEAR: Final = "EEE d MMM"
DAY_IN_FULL: Final = "EEEE d MMMM y"
MINUTES_AN_HOUR: Final = 60


class Formats:
    """Writes for readers of one language; each method is a filter of the templates by its own name."""

    def __init__(self, language: Language) -> None:
        self._locale: Locale = language.locale
        self._texts = texts_in(language)

    def filters(self) -> dict[str, Any]:
        """By name, as the templates know them."""
        return {
            name: getattr(self, name)
            for name in (
                "money",
                "number",
                "items",
                "duration",
                "local_time",
                "local_date",
                "local_day",
                "local_date_time",
                "day",
                "weekday",
                "zone_name",
                "iso",
            )
        }

    def money(self, amount: int, currency: str) -> str:
        """An amount in minor units: 125000 INR is ₹1,250, and 125050 is ₹1,250.50."""
        digits = get_currency_precision(currency)
        value = Decimal(amount).scaleb(-digits)
        whole = value == value.to_integral_value()
        pattern = self._locale.currency_formats["standard"].pattern
        if whole:
            pattern = pattern.replace(".00", "")
        return format_currency(value, currency, pattern, locale=self._locale, currency_digits=not whole)

    def number(self, value: float) -> str:
        """A number with its thousands told apart."""
        return format_decimal(value, locale=self._locale)

    def items(self, words: list[str]) -> str:
        """Words as a list in a sentence: "A4, A5 and A6"."""
        return format_list(words, locale=self._locale)

    def duration(self, minutes: int) -> str:
        """A length in minutes: "2 h 24 min"."""
        hours, rest = divmod(minutes, MINUTES_AN_HOUR)
        if not hours:
            return self._texts.gettext("%(minutes)d min") % {"minutes": rest}
        if not rest:
            return self._texts.gettext("%(hours)d h") % {"hours": hours}
        return self._texts.gettext("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": rest}

    def local_time(self, moment: datetime, zone: str) -> str:
        """The time of day on a clock of the zone (an IANA name): "7:30 pm"."""
        return format_time(moment.astimezone(ZoneInfo(zone)), "short", locale=self._locale)

    def local_date(self, moment: datetime, zone: str) -> str:
        """The day in the zone: "Sat 31 Jan"."""
        return format_date(moment.astimezone(ZoneInfo(zone)).date(), DAY_NEAR, locale=self._locale)

    def local_date_in_full(self, moment: datetime, zone: str) -> str:
        """The day in the zone, with its year: "Saturday 31 January 2026"."""
        return format_date(moment.astimezone(ZoneInfo(zone)).date(), DAY_IN_FULL, locale=self._locale)

    def local_day(self, moment: datetime, zone: str, now: datetime | None = None) -> str:
        """The day in the zone as one says it: "Today", "Tomorrow", else "Sat 31 Jan"."""
        today = (now or datetime.now(UTC)).astimezone(ZoneInfo(zone)).date()
        return self.day(moment.astimezone(ZoneInfo(zone)).date(), today)

    def local_date_time(self, moment: datetime, zone: str) -> str:
        """Day, time and zone in full: "Saturday 31 January 2026, 7:30 pm IST"."""
        local = moment.astimezone(ZoneInfo(zone))
        return self._texts.gettext("%(date)s, %(time)s %(zone)s") % {
            "date": format_date(local.date(), DAY_IN_FULL, locale=self._locale),
            "time": format_time(local, "short", locale=self._locale),
            "zone": self.zone_name(moment, zone),
        }

    def day(self, day: date, today: date) -> str:
        """A day as one says it on the day ``today``: "Today", "Tomorrow", else "Sat 31 Jan"."""
        if day == today:
            return self._texts.gettext("Today")
        if day == today + timedelta(days=1):
            return self._texts.gettext("Tomorrow")
        return format_date(day, DAY_NEAR, locale=self._locale)

    def weekday(self, day: date) -> str:
        """The day of the week in short: "Sat"."""
        return format_date(day, "EEE", locale=self._locale)

    def zone_name(self, moment: datetime, zone: str) -> str:
        """What the zone's clock is called then: "IST", or "GMT+04:00" where it has no name of its own."""
        local = moment.astimezone(ZoneInfo(zone))
        name = local.tzname() or ""
        return name if name.isalpha() else get_timezone_gmt(local, "long", locale=self._locale)

    @staticmethod
    def iso(moment: datetime) -> str:
        """For machines: ``datetime`` attributes and modules."""
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@cache
def formats_in(language: Language) -> Formats:
    """The formats of a language."""
    return Formats(language)
