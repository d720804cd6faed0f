"""Expected overlap under noise: cost relative to the plain label, and error of its 29 nodes.

    python benchmarks/bench_noise.py [--cameras 20000] [--pairs 1000] [--samples 8192]

The truth is the mean of plain ψ over many samples of the noise, of real San Francisco pairs where they are present and
of a synthetic city otherwise. Cost is that of a whole call, search and sparse matrix included.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
from common import DATA, at_names, machine, median_seconds, synthetic_city, table
from scipy.special import ndtri
from scipy.stats import qmc

import relabel
from relabel import fov

LEVELS = [(2.0, 1.0), (5.0, 2.5), (10.0, 5.0), (20.0, 10.0)]
SHAPES: list[dict] = [{"shape": "sector"}, {"shape": "polygon", "arc": 16}]
AT_ONCE = 256
GOAL = 2e-3


def moved(cameras: relabel.Cameras, rows: np.ndarray, sigma: tuple[float, float], z: np.ndarray) -> relabel.Cameras:
    """Each camera of `rows`, moved by each of the (samples, 3) standard normal deviates: heading, east, north."""
    place = cameras.position[rows, None, :2] + sigma[1] * z[:, 1:]
    heading = cameras.heading_deg[rows, None] + sigma[0] * z[:, 0]
    return relabel.Cameras(np.arange(heading.size).astype(str), place.reshape(-1, 2), heading_deg=heading.ravel())


def truth(
    cameras: tuple[relabel.Cameras, relabel.Cameras],
    pairs: tuple[np.ndarray, np.ndarray],
    sigma: tuple[float, float],
    samples: int,
) -> np.ndarray:
    """Mean of plain ψ of the pairs over the samples, of a scrambled Sobol sequence."""
    deviates = ndtri(qmc.Sobol(6, seed=0).random(samples).clip(1e-12, 1 - 1e-12))
    total = np.zeros(len(pairs[0]))
    for start in range(0, samples, AT_ONCE):
        z = deviates[start : start + AT_ONCE]
        sides = [
            moved(side, rows, sigma, part)
            for side, rows, part in zip(cameras, pairs, (z[:, :3], z[:, 3:]), strict=True)
        ]
        number = np.arange(len(sides[0]))
        total += fov.pair_overlap(*sides, number, number).reshape(-1, len(z)).sum(axis=1)
    return total / samples


def accuracy(query: relabel.Cameras, database: relabel.Cameras, pairs: int, samples: int) -> None:
    """Print the errors at several noise levels, of pairs that overlap under the noise."""
    lines = []
    for heading, position in LEVELS:
        noise = {"heading_sigma_deg": heading, "position_sigma_m": position}
        psi = fov.overlap(query, database, **noise).matrix.tocoo()
        some = np.sort(np.random.default_rng(0).choice(psi.nnz, min(pairs, psi.nnz), replace=False))
        rows, columns = (index[some].astype(np.int64) for index in psi.coords)
        off = np.abs(psi.data[some] - truth((query, database), (rows, columns), (heading, position), samples))
        lines.append(
            [
                f"{heading:g}°, {position:g} m",
                f"{off.mean():.1e}",
                f"{np.quantile(off, 0.99):.1e}",
                f"{off.max():.1e}",
                f"{(off < GOAL).mean():.1%}",
            ]
        )
    print(f"\n## Off the mean of {samples:,} samples, {pairs:,} of the pairs stored\n")
    table(["σ of heading, of position", "mean", "99 % within", "largest", f"within {GOAL:g}"], lines)


def cost(cities: dict[str, tuple[relabel.Cameras, relabel.Cameras]]) -> None:
    """Print the cost of the nodes relative to the plain label."""
    lines = []
    for name, sides in cities.items():
        for shape in SHAPES:
            plain = partial(fov.overlap, *sides, **shape)
            base = median_seconds(plain)
            line = [name, shape["shape"], f"{len(plain().matrix.data):,}", f"{1e3 * base:,.0f} ms"]
            for heading, position in ((5.0, 0.0), (5.0, 2.5), (10.0, 5.0)):
                noisy = partial(plain, heading_sigma_deg=heading, position_sigma_m=position)
                line.append(f"{median_seconds(noisy, repeats=3) / base:.1f}×")
            lines.append(line)
    print("\n## Cost of a whole call, against the plain label\n")
    table(["cameras", "shape", "plain pairs", "plain", "5°", "5°, 2.5 m", "10°, 5 m"], lines)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=20_000, help="of the synthetic city, a side")
    parser.add_argument("--pairs", type=int, default=1_000, help="that are compared with samples")
    parser.add_argument("--samples", type=int, default=2**13, help="of the noise; a power of 2")
    given = parser.parse_args()
    cities = {"synthetic city": synthetic_city(given.cameras)}
    real = DATA / "sf_xs_val"
    if real.is_dir():
        sides = at_names(real / "queries.txt"), at_names(real / "database.txt")
        cities = {"San Francisco (SF-XL val, real)": sides, **cities}
    print(f"# Expected overlap under noise\n\n{machine()}; medians of one run")
    print("\n" + "; ".join(f"{name}: {len(q):,} × {len(d):,} cameras" for name, (q, d) in cities.items()))
    cost(cities)
    accuracy(*next(iter(cities.values())), given.pairs, given.samples)


if __name__ == "__main__":
    main()
