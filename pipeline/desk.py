"""Hands out pairs of films and takes answers.

A pair leaves the desk as a token that is signed with the profile's key and carries all that a label needs. So a vote
survives a restart of the server without any lease on disk, and the same token can never count twice: the label's id is
the token's hash.
"""

import json
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, astuple, dataclass

import numpy as np

from pipeline import signing
from pipeline.agenda import Agenda, Pair
from pipeline.pace import Lag, Limits
from pipeline.profile import Profile
from pipeline.rows import ANSWERS, Vote

LEASE_S = 120.0
"""After this long without a sign of life, a pair that was handed out goes to somebody else."""
HELD = 12
"""Pairs that one person may hold at a time."""
QUEUE_S = 0.5
"""Seconds in which it comes to be somebody's turn to be offered a pair, or they ask again: a server has only so many
threads, and those that wait serve nobody."""
PATIENCE_S = 10.0
"""Seconds after an answer in which a person who has another pair to look at waits for a Rewardor that knows it."""


class DeskError(ValueError):
    """A request that the desk refuses for good: trying again would not help."""


@dataclass(frozen=True)
class Assignment:
    """A pair on its way to a person.

    Attributes:
        token: Names the pair in `Desk.vote`.
        left: File of the film to show left.
        right: File of the film to show right.
    """

    token: str
    left: str
    right: str


@dataclass(frozen=True)
class Receipt:
    """What became of an answer.

    Attributes:
        saved: Whether it is on disk, since now or since an earlier try.
        duplicate: Whether this very token was answered before; the first answer stands.
        id: The label's id; "" if there was nothing to undo.
        votes: Labels of the profile that count now.
        again: After an undo, the same pair to answer anew.
    """

    saved: bool
    duplicate: bool
    id: str
    votes: int
    again: Assignment | None = None


@dataclass(frozen=True)
class _Ticket:
    """What a token says: the pair as shown, to whom, and how it came about."""

    pair: Pair
    left_source: str
    right_source: str
    labeler: str
    nonce: str

    def pack(self) -> str:
        return json.dumps([*astuple(self.pair), self.left_source, self.right_source, self.labeler, self.nonce])

    @classmethod
    def unpack(cls, text: str) -> "_Ticket":
        *pair, left_source, right_source, labeler, nonce = json.loads(text)
        return cls(Pair(*pair), left_source, right_source, labeler, nonce)


@dataclass
class _Lease:
    ticket: _Ticket
    until: float


