"""What must hold in a profile, whatever was killed: given what clients sent and what they were told."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import checkpoint, doctor
from pipeline.profile import Profile
from pipeline.rows import LabelTable


@dataclass
class Diary:
    """What clients did.

    Attributes:
        sent: Ids and answers of votes that may have arrived.
        saved: The answers that were acknowledged, by id.
        undoing: Ids of votes that clients tried to take back.
        undone: Those of which they were told that they were.
    """

    sent: set[tuple[str, str]] = field(default_factory=set)
    saved: dict[str, str] = field(default_factory=dict)
    undoing: set[str] = field(default_factory=set)
    undone: set[str] = field(default_factory=set)


def violations(root: Path, name: str, diary: Diary) -> list[str]:
    """What does not hold, a sentence each. Changes nothing, and may look while others write."""
    profile = Profile.open(root, name)
    events, labels = profile.label_events(), profile.labels()
    return [
        *_about_votes(events, diary),
        *_about_undos(events, labels, diary),
        *(f"the doctor says: {each}" for each in doctor.examine(root, name).damage),
        *_about_opening_again(profile, Profile.open(root, name)),
    ]


def _about_votes(events: LabelTable, diary: Diary) -> Iterator[str]:
    """Whatever was acknowledged is there once, as it was given, and nothing that nobody sent."""
    rows = [(id_, answer) for id_, answer, event in _rows(events) if event == "vote"]
    times, there = Counter(id_ for id_, _ in rows), dict(rows)
    for id_, answer in diary.saved.items():
        if id_ not in there:
            yield f"the answer {id_} was acknowledged and is lost"
        elif there[id_] != answer:
            yield f"the answer {id_} was {answer} and is {there[id_]}"
    yield from (f"the answer {id_} is there {count} times" for id_, count in times.items() if count > 1)
    yield from (f"the answer {id_}, {answer}, was never given" for id_, answer in sorted({*rows} - diary.sent))


def _about_undos(events: LabelTable, labels: LabelTable, diary: Diary) -> Iterator[str]:
    """What was taken back does not count, and all else does, once."""
    votes = {id_ for id_, _, event in _rows(events) if event == "vote"}
    counting = Counter(labels.id.tolist())
    taken = set(events.target[events.event == "undo"].tolist())
    yield from (f"the answer {id_} was taken back and counts" for id_ in sorted(diary.undone & counting.keys()))
    yield from (f"the answer {id_} was taken back by nobody" for id_ in sorted(taken - diary.undoing))
    yield from (f"the answer {id_} does not count" for id_ in sorted(votes - diary.undoing - counting.keys()))
    yield from (f"the answer {id_} counts {count} times" for id_, count in counting.items() if count > 1)


def _about_opening_again(one: Profile, other: Profile) -> Iterator[str]:
    """Whoever opens it next sees the same; who writes meanwhile may only have added to it."""
    before, after = _seen(one), _seen(other)
    yield from (
        f"opened twice, its {what} differ" for what in before if after[what][: len(before[what])] != before[what]
    )


def _seen(profile: Profile) -> dict[str, list[Any]]:
    made = {role: checkpoint.manifests(profile, role) for role in checkpoint.ROLES}
    versions = {f"versions of the {role}": [(each.number, each.sha256) for each in made[role]] for role in made}
    return {"answers": _rows(profile.label_events())} | versions


def _rows(events: LabelTable) -> list[tuple[str, str, str]]:
    return list(zip(events.id.tolist(), events.answer.tolist(), events.event.tolist(), strict=True))
