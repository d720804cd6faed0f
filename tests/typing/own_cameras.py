"""Cameras, frames and labels of one's own; code that has to pass ``mypy --strict`` against the package."""

import numpy as np

import relabel
from relabel import Cameras, Frames, LabelFile

cameras = Cameras(key=["a", "b"], position=[[0.0, 0.0], [1.0, 2.0]], heading_deg=[0, 90], crs="EPSG:32636")
more = Cameras(
    key=np.array(["c", "d"]),
    position=np.zeros((2, 3)),
    heading_deg=np.zeros(2),
    fov_deg=60.0,
    radius_m=[20.0, 30.0],
    status=[relabel.Status.OK, relabel.Status.MASKED],
    extra={"night": [True, False], "sequence": np.array(["x", "y"])},
)
poses = Cameras(["e"], [[0.0, 0.0, 0.0]], pose=np.eye(4)[None])
frames = Frames(poses, ["e.png"], (500.0, 500.0, 320.0, 240.0), size=(640, 480), image=["e.jpg"])

count: int = len(cameras) + len(frames)
keys: list[str] = list(cameras)
wanted: bool = "a" in cameras
heading: float = float(cameras.heading_deg[0])
shown: str = cameras._repr_html_()

psi = relabel.fov.overlap(cameras, more, fov_deg=90, radius_m=50, measure="iou")
path = relabel.write("labels.h5", {"city": psi}, overwrite=True)
assert relabel.validate(path)
labels = LabelFile(path)
for name, stored in labels.items():
    best, values = stored.row(0)
    print(name, str(best[0]), float(values[0]))
