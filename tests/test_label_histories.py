"""Random histories of a profile's labels, beside a dictionary that remembers what should be true."""

import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pipeline.config import Config
from pipeline.profile import Profile
from pipeline.rows import ANSWERS, Vote
from pipeline.store import StoreError

IDS = st.sampled_from("abcdefgh")


class Histories(RuleBasedStateMachine):
    """Two processes label one profile, undo, merge, crash, meet full disks and start again."""

    def __init__(self) -> None:
        super().__init__()
        self.synced = patch("os.fsync", lambda _: None)  # power stays on here
        self.synced.start()
        self.root = Path(tempfile.mkdtemp())
        self.processes = [Profile.create(self.root, "p", Config()), Profile.open(self.root, "p")]
        self.votes: dict[str, str] = {}
        self.undone: set[str] = set()

    @rule(who=st.booleans(), votes=st.lists(st.tuples(IDS, st.sampled_from(ANSWERS)), min_size=1, max_size=3))
    def vote(self, who: bool, votes: list[tuple[str, str]]) -> None:
        known = []
        for id_, answer in votes:
            known.append(id_ in self.votes)
            self.votes.setdefault(id_, answer)
        made = [Vote(id=id_, left="x", right="y", answer=answer, labeler="me") for id_, answer in votes]
        assert self.processes[who].add_votes(made) == known

    @rule(who=st.booleans(), id_=IDS)
    def vote_on_a_full_disk(self, who: bool, id_: str) -> None:
        with patch("os.write", side_effect=OSError(28, "No space left on device")):
            try:
                known = self.processes[who].add_votes([Vote(id=id_, left="x", right="y", answer="tie", labeler="me")])
            except StoreError:
                assert id_ not in self.votes
            else:
                assert known == [id_ in self.votes] == [True]

    @precondition(lambda self: self.votes)
    @rule(who=st.booleans(), data=st.data())
    def undo(self, who: bool, data: st.DataObject) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.votes)))
        self.processes[who].undo(id_, "me")
        self.undone.add(id_)

    @rule(who=st.booleans(), grace_s=st.sampled_from([0.0, 60.0]))
    def merge(self, who: bool, grace_s: float) -> None:
        self.processes[who]._labels.compact(grace_s=grace_s, above=2)

    @rule(who=st.booleans())
    def crash_and_start_again(self, who: bool) -> None:
        (self.root / "p" / "labels").mkdir(exist_ok=True)
        (self.root / "p" / "labels" / ".tmp-half-a-part").write_bytes(b"PAR1")
        self.processes[who] = Profile.open(self.root, "p")

    @invariant()
    def everybody_sees_what_is_true(self) -> None:
        for process in self.processes:
            labels = process.labels()
            expected = {id_: answer for id_, answer in self.votes.items() if id_ not in self.undone}
            assert list(zip(labels.id.tolist(), labels.answer.tolist(), strict=True)) == list(expected.items())
            assert not process.problems()

    def teardown(self) -> None:
        self.synced.stop()
        shutil.rmtree(self.root)


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
