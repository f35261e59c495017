"""Chunks of HDF5 datasets, which the library unpacks to whatever they hold, with filters that a file may name."""

from __future__ import annotations

import math
import zlib

import h5py

from jne._core.memory import RefusedError, check_held, memory_limit

_KNOWN = {
    h5py.h5z.FILTER_DEFLATE: "gzip",
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    h5py.h5z.FILTER_FLETCHER32: "fletcher32",
    h5py.h5z.FILTER_NBIT: "nbit",
    h5py.h5z.FILTER_SCALEOFFSET: "scaleoffset",
    h5py.h5z.FILTER_LZF: "lzf",
}
"""Filters that are part of h5py; any other is code that HDF5 looks for on the disk, and loads."""
_MOST = {h5py.h5z.FILTER_DEFLATE: 1032, h5py.h5z.FILTER_LZF: 264}
"""To how many bytes one byte can unpack at most."""
_BLOCK = 2**20


def check_chunks(dataset: h5py.h5d.DatasetID, place: str) -> None:
    """Refuse a chunked dataset that needs code from elsewhere, or a chunk of which takes too much memory.

    No chunk is unpacked but those that could take more than is allowed, and of these no more than they declare.

    Raises
    ------
    RefusedError
        It begins with ``place``.
    """
    plan = dataset.get_create_plist()
    declared = math.prod(plan.get_chunk()) * dataset.dtype.itemsize
    check_held(declared, f"{place}, a chunk of it,")
    filters = [plan.get_filter(i) for i in range(plan.get_nfilters())]
    codes = [code for code, *_ in filters]
    if unknown := [f"{code} {name.decode(errors='replace')!r}" for code, _, _, name in filters if code not in _KNOWN]:
        raise RefusedError(
            f"{place} is packed by the filter {unknown[0]}, whose code would be loaded from elsewhere; accepted are "
            f"{', '.join(_KNOWN.values())}. Pack it anew with `h5repack -f GZIP=4`"
        )
    for code, _, values, _ in filters:
        _check_sizes(code, values, math.prod(plan.get_chunk()), declared, place)
    packing = [code for code in codes if code in _MOST]
    if len(packing) > 1:
        raise RefusedError(f"{place} is packed {len(packing)} times; pack it anew with `h5repack -f GZIP=4`")
    if packing and dataset.get_storage_size() * _MOST[packing[0]] > memory_limit():
        _check_unpacked(dataset, codes, packing[0], declared, place)


def _check_sizes(code: int, values: tuple[int, ...], n_values: int, declared: int, place: str) -> None:
    """What filters take for the size of a chunk is written in the file once more."""
    exact = {h5py.h5z.FILTER_NBIT: n_values, h5py.h5z.FILTER_SCALEOFFSET: n_values, h5py.h5z.FILTER_LZF: declared}
    if code in exact and len(values) > 2 and values[2] not in (0, exact[code]):
        raise RefusedError(
            f"{place}: its filter {_KNOWN[code]} unpacks chunks of {values[2]}, and they have {exact[code]}; the file "
            "is damaged. Pack it anew with `h5repack -f GZIP=4`"
        )


def _check_unpacked(dataset: h5py.h5d.DatasetID, codes: list[int], packing: int, declared: int, place: str) -> None:
    large = []

    def look(chunk: h5py.h5d.StoreInfo) -> None:
        if chunk.size * _MOST[packing] > memory_limit() and not chunk.filter_mask & 1 << codes.index(packing):
            large.append((chunk.chunk_offset, chunk.size))

    dataset.chunk_iter(look)
    for offset, size in large:
        check_held(size, f"{place}, a chunk of it,")
        if packing == h5py.h5z.FILTER_DEFLATE and _inflates_to(dataset, offset, declared):
            continue
        raise RefusedError(
            f"{place}: its chunk at {offset} is packed in {size} bytes and unpacks to more than the {declared} that it "
            "should have, or is damaged. Pack the file anew with `h5repack -f GZIP=4` if it is to be trusted"
        )


def _inflates_to(dataset: h5py.h5d.DatasetID, offset: tuple[int, ...], declared: int) -> bool:
    """Whether a chunk unpacks to no more than is declared, and to something at all."""
    _, pending = dataset.read_direct_chunk(offset)
    unpack, size = zlib.decompressobj(), 0
    try:
        # What is left, such as a checksum, comes after the packed bytes.
        while pending and not unpack.eof and size <= declared:
            size += len(unpack.decompress(pending, _BLOCK))
            pending = unpack.unconsumed_tail
    except zlib.error:
        return False
    return unpack.eof and size <= declared
