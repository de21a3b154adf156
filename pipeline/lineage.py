"""Where a fork comes from: the profiles that it reads, each up to the moment of the fork, and never writes to.

Rows and versions are numbered, numbers only grow, and merging parts keeps them. So one number per table is a snapshot
that no later write changes, and a fork is one file.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

from pipeline import parts, signing
from pipeline.config import Parent
from pipeline.parts import NAME, Columns, DamagedError, Kind
from pipeline.root import Root
from pipeline.store import AnyStore, open_store
from pipeline.tables import Table

TABLES = ("labels/", "films/", "rollouts/")
"""What a fork reads besides embeddings, in the order in which it is looked at: whatever is named comes later."""


class Lineage:
    """The ancestors of a profile.

    Args:
        root: Where all profiles are.
        parents: Which, the oldest first.
        note: Told what is damaged, as the name of a file and why: an ancestor is not ours to mend.
    """

    def __init__(self, root: Root, parents: Sequence[Parent], note: Callable[[str, str], None]) -> None:
        self._root, self._note = root, note
        self._parents = [(parent, open_store(root / parent.name)) for parent in parents]

    def trouble(self) -> str:
        """Why an ancestor cannot be read; "" if all can."""
        for parent, store in self._parents:
            if not store.exists("profile.toml"):
                return f'it was forked from "{parent.name}", which is not in {self._root} any more; please put it back'
            if parent.mark and mark(store) not in ("", parent.mark):
                return f'it was forked from "{parent.name}", and {self._root / parent.name} is another profile by now'
        return ""

    @property
    def stores(self) -> list[AnyStore]:
        """What the ancestors' files lie in."""
        return [store for _, store in self._parents]

    def embeddings(self) -> list[str]:
        """The folders of embeddings that ancestors have."""
        return sorted({key for parent, _ in self._parents for key in parent.upto if key.startswith("embeddings/")})

    def last(self, role: str) -> int:
        """The last version of a model that was made before the fork, 0 if there was none."""
        return max((parent.upto.get(role, 0) for parent, _ in self._parents), default=0)

    def rows(self, folder: str, columns: Mapping[str, Kind]) -> list[Columns]:
        """The rows of a table that ancestors had, one item per ancestor."""
        found = [(table.read(), last) for table, last in self._tables(folder, columns)]
        return [{name: values[rows["sequence"] <= last] for name, values in rows.items()} for rows, last in found]

    def files(self, folder: str) -> dict[str, bytes]:
        """Parts with these very rows."""
        kept: dict[str, bytes] = {}
        for table, last in self._tables(folder, {"id": "text"}):
            for name, data in table.files().items():
                try:
                    part = parts.until(name, data, last)
                except DamagedError:  # noted when its rows were read
                    continue
                kept |= [part] if part else []
        return kept

    def _tables(self, folder: str, columns: Mapping[str, Kind]) -> Iterator[tuple[Table, int]]:
        for parent, store in self._parents:
            last = parent.upto.get(folder, -1)
            if last >= 0:
                yield Table(store, folder, columns, functools.partial(self._damaged, parent.name)), last

    def _damaged(self, parent: str, key: str, error: Exception) -> None:
        self._note(f"{parent}/{key}", str(error))


def snapshot(store: AnyStore) -> dict[str, int]:
    """The last row of each table of a profile as it is now, -1 where there is none. Reads names alone.

    Of two processes that write to one table at this very moment, the slower may still add rows with these numbers.
    """
    upto = {folder: _last(store, folder) for folder in TABLES}
    embeddings = [key for key in store.list("embeddings/") if key.endswith("/")]
    return upto | {folder: _last(store, folder) for folder in embeddings}


def _last(store: AnyStore, folder: str) -> int:
    keys: list[str] = []
    while (now := store.list(folder)) != keys:  # while others merge, one look may miss a part, two alike cannot
        keys = now
    names = (key.rpartition("/")[2] for key in keys)
    return max((int(name[13:25]) for name in names if NAME.fullmatch(name)), default=-1)


def mark(store: AnyStore) -> str:
    """What tells a profile from all others, "" if it has lost its key; says nothing about the key."""
    return signing.fingerprint(f"mark {store.get('secret.key').hex()}") if store.exists("secret.key") else ""
