"""Pictures of computational graphs: `graph(loss, model.named_parameters()).save("graph.svg")`."""

from chainrule.viz.graph import Graph, Node, graph, save

__all__ = ["Graph", "Node", "graph", "save"]
