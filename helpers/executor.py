"""papermill's engine for chapters: patient with sliders, with pictures in the place of widgets, and with the bill."""

from __future__ import annotations

import ast
import asyncio
from typing import Any

import nbformat
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from traitlets.config import Config

ENGINE = "course"
LOOK = 2  # seconds after which it is looked again whether the reply to a cell has come
WIDGET = "application/vnd.jupyter.widget-view+json"
ENCRYPTED = Config({"KernelManager": {"transport_encryption": "auto"}})  # the kernel warns of a connection that is not
QUIET = "--IPKernelApp.log_level=CRITICAL"  # one that is ended while it is busy logs an error, which is none; what fails in a cell comes as its output
SCRIPT = "application/javascript"
BILL = "[str(course.bill.spent), str(course.bill.live)]"


def register() -> None:
    """Make the engine known to papermill, as `course`."""
    papermill_engines.register(ENGINE, Engine)


class Engine(NBClientEngine):
    """As papermill's own, with another client."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, log_output: bool = False, **given: Any) -> Any:
        given = {name: value for name, value in given.items() if name in ("stdout_file", "stderr_file")}
        return Client(nb_man, kernel_name=kernel_name, extra_arguments=[QUIET], config=ENCRYPTED, timeout=LOOK, log_output=log_output, **given).execute()


class Client(PapermillNotebookClient):
    """Runs the cells of one chapter.

    nbclient answers a slider through the socket on which it waits for the reply to the cell, and then may not be told that
    this has come: it would wait for ever. So it looks again every now and then; a cell may take as long as it likes.
    """

    async def _async_handle_timeout(self, timeout: int, cell: Any = None) -> None:
        await asyncio.sleep(0.1)  # a time-out that is over comes back at once

    def papermill_execute_cells(self) -> None:
        super().papermill_execute_cells()
        self.nb.metadata["bill"] = self._bill()

    def _bill(self) -> dict[str, str]:
        """What the chapter's calls cost, as its `course` has it; nothing where it never began."""
        reply = self.wait_for_reply(self.kc.execute("", silent=True, user_expressions={"bill": BILL}))
        told = (reply or {}).get("content", {}).get("user_expressions", {}).get("bill", {})
        if told.get("status") != "ok":
            return {}
        return dict(zip(("spent", "live"), ast.literal_eval(told["data"]["text/plain"]), strict=True))

    def set_widgets_metadata(self) -> None:
        """Nothing is left that would need a kernel: a widget's output becomes what the widget shows."""
        for cell in self.nb.cells:
            if cell.cell_type == "code":
                cell.outputs = [still for output in cell.outputs for still in self._still(output)]

    def _still(self, output: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
        data = output.get("data", {})
        if SCRIPT in data:  # it gives sliders their names
            return []
        widget = data.pop(WIDGET, None)
        shown = self._shown(widget["model_id"]) if widget else []
        return shown or [output]

    def _shown(self, model: str) -> list[nbformat.NotebookNode]:
        """The outputs inside a widget and the widgets that it holds."""
        state = self.widget_state.get(model, {})
        inner = [shown for child in state.get("children", ()) for shown in self._shown(child.removeprefix("IPY_MODEL_"))]
        return [nbformat.from_dict(output) for output in state.get("outputs", ())] + inner
