"""A real notebook, executed by nbclient: what Model, Run and Trace show in it."""

from __future__ import annotations

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

CELLS = [
    """
import charloom
run = charloom.train(
    charloom.InMemory("the fox and the crow\\n" * 200),
    model=charloom.ModelSettings(hidden_size=16),
    training=charloom.TrainingSettings(steps=40, validate_every=10),
)
run""",
    "model = run.finish()",
    "model",
    "model.trace('the fox')",
]


@pytest.mark.filterwarnings("ignore")  # of Jupyter's own code
def test_a_run_is_drawn_anew_where_it_was_shown_and_a_trace_is_colored():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    seen: list[str] = []

    class Client(nbclient.NotebookClient):
        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"] in ("display_data", "update_display_data"):
                seen.append(msg["content"]["data"]["text/html"])
            return super().process_message(msg, cell, cell_index)

    Client(notebook, timeout=120, kernel_name="python3").execute()
    assert "step 0 of 40" in seen[0]
    assert len(seen) >= 3  # at first, at least once while it trained, and at the end
    assert seen[-1].count("<circle") == 4
    shown, trained, model, trace = (cell["outputs"] for cell in notebook["cells"])
    assert trained == []
    assert shown[0]["data"]["text/html"] == seen[-1]  # the view of the first cell has moved
    assert "bits per character" in model[0]["data"]["text/html"]
    assert model[0]["data"]["text/plain"].startswith("Model(lstm, 1 layer of 16")
    assert trace[0]["data"]["text/html"].count("<span") == 7
