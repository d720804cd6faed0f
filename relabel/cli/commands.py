"""All commands by name: the section they are listed in, where they live, and one line of help.

The line stands here and not in the command, so that `relabel --help` loads no command.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One command of the table."""

    section: str
    home: str
    """module:attribute of the click command"""
    short_help: str


LABEL = "Make labels"
LOOK = "Look inside a label file"
COMPOSE = "Make label files from others"
CHECK = "Check"
TRAIN = "Train and evaluate"

COMMANDS: dict[str, Entry] = {
    "sample": Entry(LABEL, "relabel.cli.sample:command", "Write a small synthetic data set to try things on."),
    "msls": Entry(LABEL, "relabel.cli.msls:command", "Label MSLS by field-of-view overlap, from its metadata alone."),
    "pitts": Entry(LABEL, "relabel.cli.pitts:command", "Label Pittsburgh, with headings that you choose a source for."),
    "names": Entry(LABEL, "relabel.cli.names:command", "Label pictures whose @ names tell place and heading (SF-XL)."),
    "table": Entry(LABEL, "relabel.cli.table:command", "Label any CSV or Parquet table, GSV-Cities, or poses."),
    "7scenes": Entry(LABEL, "relabel.cli.seven_scenes:command", "Label 7Scenes by how much surface two frames share."),
    "tb-places": Entry(LABEL, "relabel.cli.tb_places:command", "Label TB-Places, by depth maps if there are any."),
    "rgbd": Entry(LABEL, "relabel.cli.rgbd:command", "Label any RGB-D sequence: TUM, ScanNet, or a plain folder."),
    "info": Entry(LOOK, "relabel.cli.info:command", "What a label file holds, one line a collection."),
    "ls": Entry(LOOK, "relabel.cli.ls:command", "Names of the collections, one a line."),
    "tree": Entry(LOOK, "relabel.cli.tree:command", "Every group, data set and attribute of the file."),
    "stats": Entry(LOOK, "relabel.cli.stats:command", "Histogram of ψ, bands, queries without a positive."),
    "row": Entry(LOOK, "relabel.cli.row:command", "The matches of one query, best first."),
    "shared": Entry(LOOK, "relabel.cli.shared:command", "What two frames of depth share, as a cloud or a picture."),
    "dump": Entry(LOOK, "relabel.cli.dump:command", "All pairs of a collection as text."),
    "merge": Entry(COMPOSE, "relabel.cli.merge:command", "Collections of several files in one."),
    "subset": Entry(COMPOSE, "relabel.cli.subset:command", "Some of the collections, cameras or pairs of a file."),
    "convert": Entry(COMPOSE, "relabel.cli.convert:command", "The same labels in another measure."),
    "export": Entry(COMPOSE, "relabel.cli.export:command", "Labels in the formats of other programs."),
    "import": Entry(COMPOSE, "relabel.cli.import_:command", "A label file of labels that somebody else made."),
    "publish": Entry(COMPOSE, "relabel.cli.publish:command", "A folder to upload: card, checksums, metadata."),
    "compare": Entry(CHECK, "relabel.cli.compare:command", "What is different between two label files."),
    "validate": Entry(CHECK, "relabel.cli.validate:command", "Check a label file against the format."),
    "verify": Entry(CHECK, "relabel.cli.verify:command", "Recompute a sample of a label file with a slow oracle."),
    "headings": Entry(CHECK, "relabel.cli.headings:command", "Which headings of a data set should not be trusted."),
    "fit": Entry(CHECK, "relabel.cli.fit:command", "Recover the parameters behind somebody else's labels."),
    "train": Entry(TRAIN, "relabel.cli.train:command", "Train a descriptor model on graded labels."),
    "evaluate": Entry(TRAIN, "relabel.cli.evaluate:command", "Recall@k, mAP and graded scores of place recognition."),
    "doctor": Entry(CHECK, "relabel.cli.doctor:command", "Versions, threads, kernel cache, GPU, missing libraries."),
}
