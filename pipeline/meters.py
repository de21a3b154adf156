"""The state of a running profile as Ray metrics: `ray_alife_votes{profile="…"}` and its like, at each node's exporter.

All are read from the files, so a restart neither resets nor doubles anything.
"""

from collections import Counter
from functools import cache

from ray.util.metrics import Gauge

from pipeline import checkpoint, loop
from pipeline.desk import Desk
from pipeline.profile import Profile


def show(profile: Profile, desk: Desk) -> None:
    """Set all metrics of a profile.

    Args:
        profile: Whose state.
        desk: Where its people get their pairs.
    """
    for name, value in _numbers(profile, desk).items():
        _gauge(name).set(value, {"profile": profile.name})
    for status, count in Counter(profile.rollouts().status.tolist()).items():
        _gauge("worlds", "status").set(count, {"profile": profile.name, "status": status})


def _numbers(profile: Profile, desk: Desk) -> dict[str, float]:
    newest = {role: loop.newest(profile, role) for role in checkpoint.ROLES}
    rewardor, votes = newest["rewardor"], desk.votes
    return {
        "votes": votes,
        "votes_not_learned": max(0, votes - (rewardor.snapshot["labels"] if rewardor else 0)),  # some may be undone
        "pairs_ready": desk.ready,
        "films": len(profile.films().file),
        "damaged_files": len(profile.problems()),
        **{f"{role}_version": made.number if made else 0 for role, made in newest.items()},
    }


@cache
def _gauge(name: str, *tags: str) -> Gauge:
    return Gauge(f"alife_{name}", description=f"{name.replace('_', ' ')} of a profile", tag_keys=("profile", *tags))
