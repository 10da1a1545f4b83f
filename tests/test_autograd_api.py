"""`backward`, `grad`, leaves, grad_fn and modes: what they give and how they refuse, under both libraries."""

import asyncio
import collections
import threading

import pytest
from both import agree, cases, leaf, oracle, plain

import chainrule
from chainrule.autograd.gradients import warn_of_cycle


def chain(torch):
    x = leaf(torch, 3)
    return x, x * 2


def node_names(torch):
    x = leaf(torch, 3)
    node = (x * 2 + 1).sum().grad_fn
    names = [node.name()]
    while node.next_functions:
        names.append([(type(n).__name__, i) for n, i in node.next_functions])
        node = node.next_functions[0][0]
    return names, node.variable is x, node.name()


def second_backward(torch, power):
    y = (leaf(torch, 2) ** power).sum()
    y.backward()
    y.backward()


def second_backward_without_saved(torch):
    x = leaf(torch, 2)
    y = (x + x).sum()
    y.backward()
    y.backward()
    return x.grad


def kept_graph(torch):
    x = leaf(torch, 2)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


def saved_after_backward(torch):
    y = leaf(torch, 2) ** 3
    y.sum().backward()
    return y.grad_fn._saved_self


def saved_values(torch):
    x = leaf(torch, 2)
    y = x.exp()
    product = x * y
    saved = y.grad_fn._saved_result
    return product.grad_fn._saved_self is x, saved, saved.grad_fn is y.grad_fn, (x**3).grad_fn._saved_exponent


def double_cotangent(torch):
    x, y = chain(torch)
    y.backward(torch.ones(3, dtype=torch.float64))
    return x.grad


def to_inputs(torch):
    x, w = leaf(torch, 2), leaf(torch, 2)
    y = x * w
    (y * y).sum().backward(inputs=[y, w])
    return x.grad, w.grad, y.grad


def to_mapping(torch):
    x, w = leaf(torch, 2), leaf(torch, 2)
    (x * w).sum().backward(inputs={"w": w})
    return x.grad, w.grad


def non_leaf_grad(torch):
    return chain(torch)[1].grad


def twice_create_graph(torch):
    x = torch.tensor([0.5, 2.0], requires_grad=True)
    (g,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x, create_graph=True)
    return g, h, torch.autograd.grad(h.sum(), x), g.requires_grad


def backward_create_graph(torch):
    x = torch.tensor([0.5, 2.0], requires_grad=True)
    (x**3).sum().backward(create_graph=True)
    first = x.grad
    again = torch.autograd.grad(first.sum(), x)
    (x * 3).sum().backward()
    return first is x.grad, x.grad, x.grad.requires_grad, again


def batched(torch):
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    rows = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    kept = torch.autograd.grad(x * x, x, rows, is_grads_batched=True, create_graph=True)
    return torch.autograd.grad(x * x, x, rows, is_grads_batched=True), kept, kept[0].requires_grad


def edge_gradients(torch):
    x = leaf(torch, 2)
    y = x * 2
    edge = torch.autograd.graph.get_gradient_edge(y)
    at_leaf = torch.autograd.graph.get_gradient_edge(x)
    kept = torch.autograd.grad((y * y).sum(), [edge, at_leaf], retain_graph=True)
    return kept, torch.autograd.grad(edge, x, torch.ones(2)), edge.output_nr, type(at_leaf.node).__name__


def grows_in_place(torch):
    x = leaf(torch, 2)
    (x * 2).sum().backward()
    g = x.grad
    (x * 3).sum().backward()
    return g is x.grad, g


def laid_out_as_leaf(torch):
    x = torch.ones(3, 2).t().requires_grad_()
    (x * 2).sum().backward()
    y = torch.ones(2, 3).requires_grad_()
    y.expand(4, 2, 3).sum().backward()
    return x.grad.stride(), y.grad, y.grad.stride()


def gradient_is_own_memory(torch):
    x, g = leaf(torch, 2), torch.ones(2)
    (x + 0).backward(g)
    x.grad.add_(1)
    return g


def ones_of(torch, dtype):
    return torch.ones(3, dtype=getattr(torch, dtype))


