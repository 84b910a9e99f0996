"""Small projects as they are written for prompt flow, run without prompt flow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.flows.building import FakeModels, Project, aggregate, python, run, write

from pilothouse.core.errors import ConnectionFault, FlowError, UserCodeError
from pilothouse.flows.loader import load_flow
from pilothouse.flows.nodes.packages import offered
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.running.hiding import every_form, hidden
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection

KEY = "sk-very-secret-key"
CONNECTIONS = {
    "azure": Connection(
        name="azure",
        type="azure_open_ai",
        configs={"api_base": "https://a", "api_type": "azure", "api_version": "v1", "auth_mode": "key"},
        secrets={"api_key": Secret(KEY)},
    ),
    "openai": Connection(
        name="openai", type="open_ai", configs={"base_url": "https://o"}, secrets={"api_key": Secret(KEY)}
    ),
    "search": Connection(
        name="search",
        type="cognitive_search",
        configs={"api_base": "https://s", "api_version": "v2"},
        secrets={"api_key": Secret(KEY)},
    ),
    "safety": Connection(
        name="safety", type="azure_content_safety", configs={"endpoint": "https://c"}, secrets={"api_key": Secret(KEY)}
    ),
    "serp": Connection(name="serp", type="serp", secrets={"api_key": Secret(KEY)}),
    "form": Connection(
        name="form", type="form_recognizer", configs={"endpoint": "https://f"}, secrets={"api_key": Secret(KEY)}
    ),
    "phi": Connection(
        name="phi", type="serverless", configs={"api_base": "https://p"}, secrets={"api_key": Secret(KEY)}
    ),
    "box": Connection(
        name="box", type="custom", configs={"url": "https://b", "region": "north"}, secrets={"password": Secret(KEY)}
    ),
    "mine": Connection(
        name="mine",
        type="custom",
        configs={"url": "https://m", "custom_type": "MyConnection", "module": "t"},
        secrets={"key": Secret(KEY)},
    ),
}


class Case(NamedTuple):
    """One tool file, what the node gives it, and what it returns."""

    text: str
    inputs: dict[str, Any]
    expected: Any
    files: dict[str, str] = {}


CASES = {
    "the old import": Case(
        "from promptflow import tool\n@tool\ndef t(text: str) -> str:\n    return text.upper()", {"text": "a"}, "A"
    ),
    "the new import": Case("from promptflow.core import tool\n@tool\ndef t(n: int):\n    return n + 1", {"n": "2"}, 3),
    "the module's attribute": Case("import promptflow\n@promptflow.tool\ndef t():\n    return 1", {}, 1),
    "a module under another name": Case("import promptflow.core as pf\n@pf.tool\ndef t():\n    return 1", {}, 1),
    "a submodule's attribute": Case("import promptflow.core\n@promptflow.core.tool\ndef t():\n    return 1", {}, 1),
    "a submodule from the package": Case("from promptflow import core\n@core.tool\ndef t():\n    return 1", {}, 1),
    "a decorator under another name": Case("from promptflow.core import tool as f\n@f\ndef t():\n    return 1", {}, 1),
    "a star": Case("from promptflow.core import *\n@tool\ndef t():\n    return 1", {}, 1),
    "the inner modules": Case(
        "from promptflow._internal import tool as a\nfrom promptflow._core.tool import tool\n"
        "@tool\ndef t():\n    return a is tool",
        {},
        True,
    ),
    "a decorator with arguments": Case(
        "from promptflow.core import tool\nfrom promptflow.entities import DynamicList, InputSetting\n"
        "def choices(): ...\n"
        "SETTINGS = {'x': InputSetting(dynamic_list=DynamicList(function=choices), is_multi_select=True)}\n"
        "@tool(name='T', type='python', icon='a.png', input_settings=SETTINGS)\ndef t(x: int = 4):\n    return x",
        {},
        4,
    ),
    "an async tool": Case("from promptflow.core import tool\n@tool\nasync def t():\n    return 'later'", {}, "later"),
    "a generator": Case("from promptflow.core import tool\n@tool\ndef t():\n    yield 'a'\n    yield 'b'", {}, "ab"),
    "a method of a provider": Case(
        "from promptflow._internal import ToolProvider, tool\nclass Counter(ToolProvider):\n"
        "    def __init__(self, start: int):\n        super().__init__()\n        self.start = start\n"
        "    @tool\n    def t(self, by: int):\n        return self.start + by",
        {"start": "40", "by": 2},
        42,
    ),
    "a provider with a connection": Case(
        "from promptflow.core import ToolProvider, tool\nfrom promptflow.connections import OpenAIConnection\n"
        "class Client(ToolProvider):\n"
        "    def __init__(self, connection: OpenAIConnection):\n        self.key = connection.api_key\n"
        "    @tool\n    def t(self, q: str):\n        return [q, self.key]",
        {"connection": "openai", "q": "hi"},
        ["hi", KEY],
    ),
    "an azure connection": Case(
        "from promptflow.core import tool\nfrom promptflow.connections import AzureOpenAIConnection\n"
        "@tool\ndef t(c: AzureOpenAIConnection):\n"
        "    return [c.api_key, c.api_base, c.api_version, c.api_type, c.auth_mode, c.resource_id, c.name, c.type]",
        {"c": "azure"},
        [KEY, "https://a", "v1", "azure", "key", None, "azure", "AzureOpenAI"],
    ),
    "an openai connection": Case(
        "from promptflow.core import tool\nfrom promptflow.connections import OpenAIConnection\n"
        "@tool\ndef t(c: OpenAIConnection):\n    return [c.api_key, c.base_url, c.organization]",
        {"c": "openai"},
        [KEY, "https://o", None],
    ),
    "one of two connections": Case(
        "from typing import Union\nfrom promptflow.core import tool\n"
        "from promptflow.connections import AzureOpenAIConnection, OpenAIConnection\n"
        "@tool\ndef t(c: Union[AzureOpenAIConnection, OpenAIConnection]):\n"
        "    return [isinstance(c, OpenAIConnection), isinstance(c, AzureOpenAIConnection)]",
        {"c": "openai"},
        [True, False],
    ),
    "an optional connection in a postponed annotation": Case(
        "from __future__ import annotations\nfrom promptflow.core import tool\n"
        "from promptflow.connections import SerpConnection\n"
        "@tool\ndef t(c: SerpConnection | None = None):\n    return c.api_key",
        {"c": "serp"},
        KEY,
    ),
    "a connection from entities": Case(
        "from promptflow import tool\nfrom promptflow.entities import CognitiveSearchConnection\n"
        "@tool\ndef t(c: CognitiveSearchConnection):\n    return [c.api_base, c.api_version, c['api_key']]",
        {"c": "search"},
        ["https://s", "v2", KEY],
    ),
    "content safety": Case(
        "from promptflow import tool\nfrom promptflow.connections import AzureContentSafetyConnection\n"
        "@tool\ndef t(c: AzureContentSafetyConnection):\n    return [c.endpoint, c.api_version, c.api_key]",
        {"c": "safety"},
        ["https://c", "2023-10-01", KEY],
    ),
    "document intelligence": Case(
        "from promptflow import tool\nfrom promptflow.connections import FormRecognizerConnection\n"
        "@tool\ndef t(c: FormRecognizerConnection):\n    return [c.endpoint, c.api_type, c.api_key]",
        {"c": "form"},
        ["https://f", "Form Recognizer", KEY],
    ),
    "a serverless model": Case(
        "from promptflow import tool\nfrom promptflow.connections import ServerlessConnection\n"
        "@tool\ndef t(c: ServerlessConnection):\n    return [c.api_base, c.api_key]",
        {"c": "phi"},
        ["https://p", KEY],
    ),
    "keyword arguments of a connection": Case(
        "from promptflow.core import tool\nfrom promptflow.connections import SerpConnection, CustomConnection\n"
        "@tool\ndef t(c: CustomConnection):\n    return sorted(dict(**c).items())",
        {"c": "box"},
        [("password", KEY), ("region", "north"), ("url", "https://b")],
    ),
    "a custom connection": Case(
        "from promptflow.core import tool\nfrom promptflow.connections import CustomConnection\n"
        "@tool\ndef t(c: CustomConnection):\n"
        "    return [c.configs['url'], c.secrets['password'], c.region, c.password, c.is_secret('url'),\n"
        "            'url' in c.configs, c.configs.get('no'), c.secrets.get('no', 1), hasattr(c, 'no')]",
        {"c": "box"},
        ["https://b", KEY, "north", KEY, False, True, None, 1, False],
    ),
    "a copy of a connection": Case(
        "import copy\nfrom promptflow.core import tool\nfrom promptflow.connections import CustomConnection\n"
        "@tool\ndef t(c: CustomConnection):\n    d = copy.deepcopy(c)\n    d.secrets['password'] = 'x'\n"
        "    return [c.password, d.password]",
        {"c": "box"},
        [KEY, "x"],
    ),
    "a strong type": Case(
        "from promptflow.core import tool\nfrom promptflow.connections import CustomStrongTypeConnection\n"
        "from promptflow.contracts.types import Secret\n"
        "class MyConnection(CustomStrongTypeConnection):\n    key: Secret\n    url: str\n    version: str = 'v9'\n"
        "@tool\ndef t(c: MyConnection):\n    return [c.key, c.url, c.version, c.secrets['key'], sorted(c.configs)]",
        {"c": "mine"},
        [KEY, "https://m", "v9", KEY, ["url", "version"]],
    ),
    "a strong type of another file, postponed": Case(
        "from __future__ import annotations\nfrom promptflow.core import tool\nfrom kinds import MyConnection\n"
        "@tool\ndef t(c: MyConnection):\n    return [c.key, c.url]",
        {"c": "mine"},
        [KEY, "https://m"],
        {
            "kinds.py": "from __future__ import annotations\n"
            "from promptflow.connections import CustomStrongTypeConnection\n"
            "from promptflow.contracts.types import Secret\n"
            "class MyConnection(CustomStrongTypeConnection):\n    key: Secret\n    url: str\n"
        },
    ),
    "typed texts": Case(
        "from promptflow.core import tool\nfrom promptflow.contracts.types import FilePath, PromptTemplate, Secret\n"
        "@tool\ndef t(p: FilePath, q: PromptTemplate, s: Secret = Secret('x')):\n"
        "    s.set_secret_name('n')\n    return [p, q, s + s.secret_name]",
        {"p": "a.txt", "q": "1"},
        ["a.txt", "1", "xn"],
    ),
    "an image": Case(
        "from promptflow.core import tool\nfrom promptflow.contracts.multimedia import Image\n"
        "@tool\ndef t(i: Image):\n    j = Image(b'\\xff\\xd8\\xff0', source_url=None)\n"
        "    return [isinstance(i, Image), len(i), i.to_base64(with_type=True)[:22], j._mime_type]",
        {"i": {"data:image/png;base64": "iVBORw0KGgo="}},
        [True, 8, "data:image/png;base64,", "image/jpeg"],
    ),
    "tracing": Case(
        "from promptflow.core import tool\nfrom promptflow.tracing import ThreadPoolExecutorWithContext, start_trace\n"
        "from promptflow.tracing import trace\nstart_trace(collection='c')\n"
        "@trace\ndef inner(x):\n    return x * 2\n"
        "@tool\n@trace\ndef t(x: int):\n    with ThreadPoolExecutorWithContext(2) as pool:\n"
        "        return list(pool.map(inner, [x, 3]))",
        {"x": 1},
        [2, 6],
    ),
    "model configurations": Case(
        "from promptflow.core import AzureOpenAIModelConfiguration, OpenAIModelConfiguration, tool\n"
        "from promptflow.connections import AzureOpenAIConnection\n"
        "@tool\ndef t(c: AzureOpenAIConnection):\n"
        "    a = AzureOpenAIModelConfiguration.from_connection(connection=c, azure_deployment='d')\n"
        "    b = OpenAIModelConfiguration(model='m', connection='openai')\n"
        "    return [a.azure_endpoint, a.api_key, b.model, c.api_key in repr(a)]",
        {"c": "azure"},
        ["https://a", KEY, "m", False],
    ),
    "an import inside the function": Case(
        "from pilothouse import tool\n@tool\ndef t():\n    from promptflow.contracts.types import PromptTemplate\n"
        "    import promptflow.entities\n    return [PromptTemplate('p'), promptflow.entities.InputSetting().enabled_by]",
        {},
        ["p", None],
    ),
    "importlib inside the function": Case(
        "import importlib\nfrom promptflow import tool\n@tool\ndef t():\n"
        "    return importlib.import_module('promptflow.exceptions').ErrorTarget.TOOL.value",
        {},
        "Tool",
    ),
    "a missing name that is expected": Case(
        "from promptflow.core import tool\ntry:\n    from promptflow.batch import BatchEngine\n"
        "except ImportError:\n    BatchEngine = None\n@tool\ndef t():\n    return BatchEngine",
        {},
        None,
    ),
    "a helper with prompt flow's names": Case(
        "from promptflow.core import tool\nfrom helper import shout\n@tool\ndef t(x: str):\n    return shout(x)",
        {"x": "a"},
        "A",
        {"helper.py": "from promptflow.tracing import trace\n@trace\ndef shout(x):\n    return x.upper()\n"},
    ),
    "a folder called promptflow": Case(
        "from promptflow.core import tool\n@tool\ndef t():\n    return 1", {}, 1, {"promptflow/notes.py": "x = 1\n"}
    ),
    "its exceptions": Case(
        "from promptflow.core import tool\n"
        "from promptflow.exceptions import ErrorTarget, PromptflowException, UserErrorException\n"
        "@tool\ndef t():\n    try:\n"
        "        raise UserErrorException(message_format='no {what}', what='rows', target=ErrorTarget.TOOL)\n"
        "    except PromptflowException as error:\n        return [str(error), error.target.value, str(UserErrorException()),\n"
        "                UserErrorException(message_format='{a}{b}', a=1).message]",
        {},
        ["no rows", "Tool", "UserErrorException", "1<b>"],
    ),
    "a connection made by hand": Case(
        "from promptflow.core import tool\nfrom promptflow.connections import *\n"
        "@tool\ndef t():\n    a = AzureOpenAIConnection('https://x', 'k1')\n    a.api_version = 'v7'\n    a.api_key = 'k2'\n"
        "    b = CustomConnection(secrets={'s': 'k3'}, configs={'c': 1})\n"
        "    return [a.api_base, a.api_key, a.configs['api_version'], b.s, b.c, OpenAIConnection(api_key='k').api_key]",
        {},
        ["https://x", "k2", "v7", "k3", 1, "k"],
    ),
}


def project_of(project: Project, case: Case) -> Path:
    files = {"t.py": case.text + "\n", **case.files}
    return project.flow([python("t", inputs=case.inputs)], outputs={"o": "${t.output}"}, files=files)


@pytest.mark.parametrize("name", CASES)
def test_a_tool_of_prompt_flow_runs(project: Project, name: str) -> None:
    case = CASES[name]
    result = run(project_of(project, case), models=FakeModels(connections=CONNECTIONS))
    assert result.error is None, result.error
    # The tool had the key; the record of what it returned has none.
    assert result.outputs["o"] == hidden(case.expected, every_form([Secret(KEY)]))


def test_metrics_are_logged_under_each_of_their_names(project: Project) -> None:
    text = """
        from promptflow.core import tool, log_metric, log_flow_metric
        from promptflow import log_metric as old
        @tool
        def total(grades: list):
            log_metric("total", sum(grades))
            log_flow_metric(key="lines", value=len(grades))
            old("most", max(grades), variant_id="variant_0")
    """
    grade = "from promptflow import tool\n@tool\ndef grade(n: int):\n    return n * 10\n"
    nodes = [
        python("grade", inputs={"n": "${inputs.n}"}),
        python("total", inputs={"grades": "${grade.output}"}, aggregation=True),
    ]
    path = project.flow(nodes, inputs={"n": "int"}, files={"grade.py": grade, "total.py": text})
    assert aggregate(path, [{"n": 1}, {"n": 2}]).metrics == {"total": 30.0, "lines": 2.0, "most": 20.0}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("from promptflow.executor import FlowExecutor", "pilothouse run create"),
        ("import promptflow.azure", "promptflow.client.PFClient"),
        ("from promptflow.azure.operations import RunOperations", "promptflow.client.PFClient"),
        ("from promptflow import azure", "promptflow.azure"),
        ("from promptflow.connections import OpenAiConnection", "did you mean 'OpenAIConnection'?"),
        ("from promptflow.conections import OpenAIConnection", "did you mean 'connections'?"),
        ("from promptflow.tools.common import Escaper", "guard roles in inputs"),
        ("from promptflow.tools.wikipedia import search", "source: {type: package"),
    ],
)
def test_what_is_not_offered_is_refused_at_load_with_its_line_and_what_to_use(
    project: Project, line: str, says: str
) -> None:
    case = Case(f"import os\n{line}\nfrom promptflow import tool\n@tool\ndef t(): ...", {}, None)
    with pytest.raises(FlowError, match="not part of what Pilothouse offers") as caught:
        load_flow(project_of(project, case))
    assert says in str(caught.value)
    assert str(caught.value.where).endswith("t.py:2")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("import promptflow.azure", "promptflow.client.PFClient"),
        ("from promptflow.batch import BatchEngine", "pilothouse run create"),
    ],
)
def test_what_is_not_offered_in_a_helper_is_an_import_error_that_says_what_to_use(
    project: Project, line: str, says: str
) -> None:
    case = Case("import helper\nfrom promptflow import tool\n@tool\ndef t(): ...", {}, None, {"helper.py": line + "\n"})
    with pytest.raises(UserCodeError, match="not part of what Pilothouse offers") as caught:
        FlowRunner(load_flow(project_of(project, case))).open()
    assert says in str(caught.value)
    assert "helper.py" in caught.value.traceback
    assert "pilothouse/flows" not in caught.value.traceback


def test_what_is_not_offered_in_a_function_fails_the_line(project: Project) -> None:
    case = Case("from promptflow import tool\n@tool\ndef t():\n    from promptflow.batch import BatchEngine", {}, None)
    result = run(project_of(project, case))
    assert result.error is not None
    assert result.error.type == "ModuleNotFoundError"
    assert "pilothouse run create" in result.error.message


STRONG = (
    "from promptflow.core import tool\nfrom promptflow.connections import CustomStrongTypeConnection\n"
    "class {name}(CustomStrongTypeConnection):\n    url: str\n    zone: str\n@tool\ndef t(c: {name}): ...\n"
)


@pytest.mark.parametrize(
    ("text", "connection", "says"),
    [
        (STRONG.format(name="Other"), "mine", "is of the custom type MyConnection"),
        (STRONG.format(name="Other"), "box", "has no 'zone', which Other needs"),
        (STRONG.format(name="Other"), "azure", "is of the type azure_open_ai"),
        (
            "import promptflow.connections as k\nfrom promptflow import tool\n@tool\ndef t(c: k.OpenAIConnection): ...",
            "azure",
            "is of the type azure_open_ai",
        ),
    ],
)
def test_a_connection_that_does_not_fit_its_class_is_refused(
    project: Project, text: str, connection: str, says: str
) -> None:
    path = project_of(project, Case(text, {"c": connection}, None))
    with pytest.raises(ConnectionFault, match=says) as caught:
        FlowRunner(load_flow(path), models=FakeModels(connections=CONNECTIONS)).open()
    assert "flow.dag.yaml" in str(caught.value) or "configs or secrets" in str(caught.value)


def test_the_identity_of_a_node_has_its_connection_in_it_and_no_secret(project: Project) -> None:
    def fingerprint(**changes: Any) -> str:
        fields: dict[str, Any] = {"configs": {"url": "u"}, "secrets": {"password": Secret(KEY)}, **changes}
        models = FakeModels(connections={"box": Connection(name="box", type="custom", **fields)})
        runner = FlowRunner(load_flow(path), models=models).open()
        try:
            return runner.node_fingerprint("t")
        finally:
            runner.close()

    path = project_of(project, CASES["a copy of a connection"])
    assert fingerprint() == fingerprint() == fingerprint(secrets={"password": Secret("another")})
    assert fingerprint() != fingerprint(configs={"url": "other"})


def test_a_package_of_tools_may_be_written_for_prompt_flow(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    site = write(
        project.folder.parent / "site",
        {
            "acme_pf.py": """
                from promptflow.connections import CustomConnection
                from promptflow.core import tool
                @tool
                def look(c: CustomConnection, q: str):
                    from promptflow.contracts.types import AttrDict
                    return AttrDict(q=q, region=c.region).region
                def list_tools():
                    return {"acme_pf.look": {"module": "acme_pf", "function": "look", "type": "python", "inputs": {}}}
            """,
            "acme_pf-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: acme-pf\nVersion: 1.0\n",
            "acme_pf-1.0.dist-info/entry_points.txt": "[package_tools]\nacme = acme_pf:list_tools\n",
        },
    )
    monkeypatch.syspath_prepend(str(site))
    offered.cache_clear()
    node = {
        "name": "n",
        "type": "python",
        "source": {"type": "package", "tool": "acme_pf.look"},
        "inputs": {"c": "box", "q": "a"},
    }
    path = project.flow([node], outputs={"o": "${n.output}"})
    try:
        # The second time the package is imported already, and imports while it runs all the same.
        for _ in range(2):
            result = run(path, models=FakeModels(connections=CONNECTIONS))
            assert result.error is None, result.error
            assert result.outputs == {"o": "north"}
    finally:
        offered.cache_clear()
        sys.modules.pop("acme_pf", None)
