"""`flex_attention`: attention whose scores pass through a function, and whose mask is one.

The functions get whole tensors of indices that broadcast, (B, 1, 1, 1) for the batch and so on, instead of one number at a time: what is
written for numbers holds for them, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from chainrule._core.dtypes import bool_
from chainrule.functions import arange, exp, full, logsumexp, ones, where
from chainrule.tensor import Tensor

__all__ = [
    "AuxOutput", "AuxRequest", "BlockMask", "and_masks", "create_block_mask", "create_mask", "flex_attention", "noop_mask", "or_masks",
]  # fmt: skip

Mod = Callable[..., Any]


class AuxRequest(NamedTuple):
    """What `flex_attention` is to give beside the result."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """What was asked for with an `AuxRequest`, each (B, H, L)."""

    lse: Tensor | None = None
    max_scores: Tensor | None = None


def indices(*lengths: int) -> list[Tensor]:
    """For each of four dimensions its indices, in a shape that broadcasts with the others."""
    shapes = [[-1 if d == own else 1 for d in range(4)] for own in range(4)]
    return [arange(length).view(shape) for length, shape in zip(lengths, shapes)]


def flex_attention(
    query: Tensor, key: Tensor, value: Tensor, score_mod: Mod | None = None, block_mask: BlockMask | None = None,
    scale: float | None = None, enable_gqa: bool = False, return_lse: bool = False, kernel_options: Any = None, *, return_aux: Any = None,
) -> Any:  # fmt: skip
    """softmax(score_mod(query @ key.mT * scale, b, h, q_idx, kv_idx)) @ value: (B, H, L, E), (B, H, S, E), (B, H, S, V) give (B, H, L, V).

    `score_mod(score, b, h, q_idx, kv_idx)` changes the scores, `block_mask` (see `create_block_mask`) says what may be seen; a query that
    sees nothing gives zeros. `enable_gqa`: each key head serves several query heads. `return_lse` gives the logarithms of the sums too,
    `return_aux` those and the largest scores.
    Raises ValueError for inputs that do not fit.

    Example:
        >>> causal = create_block_mask(lambda b, h, q, k: q >= k, None, None, 64, 64)
        >>> q = k = v = ones(1, 2, 64, 8)
        >>> flex_attention(q, k, v, score_mod=lambda score, b, h, i, j: score - (i - j) * 0.1, block_mask=causal).shape
        torch.Size([1, 2, 64, 8])
    """
    check(query, key, value, enable_gqa)
    q: Any = query
    k, v = (t.to(query.dtype) for t in (key, value))  # type: ignore[attr-defined]
    if enable_gqa and q.shape[1] != k.shape[1]:
        k, v = (t.repeat_interleave(q.shape[1] // k.shape[1], 1) for t in (k, v))
    scores = (q @ k.mT) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    places = indices(*scores.shape)
    if score_mod is not None:
        scores = score_mod(scores, *places).to(scores.dtype)
    if block_mask is not None:
        if block_mask.seq_lengths != tuple(scores.shape[-2:]):
            raise ValueError(
                f"block_mask was created for block_mask.shape={block_mask.shape} but got q_len={q.shape[-2]} and kv_len={k.shape[-2]}."
            )
        scores = where(block_mask.mask_mod(*places), scores, full((), -math.inf, dtype=scores.dtype))
    sums: Any = logsumexp(scores, -1)
    blind = (sums == -math.inf).unsqueeze(-1)
    weights: Any = exp(scores - where(blind, full((), 0.0, dtype=sums.dtype), sums.unsqueeze(-1)))
    result = weights @ v
    if return_aux is not None:
        return result, AuxOutput(sums if return_aux.lse else None, scores.amax(-1) if return_aux.max_scores else None)
    return (result, sums) if return_lse else result


def check(query: Tensor, key: Tensor, value: Tensor, grouped: bool) -> None:
    if any([t.dim() != 4 for t in (query, key, value)]):
        raise NotImplementedError("NYI: query, key, and value must be 4D tensors")
    heads = query.shape[1], key.shape[1]
    if not grouped and heads[0] != heads[1]:
        raise ValueError(
            f"Expect query and key/value to have the same number of heads but got Hq={heads[0]} and Hkv={heads[1]}. "
            "Try setting enable_gqa=True for GQA."
        )
    if grouped and heads[0] % heads[1]:
        raise ValueError(f"Expect number of query heads to be a multiple of kv heads for GQA but got Hq={heads[0]} and Hkv={heads[1]}.")


class BlockMask:
    """What may be seen, as a function of indices; in PyTorch also a list of the blocks in which anything may be.

    Attributes:
        mask_mod: (b, h, q_idx, kv_idx) -> bool
        shape: (B, H, L, S)
        seq_lengths: (L, S)
    """

    def __init__(self, mask_mod: Mod, shape: tuple[int, int, int, int], block_size: tuple[int, int]) -> None:
        self.mask_mod, self.shape, self.BLOCK_SIZE = mask_mod, shape, block_size
        self.seq_lengths = shape[-2:]

    def to_dense(self) -> Tensor:
        """(B, H, blocks of L, blocks of S): 1 where anything in a block may be seen."""
        from chainrule.nn.functional import max_pool2d, pad

        seen: Any = create_mask(self.mask_mod, *self.shape).float()
        rows, columns = (-length % block for length, block in zip(self.seq_lengths, self.BLOCK_SIZE))
        return max_pool2d(pad(seen, (0, columns, 0, rows)), self.BLOCK_SIZE).int()  # type: ignore[attr-defined]

    def sparsity(self) -> float:
        """The share of blocks, in per cent, in which nothing may be seen."""
        dense: Any = self.to_dense()
        return 100 * (1 - dense.float().mean().item())

    def to(self, device: Any) -> BlockMask:
        """The mask itself."""
        return self


def create_mask(mod_fn: Mod, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Any = None) -> Tensor:
    """The values of a mask function, (B, H, Q_LEN, KV_LEN); B and H are 1 where None."""
    shape = B or 1, H or 1, Q_LEN, KV_LEN
    return mod_fn(*indices(*shape)).expand(shape).clone()


def create_block_mask(
    mask_mod: Mod, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Any = None, BLOCK_SIZE: int | tuple[int, int] = 128,
    _compile: bool = False, **block_layout: Any,
) -> BlockMask:  # fmt: skip
    """A mask for `flex_attention` out of a function (b, h, q_idx, kv_idx) -> bool; B and H are None where it is the same for all.

    Example:
        >>> create_block_mask(lambda b, h, q, k: q >= k, None, None, 256, 256).sparsity()
        25.0
    """
    sizes = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
    return BlockMask(mask_mod, (B or 1, H or 1, Q_LEN, KV_LEN), sizes)


def noop_mask(batch: Any, head: Any, token_q: Any, token_kv: Any) -> Tensor:
    """The mask that hides nothing."""
    return ones((), dtype=bool_)


def and_masks(*mask_mods: Mod) -> Mod:
    """What all of the masks let be seen."""
    check_functions(mask_mods)

    def mod(*where: Any) -> Any:
        result = noop_mask(*where)
        for each in mask_mods:
            result = result & each(*where)
        return result

    return mod


def or_masks(*mask_mods: Mod) -> Mod:
    """What one of the masks lets be seen."""
    check_functions(mask_mods)

    def mod(*where: Any) -> Any:
        result = ~noop_mask(*where)  # type: ignore[operator]
        for each in mask_mods:
            result = result | each(*where)
        return result

    return mod


def check_functions(mods: tuple) -> None:
    if not all([callable(mod) for mod in mods]):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mods}")