PROGRAMS = {
    "non_scalar": lambda torch: chain(torch)[1].backward(),
    "untracked": lambda torch: torch.ones(1).backward(),
    "shape": lambda torch: chain(torch)[1].backward(torch.ones(2)),
    "few_gradients": lambda torch: torch.autograd.backward(list(chain(torch)), [torch.ones(3)]),
    "no_tensor_gradient": lambda torch: torch.autograd.backward([chain(torch)[1]], [5]),
    "text_gradient": lambda torch: chain(torch)[1].backward("a"),
    "no_tensor": lambda torch: torch.autograd.backward([5], [torch.ones(3)]),
    "not_iterable": lambda torch: torch.autograd.backward(5),
    "complex_gradient": lambda torch: chain(torch)[1].backward(torch.ones(3, dtype=torch.complex64)),
    "complex_scalar": lambda torch: (leaf(torch, 1, dtype=torch.complex64) * 2).backward(),
    "double_cotangent": double_cotangent,
    "second": lambda torch: second_backward(torch, 3),
    "second_without_saved": second_backward_without_saved,
    "kept_graph": kept_graph,
    "saved_after_backward": saved_after_backward,
    "saved_values": saved_values,
    "no_such_saved": lambda torch: chain(torch)[1].grad_fn._saved_foo,
    "to_inputs": to_inputs,
    "to_mapping": to_mapping,
    "no_inputs": lambda torch: torch.autograd.backward(chain(torch)[1].sum(), inputs=[]),
    "inputs_of_other_type": lambda torch: torch.autograd.backward(chain(torch)[1].sum(), inputs=[5]),
    "inputs_untracked": lambda torch: torch.autograd.backward(chain(torch)[1].sum(), inputs=[torch.ones(2)]),
    "grad_variables": lambda torch: torch.autograd.backward(chain(torch)[1].sum(), grad_variables=torch.ones(())),
    "both_gradients": lambda torch: torch.autograd.backward(chain(torch)[1].sum(), torch.ones(()), grad_variables=torch.ones(())),
    "unused": lambda torch: torch.autograd.grad(chain(torch)[1].sum(), leaf(torch, 2)),
    "unused_allowed": lambda torch: torch.autograd.grad(chain(torch)[1].sum(), leaf(torch, 2), allow_unused=True),
    "materialized": lambda torch: torch.autograd.grad(chain(torch)[1].sum(), leaf(torch, 2), materialize_grads=True),
    "materialized_not_allowed": lambda torch: torch.autograd.grad(
        chain(torch)[1].sum(), leaf(torch, 2), materialize_grads=True, allow_unused=False
    ),
    "input_untracked": lambda torch: torch.autograd.grad(chain(torch)[1].sum(), torch.ones(2)),
    "output_untracked": lambda torch: torch.autograd.grad(torch.ones(1), leaf(torch, 2)),
    "empty_inputs": lambda torch: torch.autograd.grad(chain(torch)[1].sum(), []),
    "None_inputs": lambda torch: torch.autograd.grad(chain(torch)[1].sum(), None),
    "int_inputs": lambda torch: torch.autograd.grad(chain(torch)[1].sum(), [5]),
    "only_inputs": lambda torch: (lambda x, y: torch.autograd.grad(y.sum(), x, only_inputs=False))(*chain(torch)),
    "dict": lambda torch: (lambda x, y: torch.autograd.grad(y.sum(), {"a": x}))(*chain(torch)),
    "other_mapping": lambda torch: torch.autograd.grad(chain(torch)[1].sum(), collections.OrderedDict(a=leaf(torch, 2))),
    "root_is_input": lambda torch: (lambda x, y: torch.autograd.grad(y.sum(), [x, x]))(*chain(torch)),
    "leaf_is_root": lambda torch: (lambda x: torch.autograd.grad(x, x, torch.ones(2)))(leaf(torch, 2)),
    "batched": batched,
    "batched_without_batch": lambda torch: (lambda x, y: torch.autograd.grad(y, x, torch.ones(3), is_grads_batched=True))(*chain(torch)),
    "edge_gradients": edge_gradients,
    "edge_untracked": lambda torch: torch.autograd.graph.get_gradient_edge(torch.ones(2)),
    "twice_create_graph": twice_create_graph,
    "non_leaf_grad": non_leaf_grad,
    "node_names": node_names,
    "node_type": lambda torch: (type(chain(torch)[1].grad_fn).__module__, str(chain(torch)[1].grad_fn), chain(torch)[1].grad_fn.metadata),
    "is_node": lambda torch: [
        isinstance(n, torch.autograd.graph.Node) for n in (chain(torch)[1].grad_fn, chain(torch)[1].grad_fn.next_functions[0][0])
    ],
    "sequence": lambda torch: chain(torch)[1].grad_fn._sequence_nr() < chain(torch)[1].grad_fn._sequence_nr(),
    "call_node": lambda torch: chain(torch)[1].grad_fn(torch.ones(3)),
    "call_node_bare": lambda torch: chain(torch)[1].grad_fn(),
    "call_node_int": lambda torch: chain(torch)[1].grad_fn(5),
    "grows_in_place": grows_in_place,
    "laid_out_as_leaf": laid_out_as_leaf,
    "gradient_is_own_memory": gradient_is_own_memory,
    "int_tracked": lambda torch: ones_of(torch, "int64").requires_grad_(),
    "int_tracked_set": lambda torch: setattr(ones_of(torch, "int64"), "requires_grad", True),
    "int_made_tracked": lambda torch: torch.ones(3, dtype=torch.int64, requires_grad=True),
    "int_untracked": lambda torch: ones_of(torch, "int64").requires_grad_(False),
    "non_leaf_untracked": lambda torch: chain(torch)[1].requires_grad_(False),
    "non_leaf_tracked": lambda torch: chain(torch)[1].requires_grad_().requires_grad,
    "tracked_text": lambda torch: torch.ones(2).requires_grad_("a"),
    "tracked_set_int": lambda torch: setattr(torch.ones(2), "requires_grad", 1),
    "grad_of_other_type": lambda torch: setattr(torch.ones(3), "grad", 5),
    "grad_of_other_shape": lambda torch: setattr(torch.ones(3), "grad", torch.ones(2)),
    "grad_of_other_dtype": lambda torch: setattr(torch.ones(3), "grad", ones_of(torch, "int64")),
    "data_of_other_type": lambda torch: setattr(torch.ones(3), "data", 5),
    "retain_untracked": lambda torch: torch.ones(2).retain_grad(),
}


