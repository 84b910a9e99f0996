"""One provider per process, ours or the user's. Each case is a process of its own: the provider is set only once."""

from __future__ import annotations

from pathlib import Path

from .conftest import RunPython

SETUP = """
    import sys
    from pathlib import Path
    from opentelemetry import trace as otel
    from opentelemetry.sdk.trace import TracerProvider
    from pilothouse.core.clock import SystemClock
    from pilothouse.tracing.decorator import trace
    from pilothouse.tracing.service import TracingService
    from pilothouse.tracing.settings import TracingSettings

    root = Path(sys.argv[1])
    def service(name, **settings):
        return TracingService(folder=root / name, settings=TracingSettings(**settings), clock=SystemClock())
    def names(service):
        return sorted(summary.head.name for summary in service.list().traces)
    @trace
    def work():
        pass
"""


def test_ours_becomes_the_global_one(tmp_path: Path, run_python: RunPython) -> None:
    script = """
    one = service("one", service_name="shop")
    one.tracer.start_span("own").end()
    otel.get_tracer("library").start_span("library").end()
    work()
    assert names(one) == ["library", "own", "work"], names(one)
    head = one.list().traces[0].head
    resource = one.payload(head.trace_id, head.span_id).resource
    assert head.service == "shop"
    import os, pilothouse
    assert resource["pilothouse.version"] == pilothouse.__version__
    assert resource["process.pid"] == os.getpid()
    """
    run_python(SETUP + script, tmp_path)


def test_a_provider_of_the_users_own_is_kept(tmp_path: Path, run_python: RunPython) -> None:
    script = """
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    theirs, seen = TracerProvider(), InMemorySpanExporter()
    theirs.add_span_processor(SimpleSpanProcessor(seen))
    otel.set_tracer_provider(theirs)
    one = service("one")
    assert otel.get_tracer_provider() is theirs
    work()
    one.tracer.start_span("own").end()
    assert names(one) == ["own", "work"]
    assert [span.name for span in seen.get_finished_spans()] == ["work", "own"]
    one.close()
    work()
    assert len(seen.get_finished_spans()) == 3, "theirs goes on"
    assert names(one) == ["own", "work"], "ours is closed"
    """
    run_python(SETUP + script, tmp_path)


def test_an_exporter_added_to_ours_is_flushed_at_the_end(tmp_path: Path, run_python: RunPython) -> None:
    script = """
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
    one = service("one")
    otel.get_tracer_provider().add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=lambda s: s.name)))
    work()
    """
    assert run_python(SETUP + script, tmp_path).stdout == "work"


def test_two_projects_of_one_process_do_not_mix(tmp_path: Path, run_python: RunPython) -> None:
    script = """
    one, two = service("one"), service("two")
    one.tracer.start_span("of one").end()
    two.tracer.start_span("of two").end()
    work()
    assert names(one) == ["of one", "work"]
    assert names(two) == ["of two"]
    one.close()
    three = service("three")
    work()
    assert names(three) == ["work"], "the next project takes the free provider"
    """
    run_python(SETUP + script, tmp_path)


def test_nothing_is_recorded_while_no_project_is_open(tmp_path: Path, run_python: RunPython) -> None:
    script = """
    one = service("one")
    one.close()
    assert not one.tracer.start_span("closed").is_recording()
    assert not otel.get_tracer("library").start_span("closed").is_recording()
    work()
    assert names(one) == []
    """
    run_python(SETUP + script, tmp_path)


def test_a_provider_that_takes_no_processors_is_left_alone(tmp_path: Path, run_python: RunPython) -> None:
    script = """
    otel.set_tracer_provider(otel.NoOpTracerProvider())
    one = service("one")
    one.tracer.start_span("own").end()
    work()
    assert names(one) == ["own"]
    """
    run_python(SETUP + script, tmp_path)


def test_the_users_sampler_is_obeyed(tmp_path: Path, run_python: RunPython) -> None:
    script = """
    one = service("one")
    one.tracer.start_span("own").end()
    assert names(one) == []
    """
    prefix = 'import os\nos.environ["OTEL_TRACES_SAMPLER"] = "always_off"\n'
    run_python(prefix + "\n".join(line[4:] for line in (SETUP + script).splitlines()), tmp_path)


def test_tracing_may_be_turned_off(tmp_path: Path, run_python: RunPython) -> None:
    script = """
    one = service("one", enabled=False)
    one.tracer.start_span("own").end()
    work()
    assert one.flush()
    assert isinstance(otel.get_tracer_provider(), otel.ProxyTracerProvider)
    assert not (root / "one").exists()
    """
    run_python(SETUP + script, tmp_path)


def test_recording_needs_no_network_and_no_engine(tmp_path: Path, run_python: RunPython) -> None:
    script = """
    import socket
    def refuse(*arguments, **options):
        raise AssertionError("a network connection was asked for")
    socket.socket = socket.create_connection = refuse
    one = service("one")
    work()
    assert one.flush()
    assert "duckdb" not in sys.modules
    assert names(one) == ["work"]
    """
    run_python(SETUP + script, tmp_path)
