"""Profiles: PyTorch's names, tables, files and schedules; the same results as without one, and nothing left when it is over."""

import gc
import gzip
import importlib
import json
import pkgutil
import threading

import numpy as np
import pytest
import torch
import torch.utils.benchmark

import chainrule
from chainrule._core import modes
from chainrule.autograd import profiler_util as ours
from chainrule.profiler.names import UNSEEN, of_function, of_primitive
from chainrule.utils import benchmark

BOTH = pytest.mark.parametrize("lib", [torch, chainrule])


def model(lib, seed=0):
    lib.manual_seed(seed)
    layers = lib.nn.Sequential(lib.nn.Linear(8, 16), lib.nn.ReLU(), lib.nn.LayerNorm(16), lib.nn.Linear(16, 4))
    return layers, lib.optim.SGD(layers.parameters(), lr=0.1, momentum=0.9), lib.randn(5, 8), lib.randint(0, 4, (5,))


def train(lib, layers, optimizer, x, y):
    optimizer.zero_grad()
    with lib.profiler.record_function("forward"):
        loss = lib.nn.functional.cross_entropy(layers(x), y)
    loss.backward()
    optimizer.step()
    return loss


def profiled(lib, **options):
    parts = model(lib)
    train(lib, *parts)
    with lib.profiler.profile(activities=[lib.profiler.ProfilerActivity.CPU], **options) as prof:
        train(lib, *parts)
    return prof


def inside(prof, name):
    """The events just inside of the one of that name."""
    return [e for e in prof.events() if e.cpu_parent is not None and e.cpu_parent.name == name]


def test_a_training_step_has_pytorch_names():
    theirs, mine = profiled(torch), profiled(chainrule)
    assert [e.name for e in inside(theirs, "forward")] == [e.name for e in inside(mine, "forward")]
    known = {e.name for e in theirs.events()}
    assert {e.name for e in mine.events()} - known <= {"[memory]"}
    nodes = [[e.name for e in p.events() if e.scope == 1 and "AccumulateGrad" not in e.name] for p in (theirs, mine)]
    # PyTorch's linear transposes its weight, a node of its own; here it is part of the product
    assert [n for n in nodes[0] if n != "TBackward0"] == nodes[1]
    counts = [{e.key: e.count for e in p.key_averages()}["torch::autograd::AccumulateGrad"] for p in (theirs, mine)]
    assert counts[0] == counts[1] == 6


def test_loaders_and_optimizers_are_named():
    names = []
    for lib in (torch, chainrule):
        loader = lib.utils.data.DataLoader(lib.utils.data.TensorDataset(lib.ones(4, 2)), batch_size=2)
        optimizer = lib.optim.SGD([lib.ones(2, requires_grad=True)], lr=0.1)
        with lib.profiler.profile() as prof:
            for _ in loader:
                optimizer.zero_grad()
                optimizer.step()
        names.append({e.name for e in prof.events() if e.is_user_annotation})
    assert names[0] == names[1] and len(names[0]) == 3


def test_shapes_memory_and_scopes_are_pytorch_s():
    theirs, mine = (profiled(lib, record_shapes=True, profile_memory=True) for lib in (torch, chainrule))
    for name in ("aten::linear", "aten::relu"):
        a, b = ([e for e in p.events() if e.name == name] for p in (theirs, mine))
        assert [e.input_shapes[:3] for e in a] == [e.input_shapes for e in b]
        assert [e.cpu_memory_usage for e in a] == [e.cpu_memory_usage for e in b]
    for name in ("ReluBackward0", "AddmmBackward0"):
        a, b = ([e for e in p.events() if e.name == name] for p in (theirs, mine))
        assert [e.input_shapes for e in a] == [e.input_shapes for e in b]
    linear = [e for e in mine.events() if e.name == "aten::linear"][0]
    node = [e for e in mine.events() if e.name == "AddmmBackward0"][-1]
    assert linear.sequence_nr == node.sequence_nr >= 0
    assert {(e.scope, e.is_user_annotation) for e in mine.events()} == {(0, False), (1, False), (7, True)}


