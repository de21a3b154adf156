"""Who may label a profile: their names, and what the owner decided about them.

These are rows in a table of their own, which no export takes along and no fork inherits. Both keys follow from them and
from the profile's secret, so that a restart changes neither. Whoever is excluded still knows the invitation: it is
another one from then on.
"""

import contextlib
import threading
import time
import unicodedata
import uuid
from dataclasses import dataclass

import numpy as np

from pipeline import signing
from pipeline.parts import Columns
from pipeline.profile import Profile
from pipeline.rows import LabelTable
from pipeline.store import StoreError
from pipeline.tables import Table

FOLDER = "people/"
LONGEST = 40
"""Characters of a name."""
RENEWS = ("exclude", "renew")
"""What makes the invitation another one."""
WRITTEN = ("L", "M", "N", "Zs", "So")
"""Unicode categories that names are made of: letters, their marks, digits, spaces, pictures."""
SIGNS = "-_.'’()&!+"
"""The other characters of a name: none that means something in HTML, in a shell or on a terminal."""


@dataclass(frozen=True)
class Person:
    """Somebody who was invited, or who labeled.

    Attributes:
        id: What labels call them.
        name: What people call them, "" if they never said.
        owner: Whether they came with the owner's key.
        excluded: Whether they may not label any more.
        counts: Whether their labels count.
        labels: How many they gave, undone ones aside.
        since: When they first joined, seconds since 1970; 0 if they never did.
    """

    id: str
    name: str
    owner: bool
    excluded: bool
    counts: bool
    labels: int
    since: float