@cases(PROGRAMS)
def test_same_outcome(program):
    agree(program)


@pytest.mark.filterwarnings("ignore:Using backward")
def test_backward_with_create_graph():
    """Not among the programs, for PyTorch warns of it once a process."""
    ours, theirs = backward_create_graph(chainrule), backward_create_graph(oracle)
    assert plain(ours) == plain(theirs)


def test_backward_with_create_graph_warns():
    warn_of_cycle.cache_clear()
    with pytest.warns(UserWarning, match="will create a reference cycle between the parameter and its gradient"):
        backward_create_graph(chainrule)


def test_own_gradient_is_refused():
    for torch in (chainrule, oracle):
        x = torch.ones(2)
        with pytest.raises(RuntimeError, match="can't assign Variable as its own grad"):
            x.grad = x


# Modes


def modes(torch):
    x = leaf(torch, 2)
    seen = []

    @torch.no_grad()
    def called():
        return (x * 2).requires_grad

    @torch.no_grad
    def bare():
        return (x * 2).requires_grad

    @torch.enable_grad()
    def enabled():
        return (x * 2).requires_grad

    @torch.set_grad_enabled(False)
    def switched():
        return torch.is_grad_enabled()

    with torch.no_grad():
        seen += [(x * 2).requires_grad, enabled()]
    seen += [called(), bare(), switched(), torch.is_grad_enabled()]
    torch.set_grad_enabled(False)
    seen.append(torch.is_grad_enabled())
    torch.set_grad_enabled(True)
    with torch.set_grad_enabled(False):
        seen.append(torch.is_grad_enabled())
    return seen, torch.is_grad_enabled(), repr(torch.set_grad_enabled(True))


def generators(torch):
    seen = []

    @torch.no_grad()
    def steps():
        seen.append(torch.is_grad_enabled())
        got = yield 1
        seen.append((got, torch.is_grad_enabled()))
        try:
            yield 2
        except ValueError:
            seen.append(("caught", torch.is_grad_enabled()))
            yield 3
        return 4

    it = steps()
    seen += [next(it), torch.is_grad_enabled(), it.send(7), it.throw(ValueError())]
    try:
        next(it)
    except StopIteration as end:
        seen.append(end.value)
    return seen, torch.is_grad_enabled()


