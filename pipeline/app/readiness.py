"""Whether somebody who came now could label, and if not, why: for whoever watches over servers."""

import contextlib
import uuid

from pipeline.app.studio import Studio
from pipeline.store import StoreError

STATES = {"starting": "the simulators are starting", "lost": "the simulators are lost, and being started again"}


def obstacles(studio: Studio) -> list[str]:
    """What stands between a person and a saved answer; nothing, if all is well."""
    return [*_of_saving(studio), *_of_pairs(studio)]


def _of_saving(studio: Studio) -> list[str]:
    """Try it: on a full disk, or one that can only be read, all else looks well."""
    store, key = studio.profile.store, f"probe/{uuid.uuid4().hex}"
    try:
        store.put(key, b"could an answer be saved?")
    except StoreError:
        return ["answers cannot be saved"]
    finally:
        with contextlib.suppress(StoreError):
            store.delete(key)
    return []


def _of_pairs(studio: Studio) -> list[str]:
    state = studio.activity().ray
    away = [STATES[state]] if state in STATES else []
    return away if studio.desk.ready else [*away, "there is no pair to show yet"]
