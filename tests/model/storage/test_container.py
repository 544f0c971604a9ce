"""The container: the bytes of the safetensors library, read and written as a stream."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from safetensors.numpy import load, save

from charloom.errors import ModelFileError, OutputError
from charloom.model.storage.container import read_container, write_container

ARRAYS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=8).filter(lambda n: n != "__metadata__"),
    st_numpy.arrays(
        st.sampled_from(["<f4", "<f8", "<i4", "<i8", "<u8", "|i1", "|u1"]),
        st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    max_size=5,
)


@settings(deadline=None)
@given(ARRAYS)
@example({"a": np.zeros((), "<i4"), "b": np.zeros((), "<f4")})  # of equal size: b comes first
def test_the_library_reads_what_we_write_and_writes_the_same_bytes(tmp_path_factory, tensors):
    path = tmp_path_factory.mktemp("files") / "x"
    write_container(path, "model", tensors, {"note": 'a "note"'})
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    theirs = save(tensors, header["__metadata__"])
    assert load(data).keys() == tensors.keys()
    if all(name.isascii() and name.isprintable() for name in tensors):
        assert data == theirs  # JSON has two ways to write the others
    back, content = read_container(path, "model")
    assert content == {"note": 'a "note"'}
    for name, array in tensors.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype


def test_arrays_that_are_not_contiguous_are_written_in_order(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T
    write_container(tmp_path / "x", "model", {"a": array}, {})
    np.testing.assert_array_equal(read_container(tmp_path / "x", "model")[0]["a"], array)


def test_neither_writing_nor_reading_needs_a_second_copy(tmp_path):
    size = 16 << 20
    tensors = {name: np.ones(size // 4, np.float32) for name in "abc"}
    tracemalloc.start()
    write_container(tmp_path / "x", "model", tensors, {})
    _, peak = tracemalloc.get_traced_memory()
    assert peak < size / 4
    del tensors
    tracemalloc.reset_peak()
    read_container(tmp_path / "x", "model")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3.3 * size


def test_too_little_memory_is_one_line_and_loses_nothing(tmp_path, monkeypatch):
    path, tensors = tmp_path / "x", {"a": np.ones(3, np.float32)}
    write_container(path, "model", tensors, {})
    before = path.read_bytes()

    def none_left(*arguments, **options):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(np, "asarray", none_left)
        with pytest.raises(OutputError, match=r"x: not enough memory to write it.*untouched"):
            write_container(path, "model", tensors, {})
        patch.setattr(np, "empty", none_left)
        with pytest.raises(ModelFileError, match="x: not enough memory to read it"):
            read_container(path, "model")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
