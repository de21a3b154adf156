"""A profile: a folder with the whole history of one run, from which nothing ever gets lost.

profile.toml            what was chosen; written last when a profile is made: without it there is none
rollouts/ labels/       tables of immutable Parquet parts, readable by anything: pq.read_table("profiles/x/labels")
embeddings/NAME-VERSION/
films/ films/_mp4/      the table, and the films that it names by their hash
rewardor/ generator/    versions of both models (checkpoint.py)
saved/                  worlds that somebody kept, as mp4 and JSON
people/                 who was invited, under which name, and who was excluded (people.py); no export takes it along
archived                if it is there, lists leave this profile out
quarantine/             damaged files, each with a note that says why
"""

import contextlib
import functools
import json
import re
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from pipeline import config as configs
from pipeline import customs, plugins
from pipeline.census import listing
from pipeline.config import Config, ConfigError
from pipeline.counting import Counting
from pipeline.lineage import Lineage
from pipeline.parts import Columns, DamagedError, kinds
from pipeline.roles import Held, RoleTakenError, claim, is_held
from pipeline.root import Root, place
from pipeline.rows import EmbeddingTable, EventTable, FilmTable, LabelTable, RolloutTable, Saved, Vote
from pipeline.signing import fingerprint
from pipeline.store import KeyTakenError, StoreError, below, open_store
from pipeline.tables import GRACE_S, Table, WidthError

Role: TypeAlias = Literal["page", "train", "rewardor", "generator"]
T = TypeVar("T")


class ProfileError(Exception):
    """Raised when a profile does not exist, exists already, or does not hold what is asked for."""


class ProfileBusyError(ProfileError):
    """Raised when another process has the role."""


