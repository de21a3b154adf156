"""Versions of the two models. A version is its weights, then a manifest, written last: no manifest, no version.

The manifests are also the history: the curves on the page, which labels a model knew, what it was made of. They stay
for ever; weights stay for the newest versions and some milestones.
"""

import contextlib
import hashlib
import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pipeline.profile import Profile
from pipeline.store import KeyTakenError

if TYPE_CHECKING:
    from torch import Tensor

Role: TypeAlias = Literal["rewardor", "generator"]
ROLES: tuple[Role, ...] = ("rewardor", "generator")
_WEIGHTS = re.compile(r"\d{6}-[0-9a-f]{16}\.safetensors")
KEEP_NEWEST = 3
KEEP_EVERY = 10


class CheckpointError(Exception):
    """Raised when weights are not finite, not there any more, or damaged."""


class FlawError(ValueError):
    """Raised when a file of a version is not what `commit` wrote.

    Attributes:
        key: Which file.
        why: What is wrong with it.
    """

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key, self.why = key, why


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is known of a version.

    Attributes:
        number: From 1.
        time: Seconds since 1970.
        metrics: Numbers worth plotting; NaN where one was not finite.
        snapshot: What it was made from.
        weights: Key of the weights.
        sha256: Of the weights.
        more: Whatever else was handed to `commit`.
    """

    number: int
    time: float
    metrics: dict[str, float]
    snapshot: dict[str, Any]
    weights: str
    sha256: str
    more: dict[str, Any] = field(default_factory=dict)


def commit(profile: Profile, role: Role, tensors: Mapping[str, "Tensor"], manifest: Mapping[str, Any]) -> int:
    """Save a version for good; returns its number.

    Args:
        profile: Where.
        role: Of which model.
        tensors: Its state.
        manifest: Its `metrics`, its `snapshot`, and whatever else can be written as JSON.

    Raises:
        CheckpointError: A weight is not finite.
        StoreError: It could not be saved.
    """
    _refuse_non_finite(tensors)
    data = pack(tensors)
    number = last_number(profile, role) + 1
    while not _commit_as(profile, role, number, data, dict(manifest)):
        number += 1  # another process was faster
    _forget_weights(profile, role, number)
    return number


def pack(tensors: Mapping[str, "Tensor"]) -> bytes:
    """Tensors as bytes, without pickle."""
    import safetensors.torch

    return safetensors.torch.save(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    )


def unpack(data: bytes) -> dict[str, "Tensor"]:
    """The inverse of `pack`."""
    import safetensors.torch

    return safetensors.torch.load(data)


def newest(profile: Profile, role: Role) -> Manifest | None:
    """The newest version whose weights are intact, None if there is none. Damaged ones are quarantined."""
    for key in reversed(profile.store.list(f"{role}/")):
        manifest = _manifest(profile, key) if key.endswith(".json") else None
        if manifest and _intact(profile, role, manifest):
            return manifest
    return None


def manifests(profile: Profile, role: Role) -> list[Manifest]:
    """All versions, the oldest first, whether or not their weights were kept."""
    keys = [key for key in profile.store.list(f"{role}/") if key.endswith(".json")]
    found = [_manifest(profile, key) for key in keys]
    return [manifest for manifest in found if manifest is not None]


def weights(profile: Profile, role: Role, number: int) -> dict[str, "Tensor"]:
    """The state of a version, exactly as it was committed.

    Raises:
        CheckpointError: There is no such version, its weights were not kept, or they are damaged.
    """
    manifest = _manifest(profile, _key(role, number))
    if manifest is None:
        raise CheckpointError(f"{role} has no version {number}")
    try:
        data = profile.store.get(manifest.weights)
    except FileNotFoundError:
        raise CheckpointError(f"the weights of {role} version {number} were not kept") from None
    if hashlib.sha256(data).hexdigest() != manifest.sha256:
        _discard(profile, role, manifest)
        raise CheckpointError(f"the weights of {role} version {number} are damaged")
    return unpack(data)


def files(profile: Profile, role: Role, manifest: Manifest) -> Iterator[tuple[str, bytes]]:
    """The keys and bytes of a version: its manifest, and its weights if they were kept and are intact."""
    key = _key(role, manifest.number)
    yield key, profile.store.get(key)
    with contextlib.suppress(FileNotFoundError):
        data = profile.store.get(manifest.weights)
        if hashlib.sha256(data).hexdigest() == manifest.sha256:
            yield manifest.weights, data


def check(profile: Profile, role: Role) -> None:
    """Look at all versions without taking their word for anything.

    Raises:
        FlawError: A file is not what `commit` wrote.
    """
    keys = profile.store.list(f"{role}/")
    known = {check_version(profile, role, key) for key in keys if key.endswith(".json")}
    unknown = [key for key in keys if key.endswith(".safetensors") and key not in known]
    if unknown:
        raise FlawError(unknown[0], "no manifest names it")


def check_version(profile: Profile, role: Role, key: str) -> str:
    """Look at the version that a manifest describes; returns the key of its weights, which may not have been kept.

    Raises:
        FlawError: It is not what `commit` wrote.
    """
    import safetensors

    try:
        manifest = _parse(profile.store.get(key))
        weights = _weights_key(role, _number(key), manifest.sha256)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FlawError(key, f"it is not a manifest: {error}") from error
    if (manifest.number, manifest.weights) != (_number(key), weights) or not isinstance(manifest.snapshot, dict):
        raise FlawError(key, "it is the manifest of another version")
    numbers = [manifest.time, *manifest.metrics.values()]
    if not all(isinstance(number, float) for number in numbers) or not math.isfinite(manifest.time):
        raise FlawError(key, "its time or its metrics are no numbers")
    if not _is_of_people(manifest.more.get("expected", {}), manifest.more.get("labelers", [])):
        raise FlawError(key, "what it says of answers or labelers is not what a fit writes")
    with contextlib.suppress(FileNotFoundError):
        data = profile.store.get(weights)
        if hashlib.sha256(data).hexdigest() != manifest.sha256:
            raise FlawError(weights, "its bytes do not match the hash in its manifest")
        try:
            safetensors.deserialize(data)
        except safetensors.SafetensorError as error:
            raise FlawError(weights, str(error)) from error
    return weights


def _is_of_people(expected: object, labelers: object) -> bool:
    """Whether these are chances by answer, and names: what the page reads of a Rewardor's manifest."""
    named = isinstance(labelers, list) and all(isinstance(name, str) for name in labelers)
    chances = list(expected.values()) if isinstance(expected, dict) else [None]
    return named and all(isinstance(chance, float) and 0 <= chance <= 1 for chance in chances)


