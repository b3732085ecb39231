"""Real films for the demo: title, year, running time, language, genres and certificate are facts.

The synopses are our own words.
"""

from typing import Final

import msgspec


class Film(msgspec.Struct, frozen=True, kw_only=True):
    """A film as it was released."""

    title: str
    year: int
    minutes: int
    language: str
    genres: tuple[str, ...]
    rating: str
    """The certificate of India's CBFC (U, UA, A); another board's is named after it."""
    synopsis: str
    also_in: tuple[str, ...] = ()
    """Languages in which it was released beside its own."""
    large_format: bool = False
    """Whether it was released for IMAX screens."""


FILMS: Final = (
    Film(
        title="Dangal",
        year=2016,
        minutes=161,
        language="Hindi",
        genres=("Biography", "Drama", "Sport"),
        rating="U",
        synopsis=(
            "A wrestler who never won his gold trains his daughters for it, against the village's laughter "
            "and, for a while, against their own will."
        ),
    ),
    Film(
        title="Andhadhun",
        year=2018,
        minutes=138,
        language="Hindi",
        genres=("Crime", "Thriller", "Comedy"),
        rating="UA",
        synopsis=(
            "A pianist who lets the world believe that he is blind plays on beside a murder. What he does "
            "not say soon becomes dangerous to everybody."
        ),
    ),
    Film(
        title="The Lunchbox",
        year=2013,
        minutes=104,
        language="Hindi",
        genres=("Drama", "Romance"),
        rating="PG (MPA)",
        synopsis=(
            "One of Mumbai's lunchboxes reaches the wrong desk, and with it a note. A neglected wife and a "
            "widower about to retire go on writing."
        ),
    ),
    Film(
        title="'96",
        year=2018,
        minutes=158,
        language="Tamil",
        genres=("Romance", "Drama"),
        rating="U",
        synopsis=(
            "Twenty-two years after school, a reunion brings a travel photographer and the girl he never "
            "spoke to together again, for one night of walking through Chennai."
        ),
    ),
    Film(
        title="Vikram Vedha",
        year=2017,
        minutes=147,
        language="Tamil",
        genres=("Action", "Crime", "Thriller"),
        rating="UA",
        synopsis=(
            "A gangster gives himself up to the policeman who hunts him, only to tell him a story. Each "
            "story makes right and wrong harder to tell apart."
        ),
    ),
    Film(
        title="Super Deluxe",
        year=2019,
        minutes=176,
        language="Tamil",
        genres=("Drama", "Comedy", "Thriller"),
        rating="A",
        synopsis=(
            "A body to be got rid of, a father who comes home as a woman, boys in search of money, a faith "
            "put to the test: one strange day in Chennai ties them together."
        ),
    ),
    Film(
        title="RRR",
        year=2022,
        minutes=182,
        language="Telugu",
        genres=("Action", "Drama"),
        rating="UA",
        synopsis=(
            "Delhi, 1920: two men become friends, neither knowing that the other stands on the opposite side "
            "of the search for an abducted girl. Then they learn it."
        ),
        also_in=("Hindi", "Tamil", "Kannada"),
        large_format=True,
    ),
    Film(
        title="Baahubali: The Beginning",
        year=2015,
        minutes=158,
        language="Telugu",
        genres=("Action", "Fantasy"),
        rating="UA",
        synopsis=(
            "A young man climbs the waterfall that no one climbs, and finds above it a kingdom, a queen in "
            "chains, and people who kneel before his face."
        ),
        also_in=("Hindi", "Tamil"),
    ),
    Film(
        title="Manjummel Boys",
        year=2024,
        minutes=135,
        language="Malayalam",
        genres=("Adventure", "Thriller"),
        rating="U",
        synopsis=(
            "Friends from a village near Kochi go on holiday to Kodaikanal, where one of them falls into a "
            "cave that has given nobody back. The others will not leave. It happened in 2006."
        ),
    ),
    Film(
        title="Charulata",
        year=1964,
        minutes=117,
        language="Bengali",
        genres=("Drama", "Romance"),
        rating="U",
        synopsis=(
            "Calcutta, around 1880: while her husband lives for his newspaper, a woman with a mind of her "
            "own finds in his visiting cousin somebody who reads her."
        ),
    ),
    Film(
        title="Interstellar",
        year=2014,
        minutes=169,
        language="English",
        genres=("Science fiction", "Drama"),
        rating="UA",
        synopsis=(
            "With the harvests failing, a pilot leaves his children behind to look beyond a wormhole for "
            "another home. An hour there can cost years here."
        ),
        large_format=True,
    ),
    Film(
        title="Oppenheimer",
        year=2023,
        minutes=180,
        language="English",
        genres=("Biography", "Drama", "History"),
        rating="UA",
        synopsis=(
            "The physicist who led the making of the first atomic bomb, and the hearing at which his own "
            "country turned on him."
        ),
        large_format=True,
    ),
    Film(
        title="Parasite",
        year=2019,
        minutes=132,
        language="Korean",
        genres=("Thriller", "Drama", "Comedy"),
        rating="A",
        synopsis=(
            "One by one, a family from a basement flat find work in a rich family's villa. Somebody was "
            "there before them."
        ),
    ),
    Film(
        title="Spirited Away",
        year=2001,
        minutes=125,
        language="Japanese",
        genres=("Animation", "Fantasy"),
        rating="PG (MPA)",
        synopsis=(
            "Her parents turned into pigs, ten-year-old Chihiro takes work in a bath-house for spirits, and "
            "has to keep hold of her name."
        ),
        also_in=("English",),
    ),
    Film(
        title="Seven Samurai",
        year=1954,
        minutes=207,
        language="Japanese",
        genres=("Action", "Drama"),
        rating="PG (BBFC)",
        synopsis=(
            "Farmers whom bandits rob at every harvest hire seven masterless samurai, for three meals a day. "
            "Together they make ready for the day when the riders come."
        ),
    ),
)
