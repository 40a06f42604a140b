"""Which nodes of a graph lead back to themselves, in time that grows with its arrows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping


def circles(leads: Mapping[str, Collection[str]]) -> set[str]:
    """The nodes from which arrows lead back to themselves, by Gabow's algorithm (1999). `leads` holds where each node leads."""
    order: dict[str, int] = {}  # of the first visits
    visits: list[tuple[str, Iterator[str]]] = []  # the way from the start to here, with the arrows that are left of each node
    open_: list[str] = []  # visited, and it is not known yet with which others it stands in a circle
    roots: list[str] = []  # of these, the first of each circle as far as it is known
    closed: set[str] = set()
    found: set[str] = set()

    def visit(node: str) -> None:
        order[node] = len(order)
        visits.append((node, iter(leads[node])))
        open_.append(node)
        roots.append(node)

    for start in leads:
        if start not in order:
            visit(start)
        while visits:
            node, arrows = visits[-1]
            for other in arrows:
                if other not in order:
                    visit(other)
                    break
                if other not in closed:
                    while order[roots[-1]] > order[other]:
                        roots.pop()
            else:
                visits.pop()
                if roots[-1] == node:
                    roots.pop()
                    circle = [open_.pop()]
                    while circle[-1] != node:
                        circle.append(open_.pop())
                    closed.update(circle)
                    found.update(circle if len(circle) > 1 or node in leads[node] else ())
    return found