class Profile:
    """One profile, for reading and writing by any number of processes and threads at once.

    Tables are snapshots: the very same object until something was added, shared by all callers, not to be changed.

    Args:
        root: Where all profiles are.
        name: Which.
        config: What its profile.toml says.

    Raises:
        ValueError: `root` is no such place.
    """

    def __init__(self, root: Root | str, name: str, config: Config) -> None:
        self.root, self.name, self.config = place(root), name, config
        self.path = self.root / name
        self.store = open_store(self.path)
        self.cache: dict[Any, Any] = {}
        self._viewing, self._counting = threading.Lock(), Counting()
        self._unreadable: dict[str, str] = {}
        self.lineage = Lineage(self.root, config.parents, self._unreadable.__setitem__)
        self._rollouts = self._table(
            "rollouts/", kinds(RolloutTable) | {"position": "int", "sim": "text", "version": "int"}
        )
        self._films = self._table("films/", kinds(FilmTable) | {"id": "text", "time": "float"})
        self._labels = self._table("labels/", kinds(LabelTable))
        self._events = self._table("events/", kinds(EventTable) | {"id": "text"})
        self._embeddings: dict[str, Table] = {}

    def __reduce__(self) -> tuple[Callable[..., "Profile"], tuple[Root, str, Config]]:
        """Travel to other processes by name: they look at the files themselves."""
        return Profile, (self.root, self.name, self.config)

    # -- making and finding -------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, root: Root | str, name: str, config: Config) -> "Profile":
        """Make a profile.

        Raises:
            ConfigError: The name or the configuration will not do.
            ProfileError: There is one of that name.
            StoreError: Nothing could be saved.
        """
        profile = cls(root, configs.check_name(name), config)
        if profile.store.exists("profile.toml"):
            raise ProfileError(f'there is a profile "{name}" already')
        configs.check(config)
        assert profile.key
        try:
            profile.store.put("profile.toml", configs.dump(config).encode())
        except KeyTakenError:
            raise ProfileError(f'there is a profile "{name}" already') from None
        return profile

    @classmethod
    def open(cls, root: Root | str, name: str) -> "Profile":
        """A profile that exists.

        Raises:
            ProfileError: It does not, or one that it was forked from does not.
            ConfigError: Its name or its profile.toml is not one.
        """
        path = place(root) / configs.check_name(name)
        try:
            profile = cls(root, name, configs.parse(open_store(path).get("profile.toml").decode()))
        except FileNotFoundError:
            there = listing(root)
            listed = f"there are: {', '.join(there)}" if there else "there are none yet"
            raise ProfileError(f'no profile "{name}" in {root}{plugins.meant(name, there)}; {listed}') from None
        except ValueError as error:
            raise ConfigError(f"{path / 'profile.toml'}: {error}") from error
        if trouble := profile.lineage.trouble():
            raise ProfileError(f'the profile "{name}" cannot be read: {trouble}')
        return profile

    @cached_property
    def key(self) -> bytes:
        """32 secret bytes that sign assignments; made once, for the owner's eyes only."""
        with contextlib.suppress(KeyTakenError):
            if not self.store.exists("secret.key"):
                self.store.put("secret.key", secrets.token_bytes(32), private=True)
        return self.store.get("secret.key")

    # -- worlds -------------------------------------------------------------------------------------------------------

    def rollout_id(self, unit: np.ndarray, seed: int) -> str:
        """What a world of this profile's simulation is called, 32 hexadecimal digits: the same world, the same name.

        Args:
            unit: (D,) float32 in [0, 1].
            seed: Fixes the start.
        """
        sim, version = self._sim
        return fingerprint(f"{sim}/{version}/{seed}/".encode() + np.ascontiguousarray(unit, "<f4").tobytes())

    def rollouts(self) -> RolloutTable:
        """All worlds, in order of block and position: the order does not depend on who finished first."""
        return self._view("rollouts", self._rollouts.read(), RolloutTable.in_order)

    def add_rollouts(self, table: RolloutTable) -> None:
        """Add worlds, the rows of a block in its order; those that are there already are left out.

        Raises:
            ProfileError: The number of parameters is not that of the rows that are there.
            StoreError: Nothing was saved.
        """
        sim, version = self._sim
        count = len(table.id)
        extra: dict[str, Any] = {"position": np.arange(count), "sim": [sim] * count, "version": [version] * count}
        self._append(self._rollouts, table.columns() | extra)

    @cached_property
    def _sim(self) -> tuple[str, int]:
        """What the simulation is called, options included, and its version."""
        plugin = self.config.sim
        options = json.dumps(plugin.options, sort_keys=True) if plugin.options else ""
        return plugin.name + options, plugins.find("sims", plugin.name).version  # type: ignore[attr-defined]

    def embeddings(self, embedder: str, version: int) -> EmbeddingTable:
        """What a Rewardor keeps of clips, in the order in which they came; (0, 0) values if there are none."""
        table = self._embedding_table(embedder, version)
        return self._view(("embeddings", embedder, version), table.read(), EmbeddingTable.of)

    def add_embeddings(self, embedder: str, version: int, table: EmbeddingTable) -> None:
        """Add what a Rewardor keeps of clips; repeated pairs of rollout and source are left out.

        Raises:
            ProfileError: The number of features is not that of the rows that are there.
            StoreError: Nothing was saved.
        """
        ids = [f"{rollout}-{source}" for rollout, source in zip(table.rollout, table.source, strict=True)]
        self._append(self._embedding_table(embedder, version), table.columns() | {"id": ids})

    def films(self) -> FilmTable:
        """All films, in the order in which they came."""
        return self._view("films", self._films.read(), FilmTable.of)

    def add_film(self, rollout: str, mp4: bytes, source: str, frames: int, fps: float, size: int) -> str:
        """Add a film of a world; returns its file name, made from its content. Other fields as in `FilmTable`."""
        file = f"{fingerprint(mp4)}.mp4"
        self.store.put(f"films/_mp4/{file}", mp4)  # before the row that names it
        row: dict[str, Any] = {"id": f"{rollout}-{file}", "rollout": rollout, "file": file, "source": source}
        row |= {"frames": frames, "fps": fps, "size": size, "time": time.time()}
        self._films.append({name: [value] for name, value in row.items()})
        return file

    def film_bytes(self, file: str) -> bytes:
        """A film, as it was added.

        Raises:
            ProfileError: There is none, or not any more: a damaged film is quarantined.
        """
        key = f"films/_mp4/{file}"
        for store in (self.store, *self.lineage.stores) if re.fullmatch(r"[0-9a-f]{32}\.mp4", file) else ():
            with contextlib.suppress(FileNotFoundError):
                data = store.get(key)
                if f"{fingerprint(data)}.mp4" == file:
                    return data
                self.quarantine(key, "its bytes do not match the hash in its name")
                raise ProfileError(f"film {file} was damaged")
        raise ProfileError(f"no film {file!r}")

    # -- labels -------------------------------------------------------------------------------------------------------

    def label_events(self) -> LabelTable:
        """Everything that labelers did, in order of sequence."""
        return self._view("events", self._labels.read(), LabelTable.of)

    def labels(self) -> LabelTable:
        """The votes that count: one per id, those that were undone left out, in order of sequence."""
        return self._view("labels", self._labels.read(), self._counting.of)

    def add_votes(self, votes: Sequence[Vote]) -> list[bool]:
        """Add votes for good; returns which were there already. A vote that was undone stays undone.

        Raises:
            StoreError: None was saved.
        """
        names = [each.name for each in fields(Vote)]
        columns: dict[str, Any] = {name: [getattr(vote, name) for vote in votes] for name in names}
        columns |= {"event": ["vote"] * len(votes), "target": [""] * len(votes)}
        return (~self._labels.append(columns)).tolist() if votes else []

    def undo(self, label_id: str, labeler: str) -> None:
        """Take back a vote, by a row that says so. Twice is once.

        Raises:
            ProfileError: There is no such vote.
            StoreError: Nothing was saved.
        """
        events = self.label_events()
        rows = np.flatnonzero((events.id == label_id) & (events.event == "vote"))
        if not len(rows):
            raise ProfileError(f"no vote {label_id!r}")
        now = {"id": f"undo-{label_id}", "event": "undo", "target": label_id, "labeler": labeler, "time": time.time()}
        row = {name: values[rows[0]] for name, values in events.columns().items()} | now
        self._labels.append({name: [value] for name, value in row.items()})

    def exclude(self, labeler: str, *, back: bool = False) -> None:
        """Let the votes of a person count no longer, or again, by a row that says so; StoreError: it was not saved."""
        row = vars(Vote(id=uuid.uuid4().hex, left="", right="", answer="skip", labeler=labeler))
        row |= {"event": "include" if back else "exclude", "target": labeler}
        self._labels.append({name: [value] for name, value in row.items()})

    # -- what people keep ---------------------------------------------------------------------------------------------

    def save(self, rollout: str, file: str, params: dict[str, Any]) -> Saved:
        """Keep a world: its film and its parameters, each a file of its own. Twice is once."""
        if not (self.store.exists(f"saved/{rollout}.json") and self._is_whole(f"saved/{rollout}.json")):
            text = json.dumps({"rollout": rollout, "film": file, "params": params}, indent=2, sort_keys=True)
            self.store.delete(f"saved/{rollout}.mp4")  # of a save that was cut short
            with contextlib.suppress(KeyTakenError):
                self.store.put(f"saved/{rollout}.mp4", self.film_bytes(file))
                self.store.put(f"saved/{rollout}.json", text.encode())
        return self._saved(f"saved/{rollout}.json")

    def saved(self) -> list[Saved]:
        """All worlds that were kept, by id; a text that is damaged is quarantined."""
        return [self._saved(key) for key in self.store.list("saved/") if key.endswith(".json") and self._is_whole(key)]

    def _is_whole(self, key: str) -> bool:
        if flaw := customs.flaw(key, self.store.get(key)):
            self.quarantine(key, flaw)
        return not flaw

    def _saved(self, key: str) -> Saved:
        note = json.loads(self.store.get(key))
        return Saved(note["rollout"], note["params"])

    def saved_bytes(self, rollout: str, kind: str) -> bytes:
        """The film, "mp4", or the text, "json", of a world that was kept; FileNotFoundError where there is none."""
        return self.store.get(f"saved/{rollout}.{kind}")

    # -- who does what ------------------------------------------------------------------------------------------------

    def paused(self, who: str) -> bool:
        """Whether somebody, such as "rewardor", is to do nothing for now."""
        return self.store.exists(f"paused/{who}")

    def pause(self, who: str) -> None:
        """Ask somebody to do nothing for now: a file, so that it outlives whoever asked."""
        self.store.put(f"paused/{who}", b"")

    def resume(self, who: str) -> None:
        """Ask somebody to go on."""
        self.store.delete(f"paused/{who}")

    def claim(self, role: Role) -> Held:
        """A role, to be held in a `with` block, or until it is released or the process dies.

        Raises:
            ProfileBusyError: Somebody else holds it.
            StoreError: The disk does not take it.
        """
        try:
            held = claim(self.path, role)
        except RoleTakenError as error:
            raise ProfileBusyError(f'profile "{self.name}" runs already: the role "{role}" is held {error}') from None
        if role == "page" and held.orphaned:
            self.event("recovered", "what ran this profile ended without a word; it goes on from its files")
        return held

    def held(self, role: Role) -> bool:
        """Whether a process, this one included, holds a role."""
        return is_held(self.path, role)

    def event(self, kind: str, text: str) -> None:
        """Write down that something happened, such as an "error"; on a full disk it is not worth another one."""
        with contextlib.suppress(StoreError):
            self.record(kind, text)

    def record(self, kind: str, text: str) -> None:
        """Write down for good that something happened; StoreError: it was not saved."""
        self._events.append({"id": [uuid.uuid4().hex], "kind": [kind], "text": [text], "time": [time.time()]})

    def events(self) -> EventTable:
        """What happened, in order."""
        return self._view("happened", self._events.read(), EventTable.of)

    # -- upkeep -------------------------------------------------------------------------------------------------------

    def compact(self, *, grace_s: float = GRACE_S) -> None:
        """Merge small parts where there are many; loses nothing, whoever reads and writes meanwhile.

        What a full disk forbids is left for another time.
        """
        for table in self.tables().values():
            with contextlib.suppress(StoreError):
                table.compact(grace_s=grace_s)

    def tables(self) -> dict[str, Table]:
        """All tables by folder."""
        folders = {key for key in self.store.list("embeddings/") if key.endswith("/")}
        embeddings = {key: self._embedding_folder(key) for key in sorted(folders.union(self.lineage.embeddings()))}
        named = {"labels/": self._labels, "films/": self._films, "rollouts/": self._rollouts}
        return named | {"events/": self._events} | embeddings

    def problems(self) -> list[str]:
        """What is damaged, a line each: the file, and why."""
        notes = [key for key in below(self.store, "quarantine/") if key.endswith(".reason")]
        moved = {key.removeprefix("quarantine/").removesuffix(".reason"): self.store.get(key).decode() for key in notes}
        return [f"{key}: {reason}" for key, reason in sorted((self._unreadable | moved).items())]

    def quarantine(self, key: str, reason: str) -> None:
        """Move a damaged file out of the way, and say why; never fatal."""
        self._unreadable[key] = reason
        with contextlib.suppress(StoreError, OSError):
            self.store.put(f"quarantine/{key}.reason", reason.encode())
            self.store.put(f"quarantine/{key}", self.store.get(key))
            self.store.delete(key)

    def set_aside(self, key: str, error: Exception) -> None:
        """Put a damaged part aside; one that the disk does not give stays."""
        if isinstance(error, DamagedError):
            self.quarantine(key, str(error))
        else:  # the disk may be in a better mood tomorrow
            self._unreadable[key] = str(error)

    def _table(self, folder: str, columns: dict[str, Any]) -> Table:
        return Table(self.store, folder, columns, self.set_aside, functools.partial(self.lineage.rows, folder, columns))

    def _embedding_table(self, embedder: str, version: int) -> Table:
        return self._embedding_folder(f"embeddings/{re.sub(r'[^A-Za-z0-9_]+', '-', embedder)}-{version}/")

    def _embedding_folder(self, folder: str) -> Table:
        if folder not in self._embeddings:
            table = self._table(folder, kinds(EmbeddingTable) | {"id": "text"})
            self._embeddings.setdefault(folder, table)  # another thread may have been faster
        return self._embeddings[folder]

    def _append(self, table: Table, columns: Mapping[str, Any]) -> None:
        try:
            table.append(columns)
        except WidthError as error:
            raise ProfileError(f'profile "{self.name}": {error}; what changed its shape needs a new version') from error

    def _view(self, key: Any, rows: Columns, make: Callable[[Columns], T]) -> T:
        """What was made from a snapshot, until there is another; by one thread for all that ask."""
        with self._viewing:
            made_from, view = self.cache.get(key, (None, None))
            if made_from is not rows:
                view = make(rows)
                self.cache[key] = rows, view
            return view
