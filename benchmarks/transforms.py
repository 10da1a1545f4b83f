"""Times the derivative transforms against PyTorch's, and in chainrule against what they replace: `python benchmarks/transforms.py`.

Ratios to PyTorch come from rounds in turns in one process, two threads each (below 1: chainrule is faster). The second table is
chainrule alone: forward mode against the function, per-sample gradients at once against one by one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from types import ModuleType

from run import in_turns, timed

Work = Callable[[ModuleType], Callable[[], object]]


def mlp(torch: ModuleType) -> tuple:
    """Parameters, a loss of them, and a batch."""
    torch.manual_seed(0)
    x, y = torch.randn(64, 32), torch.randn(64, 10)
    parameters = tuple([torch.randn(*s) * 0.2 for s in ((32, 64), (64,), (64, 10), (10,))])

    def loss(w1: object, b1: object, w2: object, b2: object) -> object:
        return ((torch.tanh(x @ w1 + b1) @ w2 + b2 - y) ** 2).mean()

    return parameters, loss


def hvp(torch: ModuleType) -> Callable[[], object]:
    parameters, loss = mlp(torch)
    v = tuple([torch.ones_like(p) for p in parameters])
    return lambda: torch.autograd.functional.hvp(loss, parameters, v)


def hvp_forward(torch: ModuleType) -> Callable[[], object]:
    parameters, loss = mlp(torch)
    v = tuple([torch.ones_like(p) for p in parameters])
    slope = torch.func.grad(loss, argnums=(0, 1, 2, 3))
    return lambda: torch.func.jvp(slope, parameters, v)


def jvp(torch: ModuleType) -> Callable[[], object]:
    parameters, loss = mlp(torch)
    v = tuple([torch.ones_like(p) for p in parameters])
    return lambda: torch.func.jvp(loss, parameters, v)


def wide(torch: ModuleType) -> tuple:
    torch.manual_seed(0)
    w = torch.randn(64, 64) * 0.1
    return torch.randn(64), lambda x: torch.tanh(torch.tanh(w @ x) * x + w.T @ x)


def jacobian(torch: ModuleType) -> Callable[[], object]:
    x, f = wide(torch)
    return lambda: torch.autograd.functional.jacobian(f, x, vectorize=True)


def jacrev(torch: ModuleType) -> Callable[[], object]:
    x, f = wide(torch)
    return lambda: torch.func.jacrev(f)(x)


def jacfwd(torch: ModuleType) -> Callable[[], object]:
    x, f = wide(torch)
    return lambda: torch.func.jacfwd(f)(x)


def hessian(torch: ModuleType) -> Callable[[], object]:
    torch.manual_seed(0)
    x, a = torch.randn(20), torch.randn(30, 20)
    return lambda: torch.func.hessian(lambda p: torch.log(1 + torch.exp(a @ p)).sum() + (p * p).sum())(x)


def cnn(torch: ModuleType, batch: int = 64) -> tuple:
    """The parameters of a small convolutional net, its loss on one example, and a batch."""
    torch.manual_seed(0)
    F = torch.nn.functional
    shapes = {"w1": (8, 1, 3, 3), "b1": (8,), "w2": (16, 8, 3, 3), "b2": (16,), "w3": (10, 64), "b3": (10,)}
    parameters = {n: torch.randn(*s) * 0.2 for n, s in shapes.items()}
    images, labels = torch.randn(batch, 1, 8, 8), torch.randint(0, 10, (batch,))

    def loss(p: dict, image: object, label: object) -> object:
        h = torch.relu(F.conv2d(image[None], p["w1"], p["b1"], padding=1))
        h = F.max_pool2d(torch.relu(F.conv2d(h, p["w2"], p["b2"], padding=1)), 4)
        return F.cross_entropy(F.linear(h.flatten(1), p["w3"], p["b3"]), label[None])

    return parameters, loss, images, labels


def per_sample(torch: ModuleType) -> Callable[[], object]:
    parameters, loss, images, labels = cnn(torch)
    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    return lambda: gradients(parameters, images, labels)


def per_sample_mlp(torch: ModuleType) -> Callable[[], object]:
    torch.manual_seed(0)
    parameters = [torch.randn(*s) * 0.2 for s in ((32, 64), (64,), (64, 10), (10,))]
    x, y = torch.randn(64, 32), torch.randint(0, 10, (64,))

    def loss(p: list, x: object, y: object) -> object:
        return torch.nn.functional.cross_entropy(torch.tanh(x @ p[0] + p[1]) @ p[2] + p[3], y)

    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    return lambda: gradients(parameters, x, y)


ROWS: tuple[tuple[str, Work], ...] = (
    ("Hessian-vector product of an MLP's loss, `functional.hvp`", hvp),
    ("the same, `func.jvp` of `func.grad`", hvp_forward),
    ("Jacobian-vector product of an MLP's loss, `func.jvp`", jvp),
    ("Jacobian 64 by 64, `functional.jacobian(vectorize=True)`", jacobian),
    ("Jacobian 64 by 64, `func.jacrev`", jacrev),
    ("Jacobian 64 by 64, `func.jacfwd`", jacfwd),
    ("Hessian of a loss of 20 parameters, `func.hessian`", hessian),
    ("per-sample gradients of an MLP, batch 64", per_sample_mlp),
    ("per-sample gradients of a CNN, batch 64", per_sample),
)


def best(function: Callable[[], object], calls: int) -> float:
    return min([timed(function, calls) for _ in range(5)])


def alone(torch: ModuleType) -> list[tuple[str, float, float]]:
    """Pairs of times of chainrule: (what, with the transform, without)."""
    parameters, loss = mlp(torch)
    rows = [("`func.jvp` of an MLP's loss, and the loss", best(jvp(torch), 50), best(lambda: loss(*parameters), 50))]
    p, one, images, labels = cnn(torch)
    slope = torch.func.grad(one)
    loop = best(lambda: [slope(p, images[i], labels[i]) for i in range(len(images))], 2)
    rows.append(("per-sample gradients of a CNN, at once and one by one", best(per_sample(torch), 5), loop))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    import torch

    import chainrule

    torch.set_num_threads(2)
    print("| work | chainrule | PyTorch | ratio |\n|---|---|---|---|")
    for title, make in ROWS:
        ours, theirs = in_turns(make, [chainrule, torch], rounds)
        print(f"| {title} | {ours * 1e3:.2f} ms | {theirs * 1e3:.2f} ms | {ours / theirs:.2f} |", flush=True)
    print("\n| work | first | second | first / second |\n|---|---|---|---|")
    for title, first, second in alone(chainrule):
        print(f"| {title} | {first * 1e3:.2f} ms | {second * 1e3:.2f} ms | {first / second:.2f} |")


if __name__ == "__main__":
    main()
