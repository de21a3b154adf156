"""Which profiles there are."""

from pipeline.root import Root, place
from pipeline.store import AnyStore, open_store


def listing(root: Root | str, *, archived: bool = False) -> list[str]:
    """The names of all profiles, sorted; those that were archived only if these are asked for.

    Raises:
        StoreError: Nobody can look into the root. A profile that nobody can look into is among the others.
    """
    store = open_store(place(root))
    names = [key for key in store.list("") if key.endswith("/") and _holds(store, f"{key}profile.toml", unknown=True)]
    return sorted(name[:-1] for name in names if archived or not _holds(store, f"{name}archived", unknown=False))


def _holds(store: AnyStore, key: str, *, unknown: bool) -> bool:
    """Whether there is a file; `unknown` where nobody may look."""
    try:
        return store.exists(key)
    except PermissionError:
        return unknown
