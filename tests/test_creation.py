"""Tensors from numbers, sequences, arrays and ranges: each line under both libraries gives the same repr, error and warnings."""

import numpy as np
import pytest
import torch as oracle
from both import agree

import chainrule

LINES = """
t.tensor('a')
t.tensor(['a'])
t.tensor([[1, 2], [3]])
t.tensor([[1, 2], 3])
t.tensor([1, [2]])
t.tensor([1, 2], requires_grad=True)
t.tensor([1., 2], requires_grad=True)
t.tensor(None)
t.tensor([None])
t.tensor({})
t.tensor(1.5, dtype=t.int)
t.tensor([1.5, 2.7], dtype=t.int)
t.tensor([True, 1])
t.tensor([True, 1.5])
t.tensor([1, 2j])
t.tensor([1, 2j], dtype=t.float)
t.tensor(300, dtype=t.uint8)
t.tensor(-1, dtype=t.uint8)
t.tensor(2 ** 63)
t.tensor(2 ** 64, dtype=t.float)
t.tensor([])
t.tensor([[], []])
t.tensor(t.ones(2))
t.tensor([t.tensor(1.), t.tensor(2)])
t.tensor([t.ones(2)])
t.tensor(np.array([1, 2], np.int16))
t.tensor([np.float32(3)])
t.tensor([np.array([1, 2]), np.array([3, 4])])
t.tensor(np.array(['a']))
t.tensor(range(3))
t.as_tensor([1, 2], dtype=t.float)
t.from_numpy([1, 2])
t.from_numpy(np.array(['a']))
t.from_numpy(np.arange(3)[::-1])
t.from_numpy(np.arange(3, dtype='>i4'))
t.frombuffer(bytearray(8), dtype=t.float)
t.frombuffer(bytearray(8), dtype=t.float, count=3)
t.frombuffer(bytearray(7), dtype=t.float)
t.frombuffer(bytearray(0), dtype=t.float)
t.frombuffer(3, dtype=t.float)
t.frombuffer(bytearray(8), dtype=t.float, offset=9)
t.asarray([1, 2], copy=False)
t.asarray(t.ones(2), dtype=t.float64, copy=False)
t.asarray(np.arange(3.), requires_grad=True)
t.zeros(2, -1)
t.ones(2, -1)
t.zeros('a')
t.zeros(2.5)
t.zeros(size=(2,))
t.zeros(2, requires_grad=True, dtype=t.int)
t.zeros(2, out=t.ones(3))
t.zeros(2, dtype=t.int, out=t.ones(2))
t.full((2,), 3)
t.full((2,), True)
t.full((2,), 1j)
t.full(2, 3)
t.full((2,), 3.7, dtype=t.int)
t.full((2,), 'a')
t.full((2,), 300, dtype=t.uint8)
t.full((2,), -1, dtype=t.uint8)
t.full((2,), t.tensor(3.))
t.full((2,), t.tensor([3.]))
t.full((2,), float('inf'), dtype=t.int)
t.full((2,), 1j, dtype=t.float)
t.eye(2, 3)
t.eye(-1)
t.eye(2.5)
t.arange(5)
t.arange(1, 5, 2)
t.arange(1., 5)
t.arange(0, 1, .1)
t.arange(5, 1)
t.arange(5, 1, -1)
t.arange(0, 5, 0)
t.arange(end=5)
t.arange(0, 5, .5, dtype=t.int)
t.arange(0, 5, .5, dtype=t.long)
t.arange(5, dtype=t.bool)
t.arange(0, float('inf'))
t.arange(0, 10, 3, dtype=t.half)
t.arange(1, 5, requires_grad=True)
t.range(0, 5)
t.range(5, 1)
t.linspace(0, 10, 5, dtype=t.int)
t.linspace(0, 1, 1)
t.linspace(0, 1, -1)
t.linspace(t.tensor(0.), t.tensor(1.), 3)
t.linspace(t.ones(2), 1, 3)
t.linspace(0, 1j, 3)
t.logspace(0, 2, 3, 2, dtype=t.int)
t.logspace(1.5, 2, 1)
t.empty(1, 2, 3, 4, memory_format=t.channels_last).stride()
t.empty(2, 3, memory_format=t.channels_last)
t.empty_strided((2, 3), (1, 2)).stride()
t.empty_strided((2, 3), (1,))
t.empty_strided((2, 3), (-1, 2))
t.empty_permuted((2, 3, 4), (0, 2, 1)).stride()
t.full_like(t.ones(2).int(), 2.5)
t.zeros_like(3)
t.zeros_like(t.ones(3, 2).T).stride()
t.ones(2).int().new_tensor([1.5, 2])
t.ones(2).new_tensor(t.ones(2))
t.ones(2).new_full((2,), 3)
t.ones(2).new_ones(2, requires_grad=True)
t.ones(2).new([3.])
t.tril_indices(3, 4, -1)
t.triu_indices(3, 4, 1)
t.tril_indices(-1, 4)
t.scalar_tensor(3)
t.complex(t.ones(2), t.ones(2).double())
t.Tensor([1, 2])
t.Tensor(2, 3).shape
t.LongTensor([1.5, 2])
isinstance(t.ones(2), t.FloatTensor)
t.Tensor('a')
"""


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_lines_agree(line):
    agree(lambda t: repr(eval(line, {"t": t, "np": np})))


def test_from_numpy_shares_memory():
    a = np.zeros(2, np.float32)
    t = chainrule.from_numpy(a)
    a[0] = 1
    t[1] = 5
    assert t.tolist() == [1, 5] and a.tolist() == [1, 5]
    assert t.numpy() is a or np.shares_memory(t.numpy(), a)


def test_tensor_copies():
    a = np.zeros(2)
    t = chainrule.tensor(a)
    a[0] = 1
    assert t.tolist() == [0, 0]


def test_frombuffer_and_asarray_share():
    memory = bytearray(4)
    t = chainrule.frombuffer(memory, dtype=chainrule.uint8)
    memory[0] = 9
    assert t.tolist() == [9, 0, 0, 0]
    a = np.arange(3.0)
    assert np.shares_memory(chainrule.asarray(a).numpy(), a)
    assert not np.shares_memory(chainrule.asarray(a, copy=True).numpy(), a)


@pytest.mark.parametrize("exporter", [np.arange(3.0), oracle.arange(3.0), chainrule.arange(3.0)])
def test_dlpack_both_ways(exporter):
    t = chainrule.from_dlpack(exporter)
    assert t.tolist() == [0, 1, 2]
    t[0] = 7
    assert exporter[0] == 7 and np.from_dlpack(t)[0] == 7 and oracle.from_dlpack(t)[0] == 7


def test_dlpack_refuses_history():
    with pytest.raises(BufferError):
        chainrule.ones(2, requires_grad=True).__dlpack__()


RANGES = [(0, 100, 1), (0.3, 37.1, 0.7), (5, -40, -1.3), (-3, 50, 0.25)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int32"])
@pytest.mark.parametrize("ends", RANGES)
def test_arange_has_the_same_bits(dtype, ends):
    ours, theirs = (t.arange(*ends, dtype=getattr(t, dtype)).double().numpy() for t in (chainrule, oracle))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int32", "int64"])
@pytest.mark.parametrize("ends", RANGES)
def test_linspace_has_the_same_bits(dtype, ends):
    ours, theirs = (t.linspace(*ends[:2], 57, dtype=getattr(t, dtype)).double().numpy() for t in (chainrule, oracle))
    np.testing.assert_array_equal(ours, theirs)
