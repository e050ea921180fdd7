"""How a graph is asked for its drawings; each is made in a file of its own, which is imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from septum._picture import Drawable


class Drawings:
    """The drawings of a graph.

    All take the same arguments. *current* is a state to highlight. *heat* has a number for each state that is to be coloured by it, and
    under `(state, label)` for each edge, `(state, Exception)` for the way to the error state; states and labels may be given as text, as
    `septum.facts` names them. *unit* says what the numbers of states are: "" for how often, "s" for seconds; those of edges are always how
    often. What has zero is drawn as cold; what is left out of *heat* is drawn as without it.
    """

    __slots__ = ()

    def to_mermaid(self: Drawable, *, current: object = None, heat: Mapping[object, float] | None = None, unit: str = "") -> str:
        """Return the text of a Mermaid flowchart, as GitHub and many others draw it; nothing is needed for it.

        Raises:
            ValueError: *current* or *heat* names what is not in the graph.
        """
        from septum._mermaid import draw  # noqa: PLC0415 - who runs machines need not import how they are drawn
        from septum._picture import Look  # noqa: PLC0415 - the same

        return draw(self, Look(current, heat or {}, unit))

    def to_dot(self: Drawable, *, current: object = None, heat: Mapping[object, float] | None = None, unit: str = "") -> str:
        """Return the graph in DOT, the language of Graphviz; nothing is needed for it.

        Raises:
            ValueError: *current* or *heat* names what is not in the graph.
        """
        from septum._dot import draw  # noqa: PLC0415 - as above
        from septum._picture import Look  # noqa: PLC0415 - the same

        return draw(self, Look(current, heat or {}, unit))

    def to_svg(self: Drawable, *, current: object = None, heat: Mapping[object, float] | None = None, unit: str = "") -> str:
        """Return the text of an SVG image, laid out by Graphviz: the program `dot`, or what `pip install "septum[draw]"` brings.

        Raises:
            GraphvizMissing: There is neither; the text says what to install.
            DrawingError: Graphviz could not draw it.
            ValueError: *current* or *heat* names what is not in the graph.
        """
        from septum._dot import draw  # noqa: PLC0415 - as above
        from septum._picture import Look  # noqa: PLC0415 - the same
        from septum._svg import render  # noqa: PLC0415 - the same

        return render(draw(self, Look(current, heat or {}, unit)))

    def to_text(self: Drawable, *, current: object = None, heat: Mapping[object, float] | None = None, unit: str = "") -> str:
        """Return lines for a terminal: each state with its limits, and below it its edges, aligned.

        Raises:
            ValueError: *current* or *heat* names what is not in the graph.
        """
        from septum._picture import Look  # noqa: PLC0415 - as above
        from septum._text import draw  # noqa: PLC0415 - the same

        return draw(self, Look(current, heat or {}, unit))
