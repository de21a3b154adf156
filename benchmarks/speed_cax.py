"""The peer's side of speed.py, run by an interpreter that has CAX: Lenia cells and Particle Life pairs per second.

Every Lenia world has its own rule, as in a search, and growth is the polynomial on both sides.
"""

import json
import os
import statistics
import sys
import time

import jax
import jax.numpy as jnp
from cax.cs.lenia import GrowthParams, KernelParams, Lenia, polynomial_kernel_fn
from cax.cs.lenia.rule import LeniaRuleParams
from cax.cs.particle_life import ParticleLife
from flax import struct

RUNS, STEPS, WORLDS = 7, 50, 16


def seconds_per_step(make, number, state):
    """Median CPU time for a step of a batch, in which each world's system is made from its own number."""
    run = jax.jit(jax.vmap(lambda one, start: make(one)(start, num_steps=STEPS)))
    jax.block_until_ready(run(number, state))
    times = []
    for _ in range(RUNS):
        begin = time.process_time()
        jax.block_until_ready(run(number, state))
        times.append((time.process_time() - begin) / STEPS)
    return statistics.median(times)


def polynomial_growth(u, params):
    return 2 * jnp.maximum(0, 1 - ((u - params.mean) / (3 * params.std)) ** 2) ** 4 - 1


def lenia(size):
    def make(mu):
        rule = LeniaRuleParams(
            channel_source=jnp.array([0]),
            channel_target=jnp.array([0]),
            weight=jnp.array([1.0]),
            kernel_params=KernelParams(r=jnp.array([6 * mu]), b=jnp.array([[1.0]])),
            growth_params=GrowthParams(mean=mu[None], std=mu[None] / 10),
        )
        functions = {"kernel_fn": polynomial_kernel_fn, "growth_fn": polynomial_growth}
        return Lenia((size, size), 1, R=10, T=10, rule_params=rule, **functions)

    start = jax.random.uniform(jax.random.key(0), (WORLDS, size, size, 1))
    return WORLDS * size**2 / seconds_per_step(make, jnp.linspace(0.12, 0.16, WORLDS), start) / 1e6


@struct.dataclass
class ParticleLifeState:  # CAX's own cannot be made under Python 3.11, where it inherits from typing.Any.
    class_: jax.Array
    position: jax.Array
    velocity: jax.Array


def particle_life(particles):
    system = ParticleLife(3, A=jax.random.uniform(jax.random.key(0), (3, 3), minval=-1))  # cannot be made inside jit
    place = jax.random.uniform(jax.random.key(1), (WORLDS, particles, 2))
    kind = jax.random.randint(jax.random.key(2), (WORLDS, particles), 0, 3)
    start = ParticleLifeState(class_=kind, position=place, velocity=jnp.zeros_like(place))
    seconds = seconds_per_step(lambda _: system, jnp.zeros(WORLDS), start)
    return WORLDS * particles * (particles - 1) / seconds / 1e6


if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps({"lenia": lenia(int(sys.argv[1])), "particle_life": particle_life(int(sys.argv[2]))}))
