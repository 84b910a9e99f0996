"""The semantics of `flow.dag.yaml`, row by row, and the tests that hold each row.

Rows are those of section 2.2 of the notes on prompt flow; the last ones are its defects that are not inherited.

row                             tests
top level keys                  test_every_key_is_read
environment_variables           test_environment_variables_that_are_no_text_become_json, test_environment_variables_may_read_connections, test_environment_variables_are_set_before_the_code_is_imported
message_format, image           test_every_form_of_an_image_is_read, test_a_list_of_texts_and_images_is_shown_line_by_line
inputs                          test_a_flow_input_is_brought_to_its_type, test_a_flow_input_of_another_type_fails_the_line_and_says_so, test_defaults_apply_to_absent_inputs_only_and_null_is_no_default
outputs                         test_outputs_come_from_nodes_inputs_paths_and_literals, test_an_empty_output_reference_is_refused, test_an_output_of_an_aggregation_node_is_left_out_with_a_note
node keys                       test_every_key_is_read, test_a_broken_file_is_refused_with_its_line_and_a_cure
node types                      test_any_type_of_node_may_have_variants, test_a_custom_llm_tool_gets_its_template_and_what_to_guard, test_a_custom_llm_node_needs_a_package_tool
csharp                          test_a_broken_file_is_refused_with_its_line_and_a_cure
legacy provider, module, tool   test_legacy_provider_and_module_are_accepted, test_the_oldest_form_of_nodes_names_an_inline_tool
aggregation, alias reduce       test_reduce_is_the_older_word_for_aggregation
node_variants                   test_the_chosen_variant_runs_and_others_are_at_default, test_broken_variants_are_refused_at_load, test_an_unknown_choice_names_the_nearest
references: whole strings       test_only_a_whole_string_is_a_reference, test_text_that_only_looks_like_a_reference_is_noted
references: forms               test_a_reference_is_read
references: paths               test_a_path_is_followed, test_a_path_that_leads_nowhere_fails_the_reading_node_or_the_line
references: another section     test_another_section_than_output_is_refused
order                           test_the_order_in_the_file_does_not_matter, test_a_flow_written_backwards_runs
cycles                          test_a_cycle_is_shown_as_a_path, test_a_choice_that_closes_a_cycle_is_refused
duplicates                      test_two_nodes_of_one_name_are_refused
missing references              test_a_reference_to_nothing_names_the_nearest
scheduling                      test_sync_tools_that_are_ready_run_side_by_side, test_async_tools_and_model_calls_run_side_by_side_on_the_loop, test_branches_do_not_wait_for_each_other
line time-out                   test_a_line_that_takes_too_long_fails_and_names_the_node, test_prompt_flows_own_variables_are_obeyed
literals removed and coerced    test_a_tool_gets_its_literals_in_their_types
connection-typed parameters     test_a_connection_typed_parameter_gets_the_connection, test_a_connection_of_another_type_is_refused_when_the_flow_is_opened
chat history                    test_chat_history_is_guarded_inside_lists_and_objects, test_defaults_apply_to_absent_inputs_only_and_null_is_no_default
caching                         test_a_second_line_is_answered_from_the_cache_and_costs_nothing, test_a_python_node_is_cached_only_when_it_says_so
includes                        test_a_file_a_folder_and_a_template_are_included, test_an_include_beats_a_local_file_and_is_noted, test_a_folder_is_compressed_where_a_zip_file_is_named
bypass rule 1                   test_rule_1_runs_if_and_only_if_the_values_are_equal, test_rule_1_bypasses_when_the_node_of_the_condition_was_bypassed, test_rule_1_alone_decides_even_when_all_inputs_were_bypassed
bypass rule 2                   test_rule_2_bypasses_a_node_whose_references_were_all_bypassed, test_rule_2_runs_a_node_of_which_one_reference_was_not_bypassed
bypass rule 3                   test_rule_3_leaves_out_an_input_whose_parameter_has_a_default, test_rule_3_for_templates_and_parameters_of_a_model
bypass rule 4                   test_rule_4_an_output_of_a_bypassed_node_is_null_with_a_note
bypass rule 5                   test_rule_5_a_condition_waits_for_its_node, test_an_activate_condition_is_a_dependency
aggregation: lists              test_inputs_and_outputs_arrive_as_lists_in_input_order, test_one_line_gives_lists_of_one
aggregation: succeeded lines    test_failed_lines_are_left_aside_and_bypassed_nodes_keep_their_place
log_metric                      test_what_is_a_number_becomes_one, test_a_metric_logged_for_a_line_is_not_kept_and_noted_once, test_metrics_of_runs_side_by_side_stay_apart
python tools: one @tool         test_two_tools_are_refused_with_both_lines, test_a_file_without_a_tool_is_refused
python tools: methods           test_a_method_of_a_class_is_a_tool_with_its_constructors_inputs
python tools: path and folder   test_the_folder_is_first_on_the_path_and_current_while_resolving, test_two_flows_may_have_files_of_one_name
python tools: decorator         test_the_decorator_takes_prompt_flows_parameters
promptflow imports              test_a_tool_of_prompt_flow_runs, test_every_name_that_is_offered_is_there, test_what_is_not_offered_is_refused_at_load_with_its_line_and_what_to_use, test_the_real_package_is_used_where_it_is_installed_and_a_note_says_so
strong-type connections         test_a_strong_type_reads_its_own_and_its_bases_fields, test_a_connection_that_does_not_fit_its_class_is_refused
package tools                   test_a_function_or_method_of_a_package_runs
template engine                 test_a_template_is_rendered_as_prompt_flow_does, test_the_sandbox_keeps_templates_from_python, test_the_sandbox_can_be_left
chat split                      test_messages, test_it_cuts_where_the_documented_expression_cuts
injection defence               test_a_marker_in_a_flow_input_stays_text, test_what_a_prompt_node_rendered_is_guarded_in_the_next_node, test_no_text_of_flow_inputs_adds_a_message
special chunks                  test_a_function_message_names_its_function, test_tool_calls_of_an_assistant_are_read, test_a_line_that_is_an_image_becomes_an_image_part
llm inputs                      test_a_template_variable_that_hides_a_parameter_is_refused, test_an_input_that_the_template_does_not_use_is_noted_with_the_nearest_name
llm parameters                  test_parameters_are_sent_in_their_types, test_azure_calls_by_deployment_and_the_others_by_model, test_the_completion_api_gets_the_text_as_it_is, test_a_json_schema_is_sent
llm output                      test_an_answer_with_tools_is_the_message, test_an_answer_with_functions_is_the_message, test_a_streamed_answer_is_joined
streaming                       test_a_generator_is_joined_for_an_output_and_read_item_by_item_by_a_node
node variants of any type       test_any_type_of_node_may_have_variants
connections of a run            test_a_run_may_replace_connection_and_inputs_of_nodes
test of one node                test_one_node_runs_alone_on_what_it_is_given, test_one_node_is_tried
defect 1, misaligned resume     test_defect_1_of_prompt_flow_lists_stay_aligned_after_a_resume, test_any_order_of_arrival_gives_the_same_lists
defect 2, failed is completed   test_no_completed_line_is_an_error_and_not_a_crash_of_the_users_code, test_a_failing_tool_shows_its_traceback_and_ends_with_1
defect 4, retyped data          test_a_flow_input_is_brought_to_its_type
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pilothouse as ph
from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError
from pilothouse.flows.project import flow_settings
from pilothouse.flows.settings import FlowSettings
from pilothouse.flows.tool import ATTRIBUTE, ToolInfo, tool

HERE = Path(__file__).parent
ROWS = [re.split(r"\s{2,}", line, maxsplit=1) for line in (__doc__ or "").partition("tests\n")[2].splitlines() if line]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_tests_of_a_row_exist(row: list[str]) -> None:
    written = "\n".join(path.read_text() for path in HERE.rglob("test_*.py"))
    for name in row[1].split(", "):
        assert f"def {name}(" in written, name


def test_the_decorator_takes_prompt_flows_parameters() -> None:
    @tool(name="n", description="d", type="python", input_settings={"a": {}}, streaming_option_parameter="stream")
    def first(text: str) -> str:
        return text

    @ph.tool
    async def second(text: str) -> str:
        return text

    expected = ToolInfo(
        name="n", description="d", type="python", input_settings={"a": {}}, streaming_option_parameter="stream"
    )
    assert getattr(first, ATTRIBUTE) == expected
    assert getattr(second, ATTRIBUTE) == ToolInfo()
    assert first("x") == "x"
    assert (first.__name__, second.__name__) == ("first", "second")


def test_prompt_flows_own_variables_are_obeyed() -> None:
    environment = Environment({"PF_LINE_TIMEOUT_SEC": "30", "PF_USE_SANDBOX_FOR_JINJA": "False"})
    assert flow_settings(FlowSettings(), environment) == FlowSettings(line_timeout=30.0, sandbox=False)
    assert flow_settings(FlowSettings(), Environment({})) == FlowSettings()
    with pytest.raises(ConfigError, match="PF_LINE_TIMEOUT_SEC is 'soon'"):
        flow_settings(FlowSettings(), Environment({"PF_LINE_TIMEOUT_SEC": "soon"}))
