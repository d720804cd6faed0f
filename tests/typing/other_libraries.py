"""Labels in other libraries, readers and samplers; code that has to pass ``mypy --strict`` against the package."""

import relabel
from relabel import LabelFile, tables
from relabel.sampling import GradedPairSampler

labels = LabelFile("labels.h5")
stored = labels["city"]

pairs = stored.pairs(min=0.5)
query: str = str(pairs.query[0])
value: float = float(pairs.value[0])
table = stored.to_arrow(min=0.5)
cameras = stored.cameras("query")
frame = stored.to_pandas()
converted = stored.in_measure("dice").to_pandas(min=0.5)
matrix = tables.to_torch_sparse(stored.to_similarity())
data = tables.to_anndata(stored)

axes = relabel.plot.map(stored, query, sectors=False)
axes = relabel.plot.pair(stored, query, str(pairs.database[0]), ax=relabel.plot.histogram(stored))
relabel.plot.matrix(stored, "s", ax=axes).set_title(relabel.plot.plane(stored.to_similarity()).get_xlabel())
settings = relabel.plot.style(dark=True)

sets = relabel.datasets.table.read("queries.csv", "database.csv", columns={"heading": "northdeg"})
sequence = relabel.datasets.rgbd.read("room", "folder", convention="opengl")
for finding in relabel.audit.check(sets).findings + relabel.audit.check(sequence).findings:
    print(finding.code, finding.count)

sampler = GradedPairSampler(labels, (0.5, 0.25, 0.25), seed=1)
for row, column, psi in sampler:
    print(row + 1, column + 1, psi + 0.5)
print(relabel.training.GradedBatchSampler(stored, 8), relabel.sampling.SamplerReport)
