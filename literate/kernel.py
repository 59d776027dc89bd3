"""Executing a notebook in a kernel of its own, as a reader's Jupyter would."""

from __future__ import annotations

import asyncio
import tempfile
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from literate.process import environment
from literate.project import Project

LIMIT = 120
"""Seconds that one cell may take."""


def execute(made: NotebookNode, project: Project) -> None:
    """Run every cell and keep its outputs; raise nbclient's error for one that should not fail."""
    with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        # Over sockets in the file system: no port is opened, and no warning printed about one.
        sockets = {"transport": "ipc", "ip": f"{folder}/kernel"}
        manager: Any = AsyncKernelManager(kernel_name="python3", **sockets)
        resources = {"metadata": {"path": folder}}
        client: Any = NotebookClient(made, km=manager, timeout=LIMIT, resources=resources)
        env = environment() | {"IPYTHONDIR": folder, "PYTHONPATH": str(project.root)}
        asyncio.run(client.async_execute(env=env))