def _refuse_non_finite(tensors: Mapping[str, "Tensor"]) -> None:
    bad = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if bad:
        raise CheckpointError(f"not committed, these weights are not finite: {', '.join(bad)}")


def _key(role: Role, number: int) -> str:
    return f"{role}/{number:06d}.json"


def _weights_key(role: Role, number: int, sha256: str) -> str:
    return f"{role}/{number:06d}-{sha256[:16]}.safetensors"


def _number(key: str) -> int:
    """The version that a file belongs to."""
    return int(key.rpartition("/")[2][:6])


def last_number(profile: Profile, role: Role) -> int:
    """The last number that was used, be it by a version that was quarantined or by an ancestor: rows may name it."""
    keys = profile.store.list(f"{role}/") + profile.store.list(f"quarantine/{role}/")
    ours = [key for key in keys if key.rpartition("/")[2][:6].isdecimal()]  # not what somebody else left there
    return max([profile.lineage.last(role), *map(_number, ours)])


def _commit_as(profile: Profile, role: Role, number: int, data: bytes, manifest: dict[str, Any]) -> bool:
    """Save a version under a number; False if that is taken."""
    sha256 = hashlib.sha256(data).hexdigest()
    made = Manifest(
        number=number,
        time=time.time(),
        metrics={name: float(value) for name, value in manifest.pop("metrics", {}).items()},
        snapshot=manifest.pop("snapshot", {}),
        weights=_weights_key(role, number, sha256),
        sha256=sha256,
        more=manifest,
    )
    try:
        profile.store.put(made.weights, data)
        profile.store.put(_key(role, number), _dump(made))
    except KeyTakenError:
        return False
    return True


def _dump(manifest: Manifest) -> bytes:
    fields = asdict(manifest)
    # JSON has no NaN.
    fields["metrics"] = {name: value if math.isfinite(value) else None for name, value in manifest.metrics.items()}
    text = json.dumps(fields, sort_keys=True, allow_nan=False)
    return json.dumps({"manifest": fields, "blake2b": _hash(text)}, sort_keys=True, indent=1).encode()


def _parse(data: bytes) -> Manifest:
    """The inverse of `_dump`.

    Raises:
        ValueError: These are not the bytes that it wrote.
    """
    document = json.loads(data)
    fields = document["manifest"]
    if _hash(json.dumps(fields, sort_keys=True)) != document["blake2b"]:
        raise ValueError("its text does not match its hash")
    fields["metrics"] = {name: math.nan if value is None else value for name, value in fields["metrics"].items()}
    return Manifest(**fields)


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _manifest(profile: Profile, key: str) -> Manifest | None:
    """A manifest, read once; None if there is none or it is damaged."""
    if key not in profile.cache:
        try:
            profile.cache[key] = _parse(profile.store.get(key))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            profile.quarantine(key, f"it is not a manifest: {error}")
            return None
    return profile.cache[key]


def _intact(profile: Profile, role: Role, manifest: Manifest) -> bool:
    """Whether the weights are those that were committed; looked at once."""
    if ("intact", manifest.weights) not in profile.cache:
        try:
            weights(profile, role, manifest.number)
        except CheckpointError:
            return False
        profile.cache["intact", manifest.weights] = True
    return True


def _discard(profile: Profile, role: Role, manifest: Manifest) -> None:
    """Quarantine a version whose weights are damaged, the manifest first: without it, there is no version."""
    profile.quarantine(_key(role, manifest.number), "its weights are damaged")
    profile.quarantine(manifest.weights, "its bytes do not match the hash in its manifest")


def _forget_weights(profile: Profile, role: Role, number: int) -> None:
    """Delete the weights of versions that are neither new nor milestones, and what killed commits left behind."""
    profile.store.sweep(f"{role}/")
    keys = [key for key in profile.store.list(f"{role}/") if _WEIGHTS.fullmatch(key.rpartition("/")[2])]
    for key in keys:
        if not is_kept(_number(key), number):
            profile.store.delete(key)


def is_kept(number: int, last: int) -> bool:
    """Whether the weights of a version stay, once `last` is the last one."""
    return number > last - KEEP_NEWEST or number % KEEP_EVERY == 0
