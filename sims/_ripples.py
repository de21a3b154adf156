"""An example of a program for `external`: stones drift over a pond, and their waves cross.

No part of any simulation: it is a program of its own, which reads what it is told and leaves an array of frames.
"""

import json
from pathlib import Path

import numpy as np

FRAMES, SIZE = 48, 96

told = json.loads(Path("params.json").read_text())
params, seed = told["params"], told["seed"]
y, x = np.mgrid[0 : 1 : SIZE * 1j, 0 : 1 : SIZE * 1j].astype(np.float32)[:, None]
count = round(params["stones"])
start = np.random.default_rng(3).random((2, count, 1, 1))
drift = params["speed"] / 3 * np.random.default_rng(seed).normal(size=(2, count, 1, 1))
film = np.empty((FRAMES, SIZE, SIZE, 3), np.uint8)
for t, now in enumerate(np.linspace(0, 1, FRAMES)):
    px, py = (start + drift * now).astype(np.float32)
    r = np.hypot(x - px, y - py)
    waves = np.exp(-params["damping"] * r) * np.sin(2 * np.pi / params["length"] * (r - params["speed"] * now))
    light = np.clip(0.3 + 0.6 * waves.sum(0) / count**0.5, 0, 1)
    film[t] = 255 * light[..., None] ** np.array([2.6, 1.4, 0.7], np.float32)
np.save("film.npy", film)