class People:
    """The people of a profile. Safe for threads and processes.

    Args:
        profile: Whose.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._joining = threading.Lock()
        self._known: tuple[Columns, dict[str, tuple[str, str]], set[str]] = ({}, {}, set())
        texts = dict.fromkeys(("id", "event", "person", "name", "role"), "text")
        self._table = Table(profile.store, FOLDER, texts | {"time": "float"}, profile.set_aside)  # type: ignore[arg-type]

    @classmethod
    def of(cls, profile: Profile) -> "People":
        """The people of a profile, with what was read of them before."""
        found = profile.cache.get("people") or profile.cache.setdefault("people", cls(profile))
        assert isinstance(found, cls)
        return found

    @property
    def rows(self) -> Columns:
        """What was written down, in order."""
        return self._table.read()

    @property
    def invitation(self) -> str:
        """The key with which anyone may join as a labeler."""
        renewed = int(np.isin(self._table.read()["event"].astype(str), RENEWS).sum())
        return signing.code(self._profile.key, f"invitation {renewed}")

    @property
    def owner_key(self) -> str:
        """The key that makes its holder the owner."""
        return f"owner-{signing.code(self._profile.key, 'owner')}"

    def join(self, person: str, name: str, *, owner: bool = False) -> None:
        """Let somebody in, under a name that nobody else has: a number is added to one that is taken. Twice is once.

        Raises:
            ValueError: This cannot be a name; the message is fit to be shown.
            StoreError: Nothing was saved.
        """
        name = check_name(name)
        with self._joining:  # a name that is free is taken before anybody else looks
            there = self._joined()
            known = there.get(person, ("", ""))[1]
            if known == "owner" or (known and not owner):
                return
            others = {known.casefold() for id_, (known, _) in there.items() if id_ != person}
            self._add("join", person, _free(name, others), "owner" if owner else "labeler")

    def exclude(self, person: str, *, labels: bool) -> None:
        """Let somebody label no more; their cookie and the invitation they came with are worth nothing from now on.

        Args:
            person: Whom.
            labels: Whether what they answered no longer counts either: it stays in the files, and can count again.

        Raises:
            ValueError: It is an owner, or nobody; the message is fit to be shown.
            StoreError: It was not saved, or not all of it.
        """
        known = {each.id: each for each in self.everybody()}
        if person not in known:
            raise ValueError("there is no such person")
        if known[person].owner:
            raise ValueError("an owner cannot be excluded")
        self._add("exclude", person)
        if labels:
            self._profile.exclude(person)

    def readmit(self, person: str) -> None:
        """Let somebody in again, with their cookie and all their labels.

        Raises:
            StoreError: It was not saved, or not all of it.
        """
        if person in self._excluded():
            self._add("readmit", person)
        if person in LabelTable.excluded(self._profile.label_events().columns()):
            self._profile.exclude(person, back=True)

    def renew(self) -> None:
        """Make another invitation: the old one lets nobody in any more; those who are in stay.

        Raises:
            StoreError: Nothing was saved.
        """
        self._add("renew", "")

    def may_label(self, person: str) -> bool:
        """Whether somebody joined, and was not excluded since."""
        _, joined, excluded = self._now()
        return person in joined and person not in excluded

    def is_excluded(self, person: str) -> bool:
        """Whether the owner excluded somebody."""
        return person in self._excluded()

    def name(self, person: str) -> str:
        """What people call somebody who joined, else ""."""
        return self._joined().get(person, ("", ""))[0]

    def everybody(self) -> list[Person]:
        """All who joined, in that order, then all others who labeled."""
        rows, joined, excluded = self._table.read(), self._joined(), self._excluded()
        events = self._profile.label_events()
        out = LabelTable.excluded(events.columns())
        undone = set(events.target[events.event == "undo"].tolist())
        votes = zip(events.id.tolist(), events.labeler.tolist(), events.event.tolist(), strict=True)
        by = [labeler for id_, labeler, event in votes if event == "vote" and id_ not in undone]
        counted = dict(zip(*np.unique(np.array(by, str), return_counts=True), strict=True))
        first = dict(zip(rows["person"].tolist()[::-1], rows["time"].tolist()[::-1], strict=True))
        ids = dict.fromkeys([*joined, *by])
        return [
            Person(
                id=id_,
                name=joined.get(id_, ("", ""))[0],
                owner=joined.get(id_, ("", ""))[1] == "owner",
                excluded=id_ in excluded,
                counts=id_ not in out,
                labels=int(counted.get(id_, 0)),
                since=first.get(id_, 0.0),
            )
            for id_ in ids
        ]

    def _joined(self) -> dict[str, tuple[str, str]]:
        """The name and the role of everybody who joined."""
        return self._now()[1]

    def _excluded(self) -> set[str]:
        return self._now()[2]

    def _now(self) -> tuple[Columns, dict[str, tuple[str, str]], set[str]]:
        """What the rows say, read again only when there are more: each request asks."""
        rows, known = self._table.read(), self._known
        if known[0] is not rows:
            known = self._known = rows, _joined(rows), _excluded(rows)
        return known

    def _add(self, event: str, person: str, name: str = "", role: str = "") -> None:
        row = {"id": uuid.uuid4().hex, "event": event, "person": person, "name": name, "role": role}
        self._table.append({key: [value] for key, value in row.items()} | {"time": [time.time()]})
        with contextlib.suppress(StoreError):  # for another time: the row is saved
            self._table.compact()


def _joined(rows: Columns) -> dict[str, tuple[str, str]]:
    there = rows["event"] == "join"
    named = zip(rows["name"][there].tolist(), rows["role"][there].tolist(), strict=True)
    return dict(zip(rows["person"][there].tolist(), named, strict=True))


def _excluded(rows: Columns) -> set[str]:
    decided = (rows["event"] == "exclude") | (rows["event"] == "readmit")
    last = dict(zip(rows["person"][decided].tolist(), rows["event"][decided].tolist(), strict=True))
    return {person for person, event in last.items() if event == "exclude"}


def check_name(name: str) -> str:
    """A name as it is kept: composed, with single spaces.

    Raises:
        ValueError: It is empty, too long, or has signs that names have not; the message is fit to be shown.
    """
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if not name:
        raise ValueError("a name is needed")
    if len(name) > LONGEST:
        raise ValueError(f"a name may have {LONGEST} characters")
    for sign in name:
        if not unicodedata.category(sign).startswith(WRITTEN) and sign not in SIGNS:
            raise ValueError(f"a name has letters, digits, spaces and {SIGNS} only")
    return name


def _free(name: str, others: set[str]) -> str:
    """This name, or the first of "name (2)", "name (3)" … that nobody has."""
    number, free = 1, name
    while free.casefold() in others:
        number += 1
        free = f"{name} ({number})"
    return free
