"""Dataset readers, one package per dataset: they turn a tree of files into `Cameras` or `Frames`.

Each package holds a specification, see `relabel.datasets.registry`, and loads its reader when it is first used:
``relabel.datasets.msls.read``. A new dataset is a package here, and a line below.
"""

# In the order in which the command line lists them.
# isort: off
from relabel.datasets import msls as msls
from relabel.datasets import pitts as pitts
from relabel.datasets import names as names
from relabel.datasets import table as table
from relabel.datasets import seven_scenes as seven_scenes
from relabel.datasets import tb_places as tb_places
from relabel.datasets import rgbd as rgbd
