"""Reading a pickle without running what it says: a stack machine that builds plain data and calls only the functions on a list.

`pickletools` decodes the stream; each opcode that makes data is a line in `MACHINE` below, any other is refused. Nothing outside is
changed: functions and types from the stream are sealed, so a stream cannot write to their attributes.
"""

from __future__ import annotations

import pickle
import pickletools
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

MARK = object()


class Sealed:
    """A callable that the stream may call, and do nothing else with."""

    __slots__ = ("name", "call")

    def __init__(self, name: str, call: Callable) -> None:
        self.name, self.call = name, call


ALWAYS: dict[str, Callable] = {
    "collections.OrderedDict": OrderedDict, "collections.Counter": Counter, "builtins.set": set, "builtins.complex": complex,
    "builtins.bytearray": bytearray, "_codecs.encode": lambda text, encoding: text.encode("latin1"),
    "__builtin__.set": set, "__builtin__.complex": complex, "__builtin__.bytearray": bytearray,
}  # fmt: skip
_allowed: dict[str, type] = {}  # what the user added, by name


def add_safe_globals(safe_globals: list) -> None:
    """Let `load` make instances of these classes and call these functions; items may be (object, "module.name") too."""
    for item in safe_globals:
        thing, name = item if isinstance(item, tuple) else (item, f"{item.__module__}.{item.__qualname__}")
        _allowed[name] = thing


def get_safe_globals() -> list:
    """What was added with `add_safe_globals`."""
    return list(_allowed.values())


def is_safe(name: str) -> bool:
    """Whether a stream may name it, by the list or by the user's word."""
    return name in ALWAYS or name in _allowed


def clear_safe_globals() -> None:
    """Forget what was added with `add_safe_globals`."""
    _allowed.clear()


@contextmanager
def safe_globals(safe_globals: list) -> Iterator[None]:
    """Within, these classes and functions may appear in what `load` reads."""
    before = dict(_allowed)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _allowed.clear()
        _allowed.update(before)


def refused(text: str) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(
        f"Weights only load failed: {text} Load with weights_only=False only a file whose source you trust: it can run any code. "
        "Or name the classes that it may hold with torch.serialization.add_safe_globals([...])."
    )


class Machine:
    """The state of one reading: the stack, the memo, and what names stand for."""

    def __init__(self, names: Callable[[str], Any], persistent: Callable[[Any], Any]) -> None:
        self.stack: list = []
        self.memo: dict[int, Any] = {}
        self.names, self.persistent = names, persistent

    def read(self, file: Any) -> Any:
        """The object that the pickle at the file's position stands for."""
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name == "STOP":
                return self.stack.pop()
            step = MACHINE.get(opcode.name)
            if step is None:
                raise refused(f"the opcode {opcode.name} is not allowed.")
            step(self, argument)
        raise EOFError("Ran out of input")

    def items(self) -> list:
        """What was pushed since the last mark."""
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is MARK:
                taken = self.stack[i + 1 :]
                del self.stack[i:]
                return taken
        raise refused("the stream closes what it did not open.")

    def replace(self, count: int, make: Callable) -> None:
        taken = self.stack[len(self.stack) - count :]
        if len(taken) < count:
            raise refused("the stream takes more than it has.")
        del self.stack[len(self.stack) - count :]
        self.stack.append(make(*taken))

    def look_up(self, name: str) -> Any:
        if name in _allowed:
            return Sealed(name, _allowed[name])
        if name in ALWAYS:
            return Sealed(name, ALWAYS[name])
        found = self.names(name)
        if found is None:
            raise refused(f"it refers to {name}, which is not on the list of what a checkpoint may hold.")
        return Sealed(name, found) if callable(found) else found

    def reduce(self, function: Any, arguments: Any) -> Any:
        if type(function) is not Sealed or type(arguments) is not tuple:
            raise refused("it calls what is no function.")
        return function.call(*arguments)

    def new(self, cls: Any, arguments: tuple) -> Any:
        if type(cls) is not Sealed or not isinstance(cls.call, type):
            raise refused("it makes an instance of what is no class.")
        return cls.call.__new__(cls.call, *arguments)

    def build(self, instance: Any, state: Any) -> Any:
        if type(instance) in _allowed.values():
            if hasattr(instance, "__setstate__"):
                instance.__setstate__(state)
            else:
                plain, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
                instance.__dict__.update(plain or {})
                for k, v in (slots or {}).items():
                    setattr(instance, k, v)
        elif type(instance) is OrderedDict or hasattr(instance, "_grad"):  # a state_dict's _metadata, a tensor's attributes
            if isinstance(state, dict):
                instance.__dict__.update({k: v for k, v in state.items() if isinstance(k, str)})
        else:
            raise refused(f"it sets the state of a {type(instance).__name__}.")
        return instance

    def into(self, container: type | tuple, add: Callable[[Any, list], None]) -> None:
        taken = self.items()
        if not self.stack or not isinstance(self.stack[-1], container):
            raise refused("it adds items to what holds none.")
        add(self.stack[-1], taken)