def test_flops_are_pytorch_s():
    found = []
    for lib in (torch, chainrule):
        with lib.profiler.profile(with_flops=True) as prof:
            x = lib.ones(4, 5)
            x @ lib.ones(5, 6), x * 2, x + x
            lib.nn.functional.conv2d(lib.ones(2, 3, 8, 8), lib.ones(4, 3, 3, 3))
            lib.nn.functional.linear(x, lib.ones(3, 5), lib.ones(3))
            lib.bmm(lib.ones(2, 3, 4), lib.ones(2, 4, 5))
        averages = prof.key_averages()
        found.append({e.key: e.flops for e in averages if e.flops})
        assert "FLOPs" in averages.table()
    assert found[0] == found[1]


def events(lib, counted=False):
    """The same made-up events for either library, with stacks or with counts of operations (with both, PyTorch's columns are mixed up)."""
    make = torch.autograd.profiler_util.FunctionEvent if lib is torch else ours.FunctionEvent
    drawn = np.random.default_rng(0)
    made = []
    for i in range(40):
        start = float(drawn.integers(0, 10**6)) / 7
        name = drawn.choice(["aten::add", "aten::a_function_with_a_name_that_is_longer_than_any_column_can_be", "x"])
        e = make(i, str(name), 1, start, start + float(drawn.random() * 10 ** drawn.integers(0, 8)), input_shapes=[[int(i % 3), 2], []],
                 stack=[] if counted else ["a/long/path/" * 8 + f"file.py({i % 2}): f", "g"],
                 flops=int(drawn.integers(0, 2) * i * 1000) if counted else 0)  # fmt: skip
        e.cpu_memory_usage = int(drawn.integers(-(10**10), 10**10)) >> int(drawn.integers(0, 30))
        if lib is chainrule:
            e.self_cpu_memory_usage = e.cpu_memory_usage
        if i % 5 == 4:
            e.cpu_parent = made[-1]
        made.append(e)
    kind = torch.autograd.profiler_util.EventList if lib is torch else ours.EventList
    found = kind(made, profile_memory=True, with_flops=True)
    found._tree_built = True
    return found


@pytest.mark.parametrize(
    "options",
    [
        {}, {"sort_by": "cpu_time_total"}, {"sort_by": "self_cpu_memory_usage", "row_limit": 3}, {"row_limit": -1, "time_unit": "ms"},
        {"header": "A header", "top_level_events_only": True}, {"max_name_column_width": 20, "max_src_column_width": 30},
        {"max_shapes_column_width": 6, "time_unit": "s"}, {"max_name_column_width": None, "max_src_column_width": None},
    ],
)  # fmt: skip
def test_tables_are_pytorch_s_to_the_character(options):
    for counted in (False, True):
        a, b = events(torch, counted), events(chainrule, counted)
        assert a.table(**options) == b.table(**options)
        for grouping in ({}, {"group_by_input_shapes": True}, {"group_by_stack_n": 1}):
            assert a.key_averages(**grouping).table(**options) == b.key_averages(**grouping).table(**options)


def test_sums_are_pytorch_s():
    a, b = events(torch), events(chainrule)
    assert repr(a.total_average()) == repr(b.total_average())
    assert a.self_cpu_time_total == b.self_cpu_time_total
    for x, y in zip(a.key_averages(), b.key_averages(), strict=True):
        assert repr(x) == repr(y)
        assert (x.count, x.cpu_time, x.cpu_time_str, x.cpu_time_total_str) == (y.count, y.cpu_time, y.cpu_time_str, y.cpu_time_total_str)


def test_stacks_export_as_pytorch_s(tmp_path):
    for lib, name in ((torch, "a"), (chainrule, "b")):
        events(lib).export_stacks(str(tmp_path / name), "self_cpu_time_total")
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()
    with pytest.raises(ValueError, match="metric should be one of"):
        events(chainrule).export_stacks(str(tmp_path / "c"), "nope")


