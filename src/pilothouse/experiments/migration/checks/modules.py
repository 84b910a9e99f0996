"""What ties a project to prompt flow's runtime or to Azure: tables."""

from __future__ import annotations

from typing import Final

AZURE: Final[dict[str, str]] = {
    "promptflow.azure": "it drives runs in an Azure ML workspace: use `pilothouse run create` on your machine",
    "azure.ai.ml": "it talks to an Azure ML workspace: the file runs only where that workspace is reachable",
    "azureml": "it talks to an Azure ML workspace: the file runs only where that workspace is reachable",
    "mlflow.azureml": "it talks to an Azure ML workspace: the file runs only where that workspace is reachable",
}
"""Modules that need Azure, and what that means; the ones of prompt flow itself cannot be answered elsewhere."""

REQUIREMENTS: Final[dict[str, str]] = {
    "promptflow": "not needed: Pilothouse answers `import promptflow`; where it is installed, its own code is used",
    "promptflow-core": "not needed: see promptflow",
    "promptflow-devkit": "not needed: see promptflow",
    "promptflow-tracing": "not needed: see promptflow",
    "promptflow-tools": "not needed: its model and prompt tools are built in",
    "promptflow-azure": "drives Azure ML: nothing here uses it",
    "promptflow-rag": "needs prompt flow itself at run time",
    "promptflow-evals": "needs prompt flow itself at run time; its successor is azure-ai-evaluation",
    "promptflow-vectordb": "needs prompt flow itself at run time",
    "promptflow-image-bert-score": "needs prompt flow itself at run time",
    "azure-ai-ml": "talks to Azure ML: nothing here uses it",
    "azureml-core": "talks to Azure ML: nothing here uses it",
    "keyrings.alt": "kept prompt flow's secrets: here they stay in the environment",
}
"""Distributions that tie a project to prompt flow's runtime or to Azure ML, and what becomes of each."""


def azure_only(module: str) -> str | None:
    """Return why ``module`` needs Azure, or None."""
    for name, reason in AZURE.items():
        if module == name or module.startswith(f"{name}."):
            return reason
    return None
