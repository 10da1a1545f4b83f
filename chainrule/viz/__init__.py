"""Graphs to look at: `graph(loss, model.named_parameters()).save("graph.svg")` draws one, `step(loss)` walks backward through it.

`with watch(model): loss = ...` has the picture show the modules and lines of source that made each node.
"""

from chainrule.viz.graph import Graph, Node, graph, save
from chainrule.viz.modules import Group, watch
from chainrule.viz.stepping import Step, step

__all__ = ["Graph", "Group", "Node", "graph", "Step", "save", "step", "watch"]