def put_pairs(target: dict, items: list) -> None:
    if len(items) % 2:
        raise refused("a key has no value.")
    for key, value in zip(items[::2], items[1::2]):
        target[key] = value


def single(m: Machine, kind: type, count: int, add: Callable) -> None:
    taken = m.stack[-count:]
    del m.stack[-count:]
    if not m.stack or not isinstance(m.stack[-1], kind):
        raise refused("it adds items to what holds none.")
    add(m.stack[-1], taken)


def remember(m: Machine, index: int | None) -> None:
    m.memo[len(m.memo) if index is None else index] = m.stack[-1]


def recall(m: Machine, index: int) -> None:
    if index not in m.memo:
        raise refused("it recalls what it never stored.")
    m.stack.append(m.memo[index])


def push(m: Machine, value: Any) -> None:
    m.stack.append(value)


def push_new(make: Callable[[], Any], m: Machine, _: Any) -> None:
    m.stack.append(make())


def nothing(m: Machine, _: Any) -> None:
    pass


CONSTANTS = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set, "MARK": lambda: MARK,
}  # fmt: skip
PUSHED = [
    "BININT", "BININT1", "BININT2", "INT", "LONG1", "LONG4", "LONG", "BINFLOAT", "FLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "UNICODE", "BINSTRING", "SHORT_BINSTRING", "STRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
]  # fmt: skip
MACHINE: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": nothing,
    "FRAME": nothing,
    **dict.fromkeys(PUSHED, push),
    **{name: partial(push_new, make) for name, make in CONSTANTS.items()},
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"), remember),
    **dict.fromkeys(("BINGET", "LONG_BINGET", "GET"), recall),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.items())),
    "TUPLE1": lambda m, _: m.replace(1, lambda a: (a,)),
    "TUPLE2": lambda m, _: m.replace(2, lambda a, b: (a, b)),
    "TUPLE3": lambda m, _: m.replace(3, lambda a, b, c: (a, b, c)),
    "LIST": lambda m, _: m.stack.append(m.items()),
    "DICT": lambda m, _: m.stack.append(put_dict(m.items())),
    "APPEND": lambda m, _: single(m, list, 1, list.extend),
    "APPENDS": lambda m, _: m.into(list, list.extend),
    "SETITEM": lambda m, _: single(m, dict, 2, put_pairs),
    "SETITEMS": lambda m, _: m.into(dict, put_pairs),
    "ADDITEMS": lambda m, _: m.into(set, set.update),
    "GLOBAL": lambda m, name: m.stack.append(m.look_up(name.replace(" ", ".", 1))),
    "STACK_GLOBAL": lambda m, _: m.replace(2, lambda module, name: m.look_up(f"{module}.{name}")),
    "REDUCE": lambda m, _: m.replace(2, m.reduce),
    "NEWOBJ": lambda m, _: m.replace(2, m.new),
    "BUILD": lambda m, _: m.replace(2, m.build),
    "BINPERSID": lambda m, _: m.replace(1, m.persistent),
}


def put_dict(items: list) -> dict:
    made: dict = {}
    put_pairs(made, items)
    return made