def test_children_lie_within_their_parents():
    prof = profiled(chainrule)
    found = prof.events()
    for e in found:
        assert e.time_range.end >= e.time_range.start
        if e.cpu_parent is not None:
            assert e in e.cpu_parent.cpu_children
            assert e.cpu_parent.time_range.start <= e.time_range.start and e.time_range.end <= e.cpu_parent.time_range.end
    assert found.self_cpu_time_total == pytest.approx(sum([e.cpu_time_total for e in found if e.cpu_parent is None]))


def test_results_are_the_same_and_nothing_stays():
    before = modes.state.busy
    plain, watched = model(chainrule), model(chainrule)
    for step in range(3):
        a = train(chainrule, *plain)
        with chainrule.profiler.profile(record_shapes=True, profile_memory=True, with_stack=True, with_flops=True):
            b = train(chainrule, *watched)
        assert a.item() == b.item(), step
    for p, q in zip(plain[0].parameters(), watched[0].parameters(), strict=True):
        assert np.array_equal(p.grad.numpy(), q.grad.numpy())
    assert modes.state.busy == before and modes.local.profile is None


def test_an_op_that_is_off_makes_no_event():
    with chainrule.autograd.profiler.profile() as prof:
        pass
    chainrule.ones(3).exp()
    with chainrule.profiler.record_function("late"):
        chainrule.ones(3).exp()
    assert len(prof.function_events) == 0
    with chainrule.autograd.profiler.profile(enabled=False) as none:
        chainrule.ones(3).exp()
    assert none is None


def test_an_error_ends_the_profile_and_is_as_without():
    for call, error in ((lambda t: t + chainrule.ones(5), RuntimeError), (lambda t: chainrule.nn.functional.relu("x"), TypeError),
                        (lambda t: t.view(7), RuntimeError)):  # fmt: skip
        messages = []
        for _ in range(2):
            try:
                if messages:
                    with chainrule.profiler.profile():
                        call(chainrule.ones(3))
                call(chainrule.ones(3))
            except error as raised:
                messages.append(str(raised))
        assert len(messages) == 2 and messages[0] == messages[1]
        assert modes.local.profile is None


def test_modes_and_subclasses_see_what_they_saw():
    class Count(chainrule.overrides.TorchFunctionMode):
        def __init__(self):
            self.names = []

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.names.append(func.__name__)
            return func(*args, **(kwargs or {}))

    class Mine(chainrule.Tensor):
        pass

    def work():
        with Count() as mode:
            x = chainrule.ones(3).as_subclass(Mine)
            y = chainrule.nn.functional.linear(x.exp() @ chainrule.ones(3, 3), chainrule.ones(2, 3), chainrule.ones(2))
        return mode.names, type(y)

    plain = work()
    with chainrule.profiler.profile():
        assert work() == plain


