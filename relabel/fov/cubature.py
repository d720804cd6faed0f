"""The cubature for the expected overlap of two noisy cameras: the centre, and seven orbits of four nodes.

A point is half the difference and half the sum of the two headings' noises, and the displacement of the cameras against
each other along and across (to the left of) the mean heading, all four as standard normal deviates. Its orbit are its
images when the cameras change places, and in a mirror along the mean heading. What is left of 1 is the centre's weight.

They are fitted, not derived: benchmarks/cubature.py is the recipe, and tells how far off they are. With noise up to a
ninth of the field of view and a tenth of the range, 10° and 5 m for the defaults, the mean error is 3e-4, 99 % of all
pairs are within 2.1e-3, and the largest of 2,600 was 6e-3; with half of that noise 1.2e-4, 9e-4 and 1.6e-3; with twice
as much 1e-3, 5e-3 and 1e-2. On the same task a product of Gauss-Hermite rules of 135 nodes is off by up to 0.03, and
256 points of a Sobol sequence by as much as these.
"""

from __future__ import annotations

import math

import numpy as np

POINTS = np.array(
    [
        [0.79317589, -1.52716404, -0.59898679, -1.64758113],
        [-2.07961784, 0.85162378, 1.06892006, -0.41316299],
        [-0.19439534, -0.61887441, -0.39571990, -0.26234277],
        [0.66886292, -0.04846726, 1.22946562, 2.29999908],
        [0.72831813, -1.19162211, -0.17029809, 0.82322716],
        [-0.24660450, 1.24687568, -1.83592885, -0.51694883],
        [-1.27669545, 0.47249128, 0.78409164, 0.72409162],
    ]
)
WEIGHTS = np.array([0.02983105, 0.02760640, 0.04881924, 0.02034935, 0.03804739, 0.03826574, 0.04528350])

LONGEST_TURN = float(np.abs(POINTS[:, :2]).sum(axis=1).max()) / math.sqrt(2.0)
"""The most that a node turns a camera, in standard deviations of its heading."""
LONGEST_SHIFT = float(np.hypot(POINTS[:, 2], POINTS[:, 3]).max())
"""The most that a node displaces two cameras against each other, in standard deviations of the displacement."""
