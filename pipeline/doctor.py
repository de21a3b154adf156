"""Looks at everything in a profile without taking its word for anything, and says what is wrong and what that means.

It changes nothing, also while others run the profile: unlike other readers it leaves damaged files where they are. What
`repair` does is what those would do: it moves them to `quarantine/`. Nothing is ever edited or deleted.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import get_args

import numpy as np

from pipeline import checkpoint, config, customs, doctor_files, shelf
from pipeline.census import listing
from pipeline.config import Config, ConfigError
from pipeline.parts import NAME, Columns
from pipeline.patient import Finding, Patient, Step
from pipeline.people import FOLDER as PEOPLE
from pipeline.people import People
from pipeline.profile import Profile, ProfileError, Role
from pipeline.root import Root
from pipeline.rows import ANSWERS, PROGRAM
from pipeline.signing import fingerprint

ROWS = {
    "labels": "answers",
    "rollouts": "worlds",
    "films": "entries of the list of films",
    "events": "lines of what happened",
    "embeddings": "embeddings, which alife run makes anew,",
    "people": "entries about who may label",
}
"""What the rows of a table are."""
VERSIONS: dict[str, str] = {role: f"versions of the {role}" for role in checkpoint.ROLES}
CUT_SHORT = "their simulation was cut short, or is under way; nothing is lost"
STATUSES = ("alive", "dead", "exploded", "frozen", "failed")
ORIGINS = ("prior", "generator", "browse")
EVENTS = ("vote", "undo", "exclude", "include")


@dataclass
class Report:
    """What was found.

    Attributes:
        profile: Where.
        findings: What is wrong, or worth knowing.
        counts: How much there is of what.
        running: Which roles somebody holds.
    """

    profile: Patient
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)

    @property
    def damage(self) -> list[Finding]:
        """What is damaged or missing."""
        return [each for each in self.findings if each.damage]

    @property
    def notes(self) -> list[Finding]:
        """What is worth knowing."""
        return [each for each in self.findings if not each.damage]


def examine(root: Root, name: str, done: Step = lambda _: None) -> Report:
    """Look at everything in a profile.

    Args:
        root: Where profiles are.
        name: Which.
        done: Told how many more files were looked at.

    Raises:
        ConfigError: No profile can have this name.
        ProfileError: There is none.
    """
    profile, unopened = _opened(root, name)
    report = Report(profile, running=[role for role in get_args(Role) if profile.held(role)])
    found = report.findings
    found += unopened
    films = {key.rpartition("/")[2] for key in profile.store.list("films/_mp4/")}  # before the rows that name them
    tables = _tables(profile, done)
    known = tables if not unopened else {}  # whoever cannot read the settings does not know what is inherited
    found += _rows(tables)
    found += _references(known)
    found += doctor_files.films(profile, known, films, done)
    found += doctor_files.versions(profile, done)
    found += doctor_files.saved(profile, done)
    found += _damaged_parts(profile, tables)  # after all that reads tables
    found += doctor_files.files(profile)
    found += [] if unopened else doctor_files.settings(profile, tables)
    report.counts = {folder.split("/")[0]: len(rows["id"]) for folder, rows in tables.items()}
    for role in checkpoint.ROLES:
        report.counts[role] = sum(key.endswith(".json") for key in profile.store.list(f"{role}/"))
    return report


def repair(report: Report) -> list[Finding]:
    """Move damaged files to `quarantine/`, each with a note that says why; returns what was moved, all of it."""
    moved = []
    for each in report.findings:
        there = [key for key in each.movable if report.profile.store.exists(key)]
        for key in there:
            Profile.quarantine(report.profile, key, each.what)
        if there and not any(map(report.profile.store.exists, there)):
            moved.append(each)
    return moved


def _opened(root: Root, name: str) -> tuple[Patient, list[Finding]]:
    """The profile, and why it cannot be opened; then all is looked at that needs no settings."""
    config.check_name(name)
    try:
        return Patient.open(root, name), []  # type: ignore[return-value]  # it makes what it is asked of
    except ConfigError as error:
        what = str(error).partition("profile.toml: ")[2] or str(error)
        means = "the profile cannot be opened until that is mended by hand; all else is as it was"
    except ProfileError as error:
        what, means = str(error), "what is inherited cannot be read until then; nothing of this profile is lost"
        if shelf.remains(root, name):
            what, means = "it is not there", "until it is written again, this is no profile; all else is as it was"
        elif name not in listing(root, archived=True):
            raise
    return Patient(root, name, Config()), [Finding("profile.toml", what, means)]


# -- tables -----------------------------------------------------------------------------------------------------------


def _tables(profile: Patient, done: Step) -> dict[str, Columns]:
    """All rows by folder. Worlds are read last: whatever names them is written after them."""
    tables = profile.tables()
    rows = {}
    for folder in sorted(tables, key="rollouts/".__eq__):
        rows[folder] = tables[folder].read()
        done(len(profile.store.list(folder)))
    people = {PEOPLE: People.of(profile).rows} if profile.store.list(PEOPLE) else {}
    return rows | people


def _damaged_parts(profile: Patient, tables: dict[str, Columns]) -> Iterator[Finding]:
    """What tables, here and of ancestors, complained about."""
    for key, what in sorted(profile.unreadable.items()):
        folder, _, name = key.rpartition("/")
        if f"{folder}/" in tables and NAME.fullmatch(name):
            movable = (key,) if key in profile.damaged else ()
            yield Finding(key, what, _loss(name, folder, tables[f"{folder}/"]), movable=movable)
        elif key not in profile.damaged:
            where = key.split("/")[0]
            yield Finding(key, what, f"what it held is not seen here; to know more: alife doctor {where}")


def _loss(name: str, folder: str, rows: Columns) -> str:
    """What is lost with a part that cannot be used."""
    first, last = int(name[:12]), int(name[13:25])
    numbers = rows["sequence"]
    missing = last - first + 1 - len(np.unique(numbers[(first <= numbers) & (numbers <= last)]))
    if missing <= 0:
        return "nothing seems to be lost: other files have rows of the same numbers"
    return f"{missing} {ROWS[folder.split('/')[0]]} are missing, unless a copy of this profile has that file"


def _rows(tables: dict[str, Columns]) -> Iterator[Finding]:
    """Rows that say what no program of this project writes."""
    for folder, rows in tables.items():
        for what, wrong in _nonsense(folder, rows).items():
            if count := int(wrong.sum()):
                yield Finding(folder, f"{count} of its rows {what}", "whoever wrote them was not this program")


def _nonsense(folder: str, rows: Columns) -> dict[str, np.ndarray]:
    """Which rows (B,) bool of a table are wrong, by what is wrong with them."""
    numbers = rows["sequence"]
    wrong = {"are numbered as no profile numbers them": (numbers < 0) | (numbers > customs.LAST_ROW)}
    if "time" in rows:
        wrong["have a time that is no moment"] = ~np.isfinite(rows["time"])
    if folder == "labels/":
        wrong["are answers that nobody can give"] = _none_of(rows["answer"], ANSWERS)
        wrong["are neither votes nor about votes or people"] = _none_of(rows["event"], EVENTS)
    if folder == "rollouts/":
        unit = rows["unit"]
        wrong["have parameters outside [0, 1]"] = np.asarray(~((unit >= 0) & (unit <= 1)).all(1))
        wrong["have a status that does not exist"] = _none_of(rows["status"], STATUSES)
        wrong["come from nowhere"] = _none_of(rows["origin"], ORIGINS)
        wrong["are not called after their simulation, parameters and seed"] = np.asarray(rows["id"] != _ids(rows))
    return wrong


def _none_of(values: np.ndarray, allowed: Iterable[str]) -> np.ndarray:
    known = set(allowed)
    return np.array([value not in known for value in values.tolist()], bool)


def _ids(rows: Columns) -> np.ndarray:
    """What worlds are called, see `Profile.rollout_id`, by what their rows say themselves."""
    unit = np.ascontiguousarray(rows["unit"], "<f4")
    worlds = zip(rows["sim"].tolist(), rows["version"].tolist(), rows["seed"].tolist(), unit, strict=True)
    heads = [(f"{sim}/{version}/{seed}/".encode(), row.tobytes()) for sim, version, seed, row in worlds]
    return np.array([fingerprint(head + row) for head, row in heads], object)


def _references(tables: dict[str, Columns]) -> Iterator[Finding]:
    """Rows that name what is not there."""
    if not tables:
        return
    worlds, films, labels = (tables[folder] for folder in ("rollouts/", "films/", "labels/"))
    there = worlds["id"].tolist()
    votes = {name: values[labels["event"] == "vote"] for name, values in labels.items()}
    lost = _none_of(votes["left"], there) | _none_of(votes["right"], there)
    if lost.any():
        what = f"{int(lost.sum())} answers are about worlds that are not in rollouts/"
        yield Finding("labels/", what, "they are kept, and teach again once these worlds are back")
    undone = labels["target"][labels["event"] == "undo"]
    if count := int(_none_of(undone, votes["id"].tolist()).sum()):
        means = "should these answers come back, they will not count"
        yield Finding("labels/", f"{count} answers were taken back that are not there", means)
    shown = set(zip(films["rollout"].tolist(), films["source"].tolist(), strict=True))
    people = votes["labeler"] != PROGRAM
    for side in ("left", "right"):
        seen = zip(votes[side][people].tolist(), votes[f"{side}_source"][people].tolist(), strict=True)
        if count := sum(bool(source) and (world, source) not in shown for world, source in seen):
            what = f"{count} answers name a film, shown {side}, that is not in the list of films"
            yield Finding("labels/", what, "they count, but what people saw cannot be shown again")
    if count := int(_none_of(films["rollout"], there).sum()):
        yield Finding("films/", f"{count} films are of worlds that are not in rollouts/", "these are not shown")
    for folder in (each for each in tables if each.startswith("embeddings/")):
        if count := int(_none_of(tables[folder]["rollout"], there).sum()):
            what = f"{count} embeddings are of worlds that are not in rollouts/"
            yield Finding(folder, what, CUT_SHORT, damage=False)


def as_json(report: Report, moved: Iterable[Finding]) -> dict:
    """The same for programs."""
    lines = [
        {"file": each.file, "what": each.what, "means": each.means, "moved": each in moved}
        for each in (*report.damage, *report.notes)
    ]
    problems, notes = lines[: len(report.damage)], lines[len(report.damage) :]
    facts = {"profile": report.profile.name, "healthy": not problems, "time": time.time()}
    return facts | {"problems": problems, "notes": notes, "counts": report.counts, "running": report.running}


def tell(report: Report, moved: list[Finding], *, asked: bool) -> str:
    """The same for people, a line for each finding."""
    name = report.profile.name
    lines = [f"{each}{' (moved to quarantine/)' if each in moved else ''}" for each in report.damage]
    lines += [f"note: {each}" for each in report.notes]
    if report.running:
        lines.append(f"note: somebody runs {name} meanwhile ({', '.join(report.running)})")
    counts = {VERSIONS.get(what, what): count for what, count in report.counts.items()}
    there = ", ".join(f"{count} {what}" for what, count in counts.items())
    if not report.damage:
        return "\n".join([*lines, f"{name} is whole: {there}."])
    problems = "one problem" if len(report.damage) == 1 else f"{len(report.damage)} problems"
    lines.append(f"{name} has {problems}; what can be read: {there}.")
    left = sum(bool(each.movable) for each in report.damage) - len(moved)
    if left and not asked:
        lines.append(f"Nothing was changed. To move {left} of them out of the way: alife doctor {name} --repair")
    elif asked:
        lines.append(f"Moved {len(moved)} to {report.profile.path / 'quarantine'}; nothing was edited or deleted.")
    return "\n".join(lines)
