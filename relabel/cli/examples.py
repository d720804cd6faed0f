"""Examples for the help of every command, which the tests parse."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "relabel sample msls MSLS              # a synthetic city to try things on",
        "relabel msls --root MSLS -o labels.h5",
        "relabel view labels.h5",
        "relabel help msls",
    ),
    "sample": ("relabel sample msls MSLS", "relabel sample 7scenes rooms"),
    "sample msls": (
        "relabel sample msls demo --cameras 500",
        "relabel sample msls demo --buildings    # with footprints, for --occluders",
    ),
    "sample 7scenes": ("relabel sample 7scenes rooms --frames 60",),
    "msls": (
        "relabel msls --root MSLS -o msls.h5 --cities train",
        "relabel msls --root MSLS -o val.h5 --cities val --heading travel",
    ),
    "status": ("relabel status labels.h5.parts",),
    "pitts": ("relabel pitts --root Pittsburgh --heading table:north.csv -o pitts30k.h5",),
    "names": (
        "relabel names sf-xl/val/queries sf-xl/val/database -o sf-xl.h5",
        "relabel names queries.txt database.txt -o labels.h5",
    ),
    "table": (
        "relabel table queries.csv database.parquet -o labels.h5",
        "relabel table images.csv --self-pairs --columns key=id,heading=yaw -o own.h5",
        "relabel table poses.txt --layout kitti -o drive.h5",
    ),
    "7scenes": (
        "relabel 7scenes --root 7scenes -o 7scenes.h5",
        "relabel 7scenes --root 7scenes --dry-run",
    ),
    "tb-places": (
        "relabel tb-places --root TB-Places --axes ahead=z,up=-y -o garden.h5",
        "relabel tb-places --root TB-Places --depth depth \\\n      --intrinsics 580,580,320,240 --depth-unit 0.001",
    ),
    "rgbd": (
        "relabel rgbd --root desk --layout tum -o desk.h5",
        "relabel rgbd --root rooms --layout folder -o rooms.h5",
    ),
    "info": ("relabel info labels.h5", "relabel info labels.h5 --json"),
    "ls": ("relabel ls labels.h5", "relabel ls labels.h5::amman --side queries | head"),
    "tree": ("relabel tree labels.h5",),
    "stats": ("relabel stats labels.h5::amman", "relabel stats labels.h5 --near 10 --json"),
    "row": ("relabel row labels.h5::amman trefh78L20YfA-z4gjbNGw --top 10",),
    "view": ("relabel view labels.h5", "relabel view labels.h5::amman --images MSLS"),
    "report": ("relabel report labels.h5::amman -o amman.html",),
    "shared": (
        "relabel shared rooms.h5 seq-01/frame-000000 seq-01/frame-000100 \\\n      --root rooms --plot pair.png",
    ),
    "dump": ("relabel dump labels.h5::amman > pairs.csv",),
    "merge": ("relabel merge train.h5 val.h5 -o all.h5", "relabel merge all.h5::amman other.h5 -o two.h5"),
    "subset": (
        "relabel subset labels.h5 --collections sf,amman -o two.h5",
        "relabel subset labels.h5 --band 0.5: -o positives.h5",
    ),
    "convert": ("relabel convert labels.h5 --measure dice -o dice.h5",),
    "export": (
        "relabel export labels.h5 --to gcl -o gcl",
        "relabel export labels.h5::amman --to hloc --threshold 0.3 -o pairs",
    ),
    "import": (
        "relabel import gcl amman_gt.h5 --root MSLS --measure unknown -o theirs.h5",
        "relabel import csv pairs.csv --measure iou -o labels.h5",
    ),
    "pack": ("relabel pack labels.labels -o labels.h5", "relabel pack labels.h5.parts -o labels.h5"),
    "unpack": (
        "relabel unpack labels.h5 -o labels.labels",
        "relabel unpack big.h5 -o big.labels --shard-pairs 1000000",
    ),
    "publish": (
        'relabel publish labels.h5 -o upload --license CC-BY-4.0 --creator "A. Author"',
        "relabel publish labels.h5 -o upload --parquet",
    ),
    "compare": ("relabel compare mine.h5 theirs.h5", "relabel compare a.h5::amman b.h5::amman --measure iou"),
    "validate": ("relabel validate labels.h5", "relabel validate labels.h5 --level header"),
    "verify": ("relabel verify labels.h5 --root MSLS", "relabel verify labels.h5 --sample 100"),
    "audit": ("relabel audit msls --root MSLS", "relabel audit table images.csv --self-pairs"),
    "audit msls": ("relabel audit msls --root MSLS --cities val",),
    "audit pitts": ("relabel audit pitts --root Pittsburgh --heading table:north.csv",),
    "audit names": ("relabel audit names queries.txt database.txt",),
    "audit table": ("relabel audit table images.csv --self-pairs",),
    "audit 7scenes": ("relabel audit 7scenes --root 7scenes",),
    "audit tb-places": ("relabel audit tb-places --root TB-Places --axes ahead=z,up=-y",),
    "audit rgbd": ("relabel audit rgbd --root desk --layout tum",),
    "headings": (
        "relabel headings MSLS --cities val",
        "relabel headings MSLS -o mask.csv --plot headings.png",
    ),
    "fit": ("relabel fit theirs.h5", "relabel fit theirs.h5 --root MSLS --plot fit.png"),
    "train": (
        "relabel train labels.h5 --images MSLS -o run --backbone resnet50 --pretrained",
        "relabel train labels.h5 --images MSLS -o run --backbone tiny --dev",
    ),
    "evaluate": (
        "relabel evaluate val.h5 --checkpoint run --images MSLS",
        "relabel evaluate --root MSLS --cities val --predictions predictions.txt",
    ),
    "doctor": ("relabel doctor",),
    "help": ("relabel help train", "relabel help audit msls"),
    "completion": (
        'eval "$(relabel completion bash)"    # in ~/.bashrc; with zsh in ~/.zshrc',
        "relabel completion fish > ~/.config/fish/completions/relabel.fish",
    ),
}
"""By the words of a command behind ``relabel``."""
