"""Recurrent layers and cells: `RNN`, `LSTM`, `GRU`."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

from chainrule.functions import zeros
from chainrule.nn import functional as F, init
from chainrule.nn.modules.linear import parameter
from chainrule.nn.modules.module import Module
from chainrule.nn.modules.recurrence import STEPS, recurrent
from chainrule.nn.utils.rnn import PackedSequence
from chainrule.tensor import Tensor

__all__ = ["RNNBase", "RNN", "LSTM", "GRU", "RNNCellBase", "RNNCell", "LSTMCell", "GRUCell"]

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
NO_PROJECTION = "proj_size argument is only supported for LSTM, not RNN or GRU"
UNUSED_DROPOUT = (
    "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers greater than 1, but got "
    "dropout={} and num_layers={}"
)


def check_settings(layer: RNNBase, dropout: Any) -> None:
    """Refuse what no recurrent layer can be made of."""
    if not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1 or isinstance(dropout, bool):  # type: ignore[operator]
        raise ValueError("dropout should be a number in range [0, 1] representing the probability of an element being zeroed")
    if dropout > 0 and layer.num_layers == 1:  # type: ignore[operator]
        warnings.warn(UNUSED_DROPOUT.format(dropout, layer.num_layers), stacklevel=4)
    for name, kind in (("bias", bool), ("batch_first", bool), ("input_size", int), ("hidden_size", int)):
        value = getattr(layer, name)
        if not isinstance(value, kind):
            raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
        if kind is int and value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if layer.num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if layer.proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if layer.proj_size >= layer.hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")
    if layer.mode not in GATES:
        raise ValueError("Unrecognized RNN mode: " + layer.mode)


class RNNBase(Module):
    """Parameters and checks of the recurrent layers; `mode` is "LSTM", "GRU", "RNN_TANH" or "RNN_RELU"."""

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional, self.proj_size = bias, batch_first, bidirectional, proj_size
        check_settings(self, dropout)
        self.dropout = float(dropout)
        gates, hidden = GATES[mode] * hidden_size, proj_size or hidden_size
        self._all_weights: list[list[str]] = []
        for n in range(num_layers):
            width = input_size if n == 0 else hidden * self._directions
            shapes: dict[str, tuple] = {"weight_ih": (gates, width), "weight_hh": (gates, hidden)}
            if bias:
                shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for suffix in ("", "_reverse")[: self._directions]:
                names = {f"{name}_l{n}{suffix}": shape for name, shape in shapes.items()}
                for name, shape in names.items():
                    self.register_parameter(name, parameter(shape, device, dtype))
                self._all_weights.append(list(names))
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Any]:
        return [getattr(self, name) for name in self._flat_weights_names]

    @property
    def all_weights(self) -> list[list[Any]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def __getstate__(self) -> dict:
        """With the lists that PyTorch keeps as attributes, so that a pickled network can be read there."""
        return {**super().__getstate__(), "_flat_weights_names": self._flat_weights_names, "_flat_weights": self._flat_weights}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__({name: value for name, value in state.items() if not name.startswith("_flat_weights")})

    def flatten_parameters(self) -> None:
        """For GPUs; nothing to do here."""

    def reset_parameters(self) -> None:
        """Draw all parameters again, uniform in ±1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Raise unless the input's type, dimensions and features fit."""
        own = self._flat_weights[0].dtype
        if input.dtype != own:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({own}). Convert input: input.to({own}), or convert model: "
                f"model.to({input.dtype})"
            )
        expected = 2 if batch_sizes is not None else 3
        if input.dim() != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.dim()}")
        if self.input_size != input.shape[-1]:
            raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}")

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The shape of the hidden state for an input."""
        batch = int(batch_sizes[0]) if batch_sizes is not None else input.shape[0 if self.batch_first else 1]  # type: ignore[index]
        return self.num_layers * self._directions, batch, self.proj_size or self.hidden_size

    def check_hidden_size(self, hx: Tensor, expected_hidden_size: tuple, msg: str = "Expected hidden size {}, got {}") -> None:
        """Raise unless a state has the expected shape."""
        if hx.shape != expected_hidden_size:
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.shape)))

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Raise unless input and state fit."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """The state with its batch in another order."""
        return hx if permutation is None else hx.index_select(1, permutation)

    def extra_repr(self) -> str:
        shown = f"{self.input_size}, {self.hidden_size}"
        usual = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False}
        return shown + "".join([f", {name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value])

    # An LSTM's state is a pair, that of the others one tensor; the layers' loops want a tuple.

    def _start(self, input: Tensor, batch: int) -> Any:
        shape = self.num_layers * self._directions, batch, self.hidden_size
        return zeros(shape, dtype=input.dtype)

    def _check_ranks(self, hx: Any, batched: bool) -> None:
        expected = 3 if batched else 2
        if hx.dim() != expected:
            how = "batched 3-D" if batched else "unbatched 2-D"
            raise RuntimeError(f"For {how} input, hx should also be {expected}-D but got {hx.dim()}-D tensor")

    def _as_tuple(self, hx: Any) -> tuple:
        return (hx,)

    def _as_state(self, parts: tuple) -> Any:
        return parts[0]

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """All hidden states of the last layer, and the last state of every layer."""
        if isinstance(input, PackedSequence):
            data, batch_sizes, order, back = input
            hx = self._start(data, int(batch_sizes[0])) if hx is None else self.permute_hidden(hx, order)
            self.check_forward_args(data, hx, batch_sizes)
            output, state = self._run(data, self._as_tuple(hx), batch_sizes.tolist())
            return PackedSequence(output, batch_sizes, order, back), self.permute_hidden(self._as_state(state), back)
        if input.dim() not in (2, 3):
            what = (
                "RNN: Expected input to be 2D or 3D, got {}D tensor instead"
                if self.mode[:3] == "RNN"
                else (f"{self.mode}: Expected input to be 2D or 3D, got {{}}D instead")
            )
            raise ValueError(what.format(input.dim()))
        batched = input.dim() == 3
        side = 0 if self.batch_first else 1
        if not batched:
            input = input.unsqueeze(side)
        if hx is None:
            hx = self._start(input, input.shape[side])
        else:
            self._check_ranks(hx, batched)
            if not batched:
                hx = self._as_state(tuple([h.unsqueeze(1) for h in self._as_tuple(hx)]))
        self.check_forward_args(input, hx, None)
        output, state = self._run(input.transpose(0, 1) if self.batch_first else input, self._as_tuple(hx), None)
        if self.batch_first:
            output = output.transpose(0, 1)
        if not batched:
            output, state = output.squeeze(side), tuple([s.squeeze(1) for s in state])
        return output, self._as_state(state)

    def _run(self, input: Tensor, state: tuple, sizes: list | None) -> tuple[Tensor, tuple]:
        return recurrent(
            self.mode, input, state, self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional, sizes
        )


class RNN(RNNBase):
    """h' = tanh(w_ih x + b_ih + w_hh h + b_hh), or relu: RNN(input_size, hidden_size, num_layers=1, nonlinearity="tanh", ...).

    Shape: input (L, N, input_size), or (N, L, input_size) with `batch_first`, or without N; state
    (num_layers * directions, N, hidden_size). Gives (outputs (L, N, directions * hidden_size), last state).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError(NO_PROJECTION)
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory: LSTM(input_size, hidden_size, num_layers=1, bias, batch_first, dropout, bidirectional, proj_size).

    Shape: input (L, N, input_size), or (N, L, input_size) with `batch_first`, or without N; state a pair of
    (num_layers * directions, N, hidden_size). Gives (outputs (L, N, directions * hidden_size), (h, c)).

    Example:
        >>> output, (h, c) = LSTM(10, 20, 2)(randn(5, 3, 10))
        >>> output.shape, h.shape
        (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The shape of the cell state for an input."""
        layers, batch, _ = self.get_expected_hidden_size(input, batch_sizes)
        return layers, batch, self.hidden_size

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden[0], self.get_expected_hidden_size(input, batch_sizes), "Expected hidden[0] size {}, got {}")
        self.check_hidden_size(hidden[1], self.get_expected_cell_size(input, batch_sizes), "Expected hidden[1] size {}, got {}")

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        return hx if permutation is None else tuple([h.index_select(1, permutation) for h in hx])

    def _start(self, input: Tensor, batch: int) -> Any:
        layers = self.num_layers * self._directions
        return tuple([zeros((layers, batch, n), dtype=input.dtype) for n in (self.proj_size or self.hidden_size, self.hidden_size)])

    def _check_ranks(self, hx: Any, batched: bool) -> None:
        expected = 3 if batched else 2
        ranks = [h.dim() for h in hx]
        if ranks != [expected] * 2:
            how = "batched 3-D" if batched else "unbatched 2-D"
            raise RuntimeError(f"For {how} input, hx and cx should also be {expected}-D but got ({ranks[0]}-D, {ranks[1]}-D) tensors")

    def _as_tuple(self, hx: Any) -> tuple:
        return tuple(hx)

    def _as_state(self, parts: tuple) -> Any:
        return parts


class GRU(RNNBase):
    """Gated recurrent unit: GRU(input_size, hidden_size, num_layers=1, bias, batch_first, dropout, bidirectional).

    Shape: input (L, N, input_size), or (N, L, input_size) with `batch_first`, or without N; state
    (num_layers * directions, N, hidden_size). Gives (outputs (L, N, directions * hidden_size), last state).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError(NO_PROJECTION)
        super().__init__("GRU", *args, **kwargs)


class RNNCellBase(Module):
    """One step of a recurrent layer; `num_chunks` counts its gates."""

    _mode = ""

    def __init__(self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        gates = num_chunks * hidden_size
        self.weight_ih = parameter((gates, input_size), device, dtype)
        self.weight_hh = parameter((gates, hidden_size), device, dtype)
        self.register_parameter("bias_ih", parameter((gates,), device, dtype) if bias else None)
        self.register_parameter("bias_hh", parameter((gates,), device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters again, uniform in ±1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        shown = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            shown += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            shown += f", nonlinearity={self.nonlinearity}"
        return shown

    def _check_rank(self, value: Tensor, name: str) -> None:
        if value.dim() not in (1, 2):
            raise ValueError(f"{self._get_name()}: Expected {name} to be 1D or 2D, got {value.dim()}D instead")

    def _step(self, mode: str, input: Tensor, state: tuple | None, count: int) -> tuple:
        """One step on (N, features) or on one sample."""
        batched = input.dim() == 2
        input = input if batched else input.unsqueeze(0)
        if state is None:
            state = (zeros((len(input), self.hidden_size), dtype=input.dtype),) * count
        elif not batched:
            state = tuple([s.unsqueeze(0) for s in state])
        self._check_sizes(input, state)
        result = STEPS[mode](F.linear(input, self.weight_ih, self.bias_ih), state, (self.weight_hh, self.bias_hh, None))
        return result if batched else tuple([s.squeeze(0) for s in result])

    def _check_sizes(self, input: Tensor, state: tuple) -> None:
        if input.shape[1] != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {input.shape[1]} expected {self.input_size}")
        for i, s in enumerate(state):
            if s.shape[0] != input.shape[0]:
                raise RuntimeError(f"Input batch size {input.shape[0]} doesn't match hidden{i} batch size {s.shape[0]}")
            if s.shape[1] != self.hidden_size:
                raise RuntimeError(f"hidden{i} has inconsistent hidden_size: got {s.shape[1]}, expected {self.hidden_size}")


class RNNCell(RNNCellBase):
    """h' = tanh(w_ih x + b_ih + w_hh h + b_hh), or relu. Shape: (N, input_size), (N, hidden_size), or without N."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        self._check_rank(input, "input")
        if hx is not None:
            self._check_rank(hx, "hidden")
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(f"RNN_{self.nonlinearity.upper()}", input, None if hx is None else (hx,), 1)[0]


class LSTMCell(RNNCellBase):
    """One step of an LSTM: input (N, input_size) and (h, c), each (N, hidden_size), or without N, to (h', c')."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        self._check_rank(input, "input")
        for i, value in enumerate(hx or ()):
            self._check_rank(value, f"hx[{i}]")
        return self._step("LSTM", input, hx, 2)  # type: ignore[return-value]


class GRUCell(RNNCellBase):
    """One step of a GRU. Shape: (N, input_size), (N, hidden_size), or without N."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        self._check_rank(input, "input")
        if hx is not None:
            self._check_rank(hx, "hidden")
        return self._step("GRU", input, None if hx is None else (hx,), 1)[0]