def test_custom_functions_hooks_and_higher_derivatives_are_timed():
    class Double(chainrule.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = chainrule.ones(3, requires_grad=True)
    x.register_hook(lambda g: g * 1)
    with chainrule.profiler.profile() as prof:
        y = Double.apply(x).exp().sum()
        (g,) = chainrule.autograd.grad(y, x, create_graph=True)
        g.sum().backward()
    assert {"DoubleBackward", "ExpBackward0", "SumBackward0"} <= {e.name for e in prof.events() if e.scope == 1}
    children = {e.name for e in prof.events() if e.cpu_parent is not None and e.cpu_parent.name == "DoubleBackward"}
    assert children == {"aten::mul"}
    reference = torch.ones(3, requires_grad=True)
    reference.register_hook(lambda g: g * 1)
    z = (reference * 2).exp().sum()
    torch.autograd.grad(z, reference, create_graph=True)[0].sum().backward()
    assert np.allclose(x.grad.numpy(), reference.grad.numpy())


def test_selective_checkpoints_work_under_a_profile():
    from functools import partial

    from chainrule.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

    contexts = partial(create_selective_checkpoint_contexts, [chainrule.ops.aten.mm.default])
    grads = []
    for on in (False, True):
        x = chainrule.ones(2, 2, requires_grad=True)
        with chainrule.autograd.profiler.profile(enabled=on):
            checkpoint(lambda x: (x @ x).sin(), x, use_reentrant=False, context_fn=contexts).sum().backward()
        grads.append(x.grad.numpy())
    assert np.array_equal(*grads)


def test_only_this_thread_is_recorded():
    def work():
        (chainrule.ones(3) * 2).exp()

    with chainrule.profiler.profile() as prof:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(prof.events()) == 0
    found = []

    def profile_there():
        with chainrule.profiler.profile() as inner:
            work()
        found.extend(e.name for e in inner.events())

    thread = threading.Thread(target=profile_there)
    thread.start()
    work()
    thread.join()
    assert found[-2:] == ["aten::mul", "aten::exp"]


def test_memory_that_goes_is_counted():
    with chainrule.profiler.profile(profile_memory=True) as prof:
        a = chainrule.ones(256)
        b = a * 2
        view = b[:10]
        del b
        view.exp()
        del view
    by_name = {e.name: e for e in prof.events()}
    assert by_name["aten::mul"].self_cpu_memory_usage == 1024
    assert sum([e.self_cpu_memory_usage for e in prof.events() if e.name == "[memory]"]) == -1024 - 40
    assert sum([e.self_cpu_memory_usage for e in prof.events()]) == 1024  # what `a` still has


def test_new_tensors_are_timed_too():
    before = chainrule.randn
    runs = []
    for lib in (torch, chainrule):
        with lib.profiler.profile() as prof:
            lib.ones(3), lib.zeros(2, 2), lib.randn(4), lib.arange(5), lib.full((2,), 1.0), lib.eye(3), lib.randperm(4)
        runs.append({e.name for e in prof.events()})
    assert runs[1] <= runs[0] and len(runs[1]) == 7
    assert chainrule.randn is before


def test_stacks_name_the_caller_and_go_to_the_backward():
    with chainrule.profiler.profile(with_stack=True) as prof:
        x = chainrule.ones(3, requires_grad=True)
        x.exp().sum().backward()
    op = [e for e in prof.events() if e.name == "aten::exp"][0]
    node = [e for e in prof.events() if e.name == "ExpBackward0"][0]
    assert "test_profiler.py(" in op.stack[0] and op.stack[0].endswith(": test_stacks_name_the_caller_and_go_to_the_backward")
    assert node.stack == op.stack
    assert "Source Location" in prof.key_averages(group_by_stack_n=2).table()


@pytest.mark.parametrize("suffix", ["json", "json.gz"])
def test_the_chrome_trace_has_pytorch_s_fields(tmp_path, suffix):
    traces = []
    for lib in (torch, chainrule):
        prof = profiled(lib, record_shapes=True, profile_memory=True)
        if lib is chainrule:
            prof.add_metadata("a", "b")
            prof.add_metadata_json("c", "[1]")
        path = str(tmp_path / f"{lib.__name__}.{suffix}")
        prof.export_chrome_trace(path)
        with (gzip.open if suffix.endswith("gz") else open)(path, "rt") as file:
            traces.append(json.load(file))
    theirs, mine = traces
    assert theirs.keys() <= mine.keys() | {"trace_id", "distributedInfo"} and mine["a"] == "b" and mine["c"] == [1]

    def fields(trace, name):
        (record, *_) = [r for r in trace["traceEvents"] if r["ph"] == "X" and r["name"] == name]
        return {k: v for k, v in record.items() if k not in ("args", "ts", "dur", "pid", "tid")}, record["args"]

    for name in ("aten::linear", "ReluBackward0", "forward"):
        (a, a_args), (b, b_args) = fields(theirs, name), fields(mine, name)
        assert a == b and b_args.keys() <= a_args.keys()
    ends = [{r["ph"] for r in t["traceEvents"] if r.get("cat") == "fwdbwd"} for t in traces]
    assert ends[0] == ends[1] == {"s", "f"}
    sizes = [r["args"]["Bytes"] for r in mine["traceEvents"] if r["name"] == "[memory]"]
    assert max(sizes) > 0 > min(sizes)


@pytest.mark.parametrize("n", range(20))
def test_schedules_are_pytorch_s(n):
    drawn = np.random.default_rng(n)
    names = ("wait", "warmup", "active", "repeat", "skip_first", "skip_first_wait")
    options = {name: int(v) for name, v in zip(names, drawn.integers(0, 4, 6), strict=True)} | {"active": int(drawn.integers(1, 4))}
    options["warmup"] += 1
    a, b = (lib.profiler.schedule(**options) for lib in (torch, chainrule))
    assert [a(i).name for i in range(30)] == [b(i).name for i in range(30)]


@BOTH
def test_schedules_refuse_and_warn(lib):
    with pytest.raises(AssertionError, match=r"Invalid profiler schedule arguments. Got wait=-1 \(need >= 0\)"):
        lib.profiler.schedule(wait=-1, warmup=0, active=1)
    with pytest.warns(UserWarning, match="Profiler won't be using warmup, this can skew profiler results"):
        lib.profiler.schedule(wait=0, warmup=0, active=1)


def test_steps_are_recorded_as_the_schedule_says(tmp_path):
    runs = []
    for lib in (torch, chainrule):
        ready = []

        def handler(p, ready=ready):
            names = [e.name for e in p.events() if e.name in ("aten::exp", "ProfilerStep*")]
            ready.append((p.step_num, names))

        plan = lib.profiler.schedule(wait=1, warmup=1, active=2, repeat=2)
        with lib.profiler.profile(schedule=plan, on_trace_ready=handler) as prof:
            for _ in range(9):
                lib.ones(2).exp()
                prof.step()
        runs.append((ready, sorted({e.key for e in prof.key_averages()} & {"aten::exp", "ProfilerStep*"})))
    assert runs[0] == runs[1]
    handler = chainrule.profiler.tensorboard_trace_handler(str(tmp_path / "logs"), "me", use_gzip=True)
    with chainrule.profiler.profile(on_trace_ready=handler):
        chainrule.ones(2).exp()
    (file,) = (tmp_path / "logs").iterdir()
    assert file.name.startswith("me.") and file.name.endswith(".pt.trace.json.gz")


def test_activities_are_checked():
    profiler = chainrule.profiler
    assert repr(torch.profiler.ProfilerActivity.CPU) == "<ProfilerActivity.CPU: 0>"
    assert profiler.supported_activities() >= {profiler.ProfilerActivity.CPU}
    assert repr(profiler.ProfilerActivity.CPU) == "<ProfilerActivity.CPU: 0>"
    with pytest.raises(AssertionError, match="No valid profiler activities found"):
        profiler.profile(activities=[])
    with pytest.raises(TypeError, match="Expected ProfilerActivity or dict"):
        profiler.profile(activities=["cpu"])
    with pytest.warns(UserWarning, match="CUDA is not available, disabling CUDA profiling"):
        profiler.profile(activities=[profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.CUDA])
    with pytest.raises(ValueError, match="specified more than once"):
        profiler.profile(activities=[profiler.ProfilerActivity.CPU] * 2)
    with pytest.raises(AssertionError, match="Profiler must be initialized before accessing events"):
        profiler.profile().events()


@BOTH
def test_a_profile_is_entered_once(lib):
    prof = lib.autograd.profiler.profile()
    assert str(prof) == repr(prof) == "<unfinished torch.autograd.profile>"
    with prof:
        lib.ones(2).exp()
    assert "aten::exp" in str(prof) and prof.self_cpu_time_total > 0
    with pytest.raises(RuntimeError, match="Profiler context manager is not reentrant"), prof:
        pass


def test_a_second_profile_in_a_thread_is_refused():
    with chainrule.profiler.profile() as outer:
        with pytest.raises(RuntimeError, match="already enabled"), chainrule.profiler.profile():
            pass
        chainrule.ones(2).exp()
    assert "aten::exp" in [e.name for e in outer.events()]


@BOTH
def test_functions_can_be_named(lib):
    @lib.profiler.record_function("named")
    def work():
        return lib.ones(2).exp()

    with lib.profiler.profile() as prof:
        work()
        work()
    (average,) = [e for e in prof.key_averages() if e.key == "named"]
    assert average.count == 2 and average.is_user_annotation


def test_all_names_are_known_to_pytorch():
    from chainrule.ops.primitive import Primitive

    for module in pkgutil.iter_modules(chainrule.ops.__path__):
        importlib.import_module(f"chainrule.ops.{module.name}")
    known = {n.partition("::")[2].partition(".")[0] for n in torch._C._dispatch_get_all_op_names() if n.startswith("aten::")}
    primitives = {o.name for o in gc.get_objects() if type(o) in (Primitive, *Primitive.__subclasses__())}
    named = [of_primitive(n) for n in primitives]
    assert not [n for n in named if n.startswith("aten::") and n[6:] not in known]
    rooms = chainrule, chainrule.nn.functional, chainrule.linalg, chainrule.fft
    public = [f for room in rooms for f in vars(room).values() if hasattr(f, "shown")]
    functions = {f.__name__.removesuffix("_any") for f in public}
    assert len(functions) > 200
    assert not [n for n in functions - UNSEEN if of_function(n)[6:] not in known]


# utils.benchmark


@pytest.mark.parametrize("n", range(40))
def test_comparisons_are_pytorch_s(n):
    drawn = np.random.default_rng(n)
    rooms, results = (torch.utils.benchmark, benchmark), ([], [])
    environments = [[None], ["a", "bbb"]][drawn.integers(2)]
    for threads in (1, 4)[: drawn.integers(1, 3)]:
        for env in environments:
            for sub in [[None], ["x", "yy"]][drawn.integers(2)]:
                for description in ("p", "longer", "q")[: drawn.integers(1, 4)]:
                    base = 10 ** drawn.uniform(-8.5, -1)
                    times = (base * (1 + drawn.random(drawn.choice([1, 3, 9, 40])) * drawn.choice([0.01, 0.5]))).tolist()
                    for room, found in zip(rooms, results, strict=True):
                        task = room.TaskSpec("x + x", "s", label="L", sub_label=sub, description=description, env=env, num_threads=threads)
                        found.append(room.Measurement(1, times, task))
    switches = drawn.integers(2, size=4)
    tables = []
    for room, found in zip(rooms, results, strict=True):
        table = room.Compare(found)
        if switches[0]:
            table.trim_significant_figures()
        if switches[1]:
            table.colorize(rowwise=bool(switches[2]))
        if switches[3]:
            table.highlight_warnings()
        tables.append(str(table))
    assert tables[0] == tables[1]
    for a, b in zip(*results, strict=True):
        assert repr(a).splitlines()[1:] == repr(b).splitlines()[1:]
        assert a.significant_figures == b.significant_figures


def test_timers_measure():
    timer = benchmark.Timer("\n    y = x + x", setup="x = torch.ones(8)", label="add", num_threads=1)
    assert timer.timeit(50).number_per_run == 50
    calls = []
    result = timer.blocked_autorange(lambda number, spent: calls.append(spent), min_run_time=0.02)
    assert result.raw_times == calls and sum(calls) >= 0.02 and 1e-8 < result.median < 1e-2
    assert timer.adaptive_autorange(min_run_time=0.001, max_run_time=0.1).title == "add"
    assert len(benchmark.Measurement.merge([result, timer.timeit(10)])) == 1
    with pytest.raises(ValueError, match="Invalid language"):
        benchmark.Timer(language="rust")
    with pytest.raises(ValueError, match="Expected an instance of `Measurement`"):
        benchmark.Compare([1])