class Desk:
    """Pairs out, answers in. Safe for threads; never waits for training or simulation.

    Args:
        profile: Whose worlds are compared.
        question: What people are asked; stored with each label.
    """

    def __init__(self, profile: Profile, question: str = "interesting") -> None:
        self.question = question
        self._profile = profile
        self._agenda = Agenda(profile)
        self._leases: dict[str, _Lease] = {}
        self._latest: dict[str, tuple[float, int]] = {}  # of each labeler: when, and how many labels there were then
        self._lock = threading.Lock()
        self._offering = threading.Lock()
        self._lag = Lag()
        self._committer = Committer(profile.add_votes)
        self._limits = Limits()

    # -- for people ---------------------------------------------------------------------------------------------------

    def offer(self, labeler: str, n: int, have: Sequence[str] = ()) -> list[Assignment]:
        """Up to `n` more pairs to show to a person; fewer, or none, where films are still made or many ask at once.

        Chosen now, by the newest Rewardor. Whoever has just answered and still has a pair that waits gets none until
        the Rewardor has learned that answer, so that the pair after the next can make use of it.

        Args:
            labeler: Who asks.
            n: How many more.
            have: Tokens that this person's page holds unanswered: they stay reserved.

        Raises:
            TooFastError: This person asks too often.
        """
        self._limits.spend(labeler, "offer")
        with self._lock:
            self._renew(labeler, have)
            self._take_back([token for token, lease in self._leases.items() if lease.until < time.monotonic()])
            mine = [token for token, lease in self._leases.items() if lease.ticket.labeler == labeler]
            forgotten = [token for token in mine if token not in have]  # by a page that was closed, most likely
            self._take_back(forgotten[: max(0, len(mine) + n - HELD)])
            if len(have) > 1 and self._is_being_learned(labeler):
                return []
        if not self._offering.acquire(timeout=QUEUE_S):
            return []
        try:  # one at a time, without keeping those who answer waiting
            with self._lock:
                held = self._held()
                others = len({lease.ticket.labeler for lease in self._leases.values()} - {labeler})
            pairs = self._agenda.take(min(n, HELD - len(have)), held, others)
            with self._lock:
                return [self._hand_out(pair, labeler) for pair in pairs]
        finally:
            self._offering.release()

    def pause(self, labeler: str) -> float:
        """Seconds until it is worth a person's while to ask again: until their last answer will have been learned."""
        when, _ = self._latest.get(labeler, (-math.inf, 0))
        return max(0.0, when + self._lag.seconds - time.monotonic()) if self._is_being_learned(labeler) else 0.0

    def vote(self, token: str, answer: str, labeler: str, response_ms: int, replays: int) -> Receipt:
        """Store an answer; it is durable when this returns.

        Args:
            token: Of the pair that was shown.
            answer: One of `rows.ANSWERS`.
            labeler: Who answers: the person to whom the pair was handed.
            response_ms: Time from the first frame to the answer.
            replays: How often the films were started again on purpose.

        Raises:
            DeskError: The token is not this profile's or not this person's, or there is no such answer.
            TooFastError: This person answers faster than anyone can look.
            StoreError: The disk does not take it; try again later.
        """
        ticket = self._read(token, labeler)
        if answer not in ANSWERS:
            raise DeskError(f"answer {answer!r} is none of {', '.join(ANSWERS)}")
        self._limits.spend(labeler, "vote")
        vote = self._as_vote(ticket, token, answer, response_ms, replays)
        duplicate = self._committer.commit(vote)
        votes = self.votes
        with self._lock:
            self._leases.pop(token, None)
            self._latest[labeler] = (time.monotonic(), votes)
        self._lag.given(votes)
        return Receipt(saved=True, duplicate=duplicate, id=vote.id, votes=votes)

    def undo(self, labeler: str) -> Receipt:
        """Take back a person's latest answer that counts, and hand out its pair again.

        Raises:
            TooFastError: This person undoes too often.
            StoreError: The disk does not take it: the answer still counts.
        """
        self._limits.spend(labeler, "vote")
        with self._offering:  # nobody else may be offered this pair, which nobody holds for a moment; nor undo it again
            labels = self._profile.labels()
            mine = np.flatnonzero(labels.labeler == labeler)
            if not len(mine):
                return Receipt(saved=False, duplicate=False, id="", votes=self.votes)
            last, id_ = mine[-1], str(labels.id[mine[-1]])
            pair = Pair(
                str(labels.left[last]),
                str(labels.right[last]),
                str(labels.how[last]),
                float(labels.probability[last]),
                int(labels.rewardor[last]),
                int(labels.generator[last]),
            )
            self._profile.undo(id_, labeler)
            with self._lock:
                again = self._hand_out(pair, labeler)
        return Receipt(saved=True, duplicate=False, id=id_, votes=self.votes, again=again)

    @property
    def votes(self) -> int:
        """Labels of the profile that count."""
        return len(self._profile.labels().id)

    # -- for whoever makes films --------------------------------------------------------------------------------------

    @property
    def ready(self) -> int:
        """Pairs that could be shown now."""
        return self._agenda.ready()

    def wanted(self) -> list[str]:
        """Ids of worlds whose films should be made now, most urgent first. May take a moment: it plans pairs."""
        with self._lock:
            held = self._held()
        self._lag.learned(self._agenda.known)
        self._agenda.refresh(held)
        return self._agenda.wanted()

    def wake(self) -> None:
        """Look at the films: some are new."""
        self._agenda.look()

    def drop(self, worlds: Iterable[str]) -> None:
        """Never ask again for films of these worlds: there can be none."""
        self._agenda.drop(worlds)

    # -- leases -------------------------------------------------------------------------------------------------------

    def _held(self) -> set[frozenset[str]]:
        return {lease.ticket.pair.key for lease in self._leases.values()}

    def _is_being_learned(self, labeler: str) -> bool:
        """Whether a person's last answer is news to the Rewardor, and will not be in a moment."""
        when, labels = self._latest.get(labeler, (-math.inf, 0))
        return time.monotonic() < when + PATIENCE_S and not self._agenda.knows(labels)

    def _hand_out(self, pair: Pair, labeler: str) -> Assignment:
        left, right = self._agenda.film(pair.left), self._agenda.film(pair.right)
        ticket = _Ticket(pair, left.source, right.source, labeler, secrets.token_hex(8))
        token = signing.sign(self._profile.key, "pair", ticket.pack())
        self._leases[token] = _Lease(ticket, time.monotonic() + LEASE_S)
        return Assignment(token, left.file, right.file)

    def _renew(self, labeler: str, tokens: Sequence[str]) -> None:
        """Keep what a page still holds, also after a restart that forgot all leases."""
        for token in tokens[:HELD]:
            try:
                ticket = self._read(token, labeler)
            except DeskError:  # of another profile; its vote will be refused, its page will learn
                continue
            self._leases[token] = _Lease(ticket, time.monotonic() + LEASE_S)

    def _take_back(self, tokens: Sequence[str]) -> None:
        self._agenda.put_back([self._leases.pop(token).ticket.pair for token in tokens])

    def _read(self, token: str, labeler: str) -> _Ticket:
        text = signing.verify(self._profile.key, "pair", token)
        if text is None:
            raise DeskError("this pair is not of this profile")
        ticket = _Ticket.unpack(text)
        if ticket.labeler != labeler:
            raise DeskError("this pair was handed to somebody else")
        return ticket

    def _as_vote(self, ticket: _Ticket, token: str, answer: str, response_ms: int, replays: int) -> Vote:
        return Vote(
            id=signing.fingerprint(token),
            question=self.question,
            left_source=ticket.left_source,
            right_source=ticket.right_source,
            answer=answer,
            labeler=ticket.labeler,
            response_ms=response_ms,
            replays=replays,
            **asdict(ticket.pair),
        )


class Committer:
    """Votes that arrive together are made durable together.

    One disk write takes some ten milliseconds whatever its size. Whoever finds the writer busy leaves the vote in the
    queue, and the next one in takes all of them along.

    Args:
        write: Makes votes durable; says for each whether it was there before.
    """

    def __init__(self, write: Callable[[list[Vote]], list[bool]]) -> None:
        self._write = write
        self._queue: list[tuple[Vote, Future[bool]]] = []
        self._queueing = threading.Lock()
        self._writing = threading.Lock()

    def commit(self, vote: Vote) -> bool:
        """Whether the vote was there before; it is durable when this returns.

        Raises:
            StoreError: The disk does not take it.
        """
        future: Future[bool] = Future()
        with self._queueing:
            self._queue.append((vote, future))
        with self._writing:
            if not future.done():
                self._flush()
        return future.result()

    def _flush(self) -> None:
        with self._queueing:
            batch, self._queue = self._queue, []
        try:
            known = self._write([vote for vote, _ in batch])
        except Exception as error:  # whatever it is, it is the answer to everyone who waits
            for _, future in batch:
                future.set_exception(error)
        else:
            for (_, future), duplicate in zip(batch, known, strict=True):
                future.set_result(duplicate)