def decorated_class(torch):
    @torch.no_grad()
    class Seen:
        def __init__(self):
            self.enabled = torch.is_grad_enabled()

    return Seen().enabled


def after_an_error(torch):
    try:
        with torch.no_grad():
            raise ValueError
    except ValueError:
        return torch.is_grad_enabled()


def inference(torch):
    x = leaf(torch, 2)
    plain = torch.ones(2)

    @torch.inference_mode()
    def inside():
        return torch.is_inference_mode_enabled()

    with torch.inference_mode():
        made = x * 2
        plain.add_(1)
        seen = [torch.is_inference_mode_enabled(), torch.is_grad_enabled()]
        seen += [made.is_inference(), made.requires_grad, plain[:1].is_inference()]
        with torch.inference_mode(False):
            seen += [torch.is_inference_mode_enabled(), torch.is_grad_enabled(), (x * 2).requires_grad]
    return seen, inside(), plain._version, plain.is_inference(), (made * 2).is_inference(), made.clone().is_inference(), x + made


def made_in_inference(torch):
    with torch.inference_mode():
        return torch.ones(2)


MODES = {
    "modes": modes,
    "generators": generators,
    "decorated_class": decorated_class,
    "after_an_error": after_an_error,
    "inference": inference,
    "inference_write": lambda torch: made_in_inference(torch).add_(1),
    "inference_version": lambda torch: made_in_inference(torch)._version,
    "inference_tracked": lambda torch: made_in_inference(torch).requires_grad_(),
    "inference_backward": lambda torch: torch.inference_mode()(lambda: leaf(torch, 2).sum().backward())(),
    "inference_cotangent": lambda torch: torch.autograd.backward(leaf(torch, 2) * 1, made_in_inference(torch)),
}


@cases(MODES)
def test_modes(program):
    agree(program)


def test_saved_inference_tensor_is_refused():
    """PyTorch refuses to save it, chainrule to read it: the eager path has no time to look."""
    message = "Inference tensors cannot be saved for backward"
    with pytest.raises(RuntimeError, match=message):
        (leaf(oracle, 2) * made_in_inference(oracle)).sum().backward()
    with pytest.raises(RuntimeError, match=message):
        (leaf(chainrule, 2) * made_in_inference(chainrule)).sum().backward()


def test_coroutines_leave_the_mode_while_they_wait():
    torch = chainrule
    seen = []

    @torch.no_grad()
    async def wait():
        seen.append(torch.is_grad_enabled())
        await asyncio.sleep(0)
        seen.append(torch.is_grad_enabled())
        return 5

    async def main():
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        seen.append(("outside", torch.is_grad_enabled()))
        seen.append(await task)

    asyncio.run(main())
    assert seen == [False, ("outside", True), False, 5] and torch.is_grad_enabled()


# Threads


def in_threads(count, work):
    errors = []

    def guarded(i):
        try:
            work(i)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors


def separate_graphs(torch):
    found = []

    def work(i):
        x = torch.full((3,), float(i), requires_grad=True)
        (x * x).sum().backward()
        found.append((i, x.grad.tolist(), torch.is_grad_enabled()))

    with torch.no_grad():  # modes belong to the thread that set them
        in_threads(8, work)
    return sorted(found)


def shared_leaf(torch):
    x = leaf(torch, 3)

    def work(i):
        for _ in range(20):
            (x * 2).sum().backward()

    in_threads(4, work)
    return x.grad


def shared_graph(torch):
    x = leaf(torch, 3)
    y = x * x
    roots = [(y * i).sum() for i in range(8)]
    in_threads(8, lambda i: roots[i].backward(retain_graph=True))
    return x.grad


@cases([separate_graphs, shared_leaf, shared_graph])
def test_threads(program):
    agree(program)


def test_error_in_thread_reaches_the_caller():
    y = (leaf(chainrule, 2) ** 2).sum()
    y.backward()
    errors = []

    def work():
        try:
            y.backward()
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "a second time" in errors[0]
