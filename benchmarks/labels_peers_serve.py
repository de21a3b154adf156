"""The peers' side of labels_peers.py, run by an interpreter that has them: python labels_peers_serve.py NAME.

Reads a request per line of JSON, a method's name under `do` beside its arguments, and answers each with a line: its
result and the CPU seconds that it took. All peers keep the defaults of their libraries where nothing else is said.
"""

import copy
import json
import sys
import time

import numpy as np
import torch

CANDIDATES, PAIRS = 80, 1000
"""Worlds that EUBO chooses among, half of them the best by posterior mean, and random pairs of these."""


class PairwiseGP:
    """BoTorch's preference Gaussian process [1] and its analytic EUBO [2].

    [1] W. Chu, Z. Ghahramani. Preference learning with Gaussian processes, 2005.
    [2] Z. J. Lin et al. Preference exploration for efficient Bayesian optimization with multiple outcomes, 2022.
    """

    def __init__(self):
        self.model = None

    def fit(self, points, pairs):
        """Learn hyperparameters from points (n, d) and pairs (m, 2) of rows, winners first."""
        from botorch.fit import fit_gpytorch_mll
        from botorch.models.pairwise_gp import PairwiseGP as Model
        from botorch.models.pairwise_gp import PairwiseLaplaceMarginalLogLikelihood
        from botorch.models.transforms import Normalize

        points = torch.tensor(points, dtype=torch.float64)
        transform = Normalize(points.shape[1])
        self.model = Model(points, torch.tensor(pairs), input_transform=transform)
        fit_gpytorch_mll(PairwiseLaplaceMarginalLogLikelihood(self.model.likelihood, self.model))

    def update(self, points, pairs):
        """Learn from other data with the same hyperparameters."""
        from botorch.models.pairwise_gp import PairwiseGP as Model

        settings = {"covar_module": self.model.covar_module, "likelihood": self.model.likelihood}
        transform = self.model.input_transform.eval()
        points = torch.tensor(points, dtype=torch.float64)
        self.model = Model(points, torch.tensor(pairs), input_transform=transform, **settings).eval()

    def mean(self, points):
        """Posterior means of (n, d)."""
        with torch.no_grad():
            return torch.cat([self._posterior(part).mean for part in self._tensor(points).split(2000)]).flatten()

    def draws(self, points, n, seed):
        """Thompson: the best of the points (B, d) for each of n draws of the posterior."""
        torch.manual_seed(seed)
        with torch.no_grad():
            return self._posterior(self._tensor(points)).rsample(torch.Size([n])).squeeze(-1).argmax(1)

    def choose(self, points, asked, seed):
        """Rows of the pair of points (B, d) with the highest EUBO, among random pairs of candidates not yet asked."""
        from botorch.acquisition.preference import AnalyticExpectedUtilityOfBestOption

        draw, points = np.random.default_rng(seed), self._tensor(points)
        best = self.mean(points).argsort(descending=True)[: CANDIDATES // 2].numpy()
        others = np.setdiff1d(np.arange(len(points)), best)
        rows = np.concatenate([best, draw.choice(others, min(len(others), CANDIDATES // 2), replace=False)])
        pairs = np.stack(np.triu_indices(len(rows), 1), 1)
        pairs = np.sort(rows[pairs[draw.permutation(len(pairs))[:PAIRS]]], 1)
        known = {tuple(sorted(pair)) for pair in asked}
        pairs = np.array([pair for pair in pairs.tolist() if tuple(pair) not in known])
        with torch.no_grad():
            eubo = AnalyticExpectedUtilityOfBestOption(pref_model=self.model)
            value = torch.cat([eubo(points[part]) for part in torch.tensor(pairs).split(50)])
        return draw.permutation(pairs[int(value.argmax())])

    def _tensor(self, points):
        return torch.as_tensor(points, dtype=torch.float64)

    def _posterior(self, points):
        return self.model.eval().posterior(points)


class CmaEs:
    """The evolution strategy inside pyribs [1], on the unit cube.

    [1] N. Hansen. The CMA evolution strategy: a tutorial, 2016.
    """

    def start(self, best, sigma, batch, seed):
        """Begin at parameters (D,)."""
        from ribs.emitters.opt import CMAEvolutionStrategy

        D = len(best)
        self.strategy = CMAEvolutionStrategy(
            sigma0=sigma, solution_dim=D, batch_size=batch, seed=seed, dtype=np.float64, lower_bounds=0, upper_bounds=1
        )
        self.strategy.reset(np.array(best))

    def ask(self):
        """A generation (batch, D)."""
        return self.strategy.ask()

    def tell(self, score):
        """What the last generation is worth (batch,)."""
        score = np.array(score)
        order = np.argsort(-score, kind="stable")
        self.strategy.tell(order, score[:, None], len(order) // 2)

    def distribution(self):
        """The mean (D,) and the covariance (D, D) of the next generation."""
        now = self.strategy
        return {"mean": now.mean, "covariance": now.sigma**2 * now.cov.cov}


class MapElites:
    """pyribs' grid archive with its variation operator along lines between elites [1].

    [1] V. Vassiliades, J.-B. Mouret. Discovering the elite hypervolume by leveraging interspecies correlation, 2018.
    """

    SIDE = 12

    def tell(self, unit, score, measures, low, high):
        """Fill a new archive with parameters (B, D), their scores (B,) and measures (B, 2) between low and high."""
        from ribs.archives import GridArchive

        unit = np.array(unit)
        ranges = list(zip(low, high, strict=True))
        self.archive = GridArchive(solution_dim=unit.shape[1], dims=[self.SIDE, self.SIDE], ranges=ranges, seed=0)
        self.archive.add(unit, np.array(score), np.array(measures))

    def ask(self, n, seed):
        """Variations (n, D) of elites."""
        from ribs.emitters import IsoLineEmitter

        D = self.archive.solution_dim
        emitter = IsoLineEmitter(self.archive, x0=np.full(D, 0.5), bounds=[(0, 1)] * D, batch_size=n, seed=seed)
        return emitter.ask()

    def elites(self):
        """All elites (E, D) with their scores (E,)."""
        found = self.archive.data(["solution", "objective"])
        return {"unit": found["solution"], "score": found["objective"]}


class Imitation:
    """imitation's ensemble of reward networks, with its loss, its trainer and its active choice of pairs [1].

    A world is a trajectory of one step, and what was observed are its features. Networks go on learning in later fits.

    [1] A. Gleave et al. imitation: clean imitation learning implementations, 2022; the named configuration
        `reward_ensemble`: the mean of five, each of two hidden layers, with normalised rewards.
    """

    MEMBERS, EPOCHS = 5, 10

    def __init__(self):
        self.trainer = None

    def fit(self, points, pairs, chance, reference, seed):
        """Learn from points (n, d), pairs (m, 2) of rows, and the chance (m,) of preferring the first of each.

        Rewards of each network are normalised on the reference (B, d).
        """
        from imitation.algorithms.preference_comparisons import PreferenceDataset

        if self.trainer is None:
            self._begin(len(points[0]), seed)
        worlds = [self._world(point) for point in points]
        dataset = PreferenceDataset()
        dataset.push([(worlds[a], worlds[b]) for a, b in pairs], np.array(chance, np.float32))
        torch.manual_seed(seed)
        self.trainer.train(dataset)
        for member in self.net.members:
            member.normalize_output_layer.reset_running_stats()
            member.predict_processed(*self._steps(reference))

    def mean(self, points):
        """Mean rewards (B,) of points (B, d)."""
        return self.net.predict_processed(*self._steps(points), update_stats=False)

    def choose(self, points, n, seed):
        """Rows of `n` random pairs of points (B, d), those with the largest variance of logits over networks first."""
        from imitation.algorithms.preference_comparisons import ActiveSelectionFragmenter, RandomFragmenter

        draw = RandomFragmenter(np.random.default_rng(seed), warning_threshold=0, custom_logger=self.logger)
        model = copy.deepcopy(self.preference)  # asking it for rewards changes how it normalises them
        order = ActiveSelectionFragmenter(model, draw, fragment_sample_factor=1, custom_logger=self.logger)
        worlds = [self._world(point, row) for row, point in enumerate(points)]
        return [[world.infos[0]["row"] for world in pair] for pair in order(worlds, 1, n)]

    def _begin(self, d, seed):
        from gymnasium.spaces import Box
        from imitation.algorithms import preference_comparisons as theirs
        from imitation.rewards.reward_nets import BasicRewardNet, NormalizedRewardNet, RewardEnsemble
        from imitation.util.logger import configure
        from imitation.util.networks import RunningNorm

        torch.manual_seed(seed)
        spaces = Box(-np.inf, np.inf, (d,)), Box(0, 1, (1,))
        members = [
            NormalizedRewardNet(BasicRewardNet(*spaces, use_action=False), RunningNorm) for _ in range(self.MEMBERS)
        ]
        self.logger = configure(format_strs=[])
        self.net = RewardEnsemble(*spaces, members)
        self.preference = theirs.PreferenceModel(self.net)
        more = {"rng": np.random.default_rng(seed), "epochs": self.EPOCHS, "custom_logger": self.logger}
        self.trainer = theirs.EnsembleTrainer(self.preference, theirs.CrossEntropyRewardLoss(), **more)

    def _world(self, point, row=0):
        from imitation.data.types import TrajectoryWithRew

        seen, still = np.array([point, point], np.float32), np.zeros((1, 1), np.float32)
        return TrajectoryWithRew(obs=seen, acts=still, infos=np.array([{"row": row}]), terminal=True, rews=still[0])

    def _steps(self, points):
        points = np.array(points, np.float32)
        return points, np.zeros((len(points), 1), np.float32), points, np.ones(len(points), bool)


def serve(peer) -> None:
    """Answer until nothing more is asked; whatever libraries print goes to the errors."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        begin = time.process_time()
        result = getattr(peer, request.pop("do"))(**request)
        reply = {"result": result, "cpu_s": time.process_time() - begin}
        print(json.dumps(reply, default=lambda array: array.tolist()), file=answers, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    serve({peer.__name__: peer for peer in (PairwiseGP, CmaEs, MapElites, Imitation)}[sys.argv[1]]())
