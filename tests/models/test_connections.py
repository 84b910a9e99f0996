from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError, Conflict, ConnectionFault
from pilothouse.models.connection_types import TYPES, connection_type
from pilothouse.models.connections import ConnectionFolder


class Project:
    """A connections folder to write into."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        folder.mkdir()

    def write(self, text: str, name: str = "mine.yaml") -> None:
        (self.path / name).write_text(text)

    def open(self, **environment: str) -> ConnectionFolder:
        return ConnectionFolder(self.path, Environment(environment))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "connections")


PROMPT_FLOW = """\
$schema: https://example.org/promptflow/latest/AzureOpenAIConnection.schema.json
name: aoai
type: azure_open_ai
api_key: ${env:AOAI_KEY}
api_base: https://mine.example.org/
api_type: azure
api_version: 2024-10-21
"""


def test_a_prompt_flow_file_is_read_as_it_is(project: Project) -> None:
    project.write(PROMPT_FLOW)
    connection = project.open(AOAI_KEY="k-123456").resolve("aoai")
    assert connection.type == "azure_open_ai"
    assert connection.get("api_version") == "2024-10-21"
    assert connection.get("auth_mode") == "key"
    assert connection.get("api_key") == "k-123456"
    assert "k-123456" not in repr(connection)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("azure_open_ai", "azure_open_ai"),
        ("AzureOpenAI", "azure_open_ai"),
        ("AzureOpenAIConnection", "azure_open_ai"),
        ("OpenAI", "open_ai"),
        ("open_ai", "open_ai"),
        ("Serverless", "serverless"),
        ("CognitiveSearchConnection", "cognitive_search"),
        ("FormRecognizer", "form_recognizer"),
        ("AzureContentSafety", "azure_content_safety"),
        ("CustomConnection", "custom"),
        ("CustomStrongTypeConnection", "custom"),
        ("Serp", "serp"),
        ("Qdrant", "qdrant"),
        ("Weaviate", "weaviate"),
        ("azure_ai_services", "azure_ai_services"),
    ],
)
def test_types_are_known_by_every_old_spelling(spelling: str, name: str) -> None:
    assert connection_type(spelling) is TYPES[name]


def test_an_unknown_type_names_the_nearest(project: Project) -> None:
    project.write("name: x\ntype: azure_openai_\napi_base: b\n".replace("azure_openai_", "azure_opn_ai"))
    with pytest.raises(ConnectionFault, match="azure_opn_ai") as caught:
        project.open().all()
    assert "mine.yaml:2" in str(caught.value)
    assert "azure_open_ai" in str(caught.value)


def test_an_unknown_field_names_file_line_and_nearest(project: Project) -> None:
    project.write("name: x\ntype: open_ai\napi_kee: ${env:A}\n")
    with pytest.raises(ConnectionFault, match="no field 'api_kee'") as caught:
        project.open().all()
    assert "mine.yaml:3" in str(caught.value)
    assert "'api_key'" in str(caught.value)


def test_the_override_wins_over_file_and_default(project: Project) -> None:
    project.write("name: open_ai_connection\ntype: open_ai\napi_key: ${env:OTHER}\n")
    folder = project.open(OPEN_AI_CONNECTION_API_KEY="from-override", OPEN_AI_CONNECTION_BASE_URL="http://x")
    connection = folder.resolve("open_ai_connection")
    assert connection.get("api_key") == "from-override"
    assert connection.get("base_url") == "http://x"


def test_a_name_with_dashes_has_an_override_that_a_shell_can_set(project: Project) -> None:
    project.write("name: my-open.ai\ntype: open_ai\n")
    assert project.open(MY_OPEN_AI_API_KEY="kkkkkk").resolve("my-open.ai").get("api_key") == "kkkkkk"


@pytest.mark.parametrize("text", ["", '""', '"<user-input>"', "'***'", "<api-key>", "to_replace_with_your_key", "null"])
def test_a_placeholder_is_a_missing_key(project: Project, text: str) -> None:
    project.write(f"name: x\ntype: open_ai\napi_key: {text}\n")
    with pytest.raises(ConnectionFault, match="has no 'api_key'") as caught:
        project.open().resolve("x")
    assert "mine.yaml:3" in str(caught.value)
    assert "export X_API_KEY=" in str(caught.value)


def test_an_unset_variable_is_named_with_connection_and_file(project: Project) -> None:
    project.write(PROMPT_FLOW)
    with pytest.raises(ConnectionFault, match="'aoai' has no 'api_key'") as caught:
        project.open().resolve("aoai")
    assert "mine.yaml:4" in str(caught.value)
    assert "AOAI_KEY (or AOAI_API_KEY)" in str(caught.value)


def test_a_missing_address_is_named(project: Project) -> None:
    project.write("name: x\ntype: azure_open_ai\napi_key: ${env:K}\n")
    with pytest.raises(ConnectionFault, match="has no 'api_base': the field is missing"):
        project.open(K="kkkkkk").resolve("x")


@pytest.mark.parametrize("kind", ["open_ai", "custom"])
def test_a_secret_in_the_clear_is_refused_and_not_repeated(project: Project, kind: str) -> None:
    secret = "sk-live-0123456789"
    body = f"api_key: {secret}" if kind == "open_ai" else f"secrets:\n  api_key: {secret}"
    project.write(f"name: x\ntype: {kind}\n{body}\n")
    for environment in ({}, {"X_API_KEY": "another"}):
        with pytest.raises(ConnectionFault, match="in the clear") as caught:
            project.open(**environment).resolve("x")
        assert secret not in str(caught.value)
        assert "${env:X_API_KEY}" in str(caught.value)
    assert secret not in repr(project.open().states("x"))


def test_a_key_may_stand_in_a_file_of_its_own(project: Project) -> None:
    project.write("name: x\ntype: open_ai\napi_key: ${file:../key.txt}\n")
    (project.path.parent / "key.txt").write_text("sk-from-file\n")
    assert project.open().resolve("x").get("api_key") == "sk-from-file"


def test_a_key_file_that_is_missing_is_named(project: Project) -> None:
    project.write("name: x\ntype: open_ai\napi_key: ${file:nowhere.txt}\n")
    with pytest.raises(ConnectionFault, match=r"nowhere\.txt"):
        project.open().resolve("x")


def test_references_are_resolved_at_each_use(project: Project) -> None:
    project.write("name: x\ntype: open_ai\napi_key: ${file:key.txt}\n")
    folder = project.open()
    (project.path / "key.txt").write_text("first-key")
    assert folder.resolve("x").get("api_key") == "first-key"
    (project.path / "key.txt").write_text("second-key")
    assert folder.resolve("x").get("api_key") == "second-key"


def test_a_server_of_ones_own_needs_no_key(project: Project) -> None:
    project.write("name: x\ntype: open_ai\nbase_url: http://127.0.0.1:8000/v1\n")
    assert project.open().resolve("x").secrets == {}


def test_openai_itself_needs_a_key(project: Project) -> None:
    project.write("name: x\ntype: open_ai\nbase_url: https://api.openai.com/v1\n")
    with pytest.raises(ConnectionFault, match="has no 'api_key'"):
        project.open().resolve("x")


def test_a_token_stands_in_for_the_key_when_the_mode_says_so(project: Project) -> None:
    text = "name: x\ntype: azure_open_ai\napi_base: b\nauth_mode: meid_token\n"
    project.write(text)
    with pytest.raises(ConnectionFault, match="has no 'token'"):
        project.open().resolve("x")
    assert project.open(X_TOKEN="token-1").resolve("x").get("token") == "token-1"


def test_an_unknown_mode_is_refused(project: Project) -> None:
    project.write("name: x\ntype: azure_open_ai\napi_base: b\nauth_mode: meid\n")
    with pytest.raises(ConnectionFault, match="'meid' is not a value of 'auth_mode'") as caught:
        project.open(X_API_KEY="kkkkkk").resolve("x")
    assert "meid_token" in str(caught.value)


def test_a_custom_connection_keeps_configs_and_secrets_apart(project: Project) -> None:
    project.write(
        "name: c\ntype: custom\nconfigs:\n  endpoint: https://e\n  port: 8080\n  tls: true\nsecrets:\n  key: ${env:K}\n"
    )
    connection = project.open(K="kkkkkk", C_ENDPOINT="https://f").resolve("c")
    assert connection.configs == {"endpoint": "https://f", "port": "8080", "tls": "true"}
    assert connection.get("key") == "kkkkkk"
    assert "kkkkkk" not in repr(connection)


def test_a_strong_type_is_a_custom_one_with_its_class(project: Project) -> None:
    project.write(
        "name: c\ntype: custom\ncustom_type: MyConnection\nmodule: my.tools\npackage: mine\npackage_version: 1.0\n"
        "configs: {a: b}\nsecrets: {k: '${env:K}'}\n"
    )
    connection = project.open(K="kkkkkk").resolve("c")
    assert connection.configs["custom_type"] == "MyConnection"
    assert connection.configs["a"] == "b"


def test_local_and_scripted_are_there_without_a_file(project: Project) -> None:
    folder = project.open()
    assert [spec.name for spec in folder.all()] == ["local", "scripted"]
    assert folder.resolve("local").configs == {}
    project.write("name: local\ntype: local\nmodel: mine.gguf\n")
    assert folder.resolve("local").get("model") == "mine.gguf"


def test_a_folder_that_does_not_exist_holds_the_built_in_ones(tmp_path: Path) -> None:
    assert len(ConnectionFolder(tmp_path / "none", Environment({})).all()) == 2


def test_a_missing_connection_names_the_nearest(project: Project) -> None:
    with pytest.raises(ConnectionFault, match="no connection 'locl'") as caught:
        project.open().spec("locl")
    assert "'local'" in str(caught.value)


def test_two_files_of_one_name_conflict(project: Project) -> None:
    project.write("name: x\ntype: serp\n", "a.yaml")
    project.write("name: x\ntype: serp\n", "b.yml")
    with pytest.raises(Conflict, match=r"a\.yaml"):
        project.open().all()


def test_the_file_name_is_the_name_where_none_is_given(project: Project) -> None:
    project.write("type: serp\n", "search.yaml")
    assert "search" in [spec.name for spec in project.open().all()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "a connection file is a mapping"),
        ("name: x\n", "needs a type"),
        ("name: x\ntype: open_ai\nbase_url: [1]\n", "a text must stand here"),
        ("name: x\ntype: custom\nsecrets: oops\n", "a mapping must stand here"),
    ],
)
def test_a_file_of_the_wrong_shape_is_refused(project: Project, text: str, message: str) -> None:
    project.write(text)
    with pytest.raises(ConnectionFault, match=message):
        project.open().all()


def test_broken_yaml_names_the_line(project: Project) -> None:
    project.write("name: x\ntype: [\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml:\d"):
        project.open().all()


def test_adding_refers_to_the_key_and_never_stores_it(project: Project) -> None:
    path = project.open().add("my-gpt", "OpenAI", {"base_url": "https://api.openai.com/v1"})
    assert path.read_text() == (
        "name: my-gpt\ntype: open_ai\nbase_url: https://api.openai.com/v1\napi_key: ${env:MY_GPT_API_KEY}\n"
    )
    assert project.open(MY_GPT_API_KEY="kkkkkk").resolve("my-gpt").get("api_key") == "kkkkkk"


def test_adding_refuses_a_key_in_the_clear_and_writes_nothing(project: Project) -> None:
    with pytest.raises(ConnectionFault, match="in the clear"):
        project.open().add("x", "open_ai", {"api_key": "sk-0123456789"})
    assert list(project.path.iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden", "a\nb"])
def test_adding_refuses_a_name_that_would_be_a_path(project: Project, name: str) -> None:
    with pytest.raises(ConnectionFault, match="cannot be a name"):
        project.open().add(name, "serp", {})


def test_adding_twice_conflicts_but_a_built_in_one_may_be_replaced(project: Project) -> None:
    folder = project.open()
    folder.add("local", "local", {"context": "4096"})
    with pytest.raises(Conflict, match="'local' exists"):
        folder.add("local", "local", {})


def test_adding_a_custom_one_takes_configs_and_secrets(project: Project) -> None:
    folder = project.open(K="kkkkkk")
    folder.add("c", "custom", {"configs.a": "1", "secrets.k": "${env:K}"})
    assert folder.resolve("c").get("a") == "1"
    assert folder.resolve("c").get("k") == "kkkkkk"


def test_states_tell_where_each_value_comes_from(project: Project) -> None:
    project.write("name: x\ntype: azure_open_ai\napi_base: ${env:BASE}\napi_key: ${env:KEY}\n")
    states = {state.key: state for state in project.open(X_API_VERSION="v", BASE="b").states("x")}
    assert states["api_version"].source == "environment"
    assert states["api_base"].source == "file"
    assert states["auth_mode"].source == "default"
    assert states["api_key"].source == "missing"
    assert states["api_key"].variables == {"KEY": False}


def test_adding_refers_only_to_the_secrets_that_are_needed(project: Project) -> None:
    folder = project.open()
    token = folder.add("entra", "azure_open_ai", {"api_base": "https://x", "auth_mode": "meid_token"}).read_text()
    assert "token: ${env:ENTRA_TOKEN}" in token
    assert "api_key" not in token
    assert "token" not in folder.add("keyed", "azure_open_ai", {"api_base": "https://x"}).read_text()
    assert "api_key" not in folder.add("own", "open_ai", {"base_url": "http://127.0.0.1:8000/v1"}).read_text()
