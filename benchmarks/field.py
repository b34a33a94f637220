"""Situations that people of this field report: run the tests that rebuild them, and print situation, expected and got.

`python -m benchmarks.field [words …]` runs all situations, or those whose name has one of the words, such as `python -m
benchmarks.field csv mp3`. The tests make their own inputs. The exit status is 1 if a situation ends otherwise.

The tests are next to those of the modules that they test, so that the usual test run has them too. This list names them, as
`benchmarks.faults` does for injected faults.
"""

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

CORPORA = "tests/speech2unit/corpora"
SURVEY = f"{CORPORA}/containers/test_survey.py"
LIBAV = f"{CORPORA}/containers/test_libav.py"
AUDIO = f"{CORPORA}/test_audio.py"
CSV = f"{CORPORA}/test_csv_rows.py"
FOLDERS = f"{CORPORA}/adapters/test_folders.py"
TABLE = f"{CORPORA}/adapters/test_table.py"
MANIFEST = f"{CORPORA}/test_make_manifest.py"
REMARKS = f"{CORPORA}/test_remarks.py"
CHECKPOINT_FILES = "tests/speech2unit/encoders/test_checkpoint_files.py"
UNITS = "tests/speech2unit/test_import_units.py"
TABLES = "tests/workflow/test_config_tables.py"
EXTERNAL = "tests/workflow/test_external_files.py"
MAX_GOT = 90  # characters of a failure that the table shows


class Situation(NamedTuple):
    """A situation, how it must end, and the tests that rebuild it, `file::function`."""

    name: str
    expected: str
    tests: list


SITUATIONS = [
    Situation(
        "MP3 and other files that go on after what their header announces",
        "all audio is read, or the file is refused with the ffmpeg line that repairs it",
        [f"{SURVEY}::test_all_audio_is_read_or_the_file_is_refused"],
    ),
    Situation(
        "whole files with odd headers: streams, crashed recorders, wrong byte rates",
        "read completely",
        [
            f"{SURVEY}::test_whole_files_with_odd_headers_are_read",
            f"{AUDIO}::test_a_wav_that_was_streamed_has_no_length_and_is_read",
        ],
    ),
    Situation(
        "rare formats (VOC, IRCAM, MATLAB) that were cut",
        "refused with the command that converts a whole file",
        [
            f"{AUDIO}::test_no_format_that_soundfile_writes_is_read_without_its_end",
            f"{AUDIO}::test_formats_that_do_not_show_their_end_are_refused_with_the_command_that_converts_them",
        ],
    ),
    Situation(
        "m4a, WebM, AAC and 3GP of phones and browsers",
        "read with PyAV; without it, the error says what to install",
        [f"{LIBAV}::test_without_pyav_the_error_says_what_to_type", f"{LIBAV}::test_all_sound_is_read"],
    ),
    Situation(
        "float WAV that holds whole numbers",
        "refused with the divisor",
        [
            f"{AUDIO}::test_floats_that_are_too_loud_to_be_full_scale_are_refused_with_the_divisor",
            f"{AUDIO}::test_one_channel_that_is_too_loud_is_enough_and_small_excess_is_none",
        ],
    ),
    Situation(
        "MP3 whose decoders differ in the last bits",
        "the hash is of the compressed audio",
        [
            f"{AUDIO}::test_the_hash_does_not_depend_on_the_last_bits_of_a_decoder",
            f"{SURVEY}::test_tags_and_containers_do_not_change_the_hash_of_compressed_audio",
        ],
    ),
    Situation(
        "clips of 25 ms to minutes at several rates",
        "one frame per 20 ms of the resampled audio; shorter clips are refused",
        [
            f"{AUDIO}::test_any_rate_and_channels_become_mono_at_the_requested_rate",
            f"{AUDIO}::test_400_samples_at_the_encoders_rate_are_enough",
            "tests/speech2unit/encoders/models/test_log_mel.py::test_the_number_of_frames_is_known_in_advance",
        ],
    ),
    Situation(
        "the same audio twice, with another label or in another split",
        "counted, contradictions named, overlap of splits refused",
        [
            f"{REMARKS}::test_equal_audio_and_contradicting_labels",
            f"{MANIFEST}::test_speakers_and_audio_in_two_splits_are_errors_or_counted",
        ],
    ),
    Situation(
        "CSV with an unbalanced quotation mark",
        "the line is named; no row is swallowed",
        [
            f"{CSV}::test_a_quotation_mark_that_swallows_rows_is_named_by_its_line",
            f"{CSV}::test_a_quotation_mark_that_is_not_closed_is_named_by_its_line",
        ],
    ),
    Situation(
        "CSV with blanks, capitals and letters in two Unicode forms",
        "one class and one speaker; names that look alike are said",
        [
            f"{TABLE}::test_blanks_and_forms_of_letters_make_no_second_class",
            f"{MANIFEST}::test_paths_are_tried_in_the_other_form_of_their_letters",
            f"{FOLDERS}::test_names_of_folders_and_files_are_normalized",
            f"{REMARKS}::test_names_that_look_alike",
        ],
    ),
    Situation("CSV with short rows", "the line is named", [f"{CSV}::test_short_and_long_rows_are_named_by_their_line"]),
    Situation(
        "CSV of Windows: separators, encodings, backslashes, capitals of extensions",
        "read, or refused with what to type",
        [
            f"{CSV}::test_other_characters_between_cells",
            f"{TABLE}::test_metadata_that_cannot_be_read",
            f"{TABLE}::test_windows_paths_say_what_to_type",
            f"{MANIFEST}::test_a_missing_file_names_the_one_that_is_there",
        ],
    ),
    Situation(
        "Parquet with lists, or text that looks like a list",
        "a sequence where one is asked for, else refused",
        [f"{TABLE}::test_lists_in_parquet_are_sequences", f"{TABLE}::test_lists_as_text_are_refused"],
    ),
    Situation(
        "Parquet with the audio itself",
        "refused, without its bytes, with the command that writes files",
        [f"{TABLE}::test_bytes_are_refused_unseen_with_the_command_that_writes_files"],
    ),
    Situation(
        "random tables and trees that are valid but unusual",
        "every row has the right values, or an error or a notice counts it",
        [f"{CORPORA}/test_unusual_corpora.py::test_nothing_is_lost_or_invented_in_silence"],
    ),
    Situation(
        "folders with hidden names and trash",
        "left out at any depth, and counted",
        [f"{FOLDERS}::test_hidden_names_are_left_out_at_any_depth_and_counted", f"{FOLDERS}::test_empty_classes_are_said"],
    ),
    Situation(
        "folders that are links, circles, or closed",
        "links are followed, circles counted, closed folders an error",
        [f"{FOLDERS}::test_links_are_followed_but_not_in_circles", f"{FOLDERS}::test_a_folder_that_cannot_be_listed_is_an_error"],
    ),
    Situation(
        "folders with a transcript for each clip",
        "left out and counted",
        [f"{FOLDERS}::test_files_that_go_with_a_recording_are_left_out_and_counted"],
    ),
    Situation(
        "a speaker pattern whose group takes no part",
        "refused with the file",
        [f"{FOLDERS}::test_a_pattern_that_finds_no_speaker_is_refused"],
    ),
    Situation(
        "units of somebody else: runs, text, floats, stacks, missing columns",
        "runs are collapsed with durations; file and row are named",
        [
            f"{UNITS}::test_usual_forms_are_read",
            f"{UNITS}::test_runs_become_one_unit_with_their_length",
            f"{UNITS}::test_a_wrong_row_is_named_with_its_file",
            f"{UNITS}::test_nested_units_labels_and_other_files_are_refused",
            f"{UNITS}::test_a_missing_column_is_named",
        ],
    ),
    Situation(
        "tables of config/ from spreadsheets: quotation marks, UTF-16, cp1252",
        "read, or refused with the command that converts them",
        [
            f"{TABLES}::test_tables_as_spreadsheets_write_them_are_the_same",
            f"{TABLES}::test_a_table_in_another_encoding_says_what_to_type",
        ],
    ),
    Situation(
        "an older metadata table put in place; new times without new content; a moved folder",
        "content decides what runs again",
        [
            f"{EXTERNAL}::test_an_older_table_with_other_content_is_read_and_new_times_alone_rerun_nothing",
            f"{EXTERNAL}::test_a_moved_folder_reruns_nothing_unless_its_recordings_differ",
        ],
    ),
    Situation(
        "recordings below a folder that is called results",
        "not mistaken for results of the project",
        [f"{EXTERNAL}::test_only_the_projects_own_results_are_made_here"],
    ),
    Situation(
        "a script that is touched, or whose comments change",
        "nothing runs again",
        ["tests/workflow/test_stage_code.py::test_comments_docstrings_blank_lines_and_touch_change_nothing"],
    ),
    Situation(
        "two runs that write the same file",
        "one after the other, and a whole file",
        ["tests/storage/test_files.py::test_two_writers_at_once_do_not_interfere"],
    ),
    Situation(
        "another folder, locale, number of cores and shards",
        "the same results",
        ["tests/workflow/test_end_to_end.py::test_one_core_one_shard_another_folder_and_locale_give_the_same"],
    ),
    Situation(
        "the workflow as a module out of a git host",
        "runs with a config folder of the user's own",
        [
            "tests/workflow/test_module.py::test_a_module_from_git_runs_with_the_users_config",
            "tests/workflow/test_module.py::test_what_the_users_config_leaves_out_is_taken_from_the_repository_and_the_rest_is_checked",
        ],
    ),
    Situation(
        "folders of transformers: shards, heads for a task, adapters",
        "shards are joined, heads left out by name, adapters refused with the command that merges them",
        [
            f"{CHECKPOINT_FILES}::test_shards_are_read_together",
            f"{CHECKPOINT_FILES}::test_a_missing_shard_is_named",
            f"{CHECKPOINT_FILES}::test_the_encoder_of_a_model_for_a_task_is_taken_and_the_rest_named",
            f"{CHECKPOINT_FILES}::test_a_folder_of_an_adapter_is_refused_with_the_command_that_merges_it",
        ],
    ),
    Situation(
        "labels with dollars, brackets, per cent and slashes",
        "kept as they are, also in figures",
        [
            f"{TABLE}::test_brackets_in_a_label_are_letters",
            "tests/evaluation/test_figures.py::test_dollars_in_a_label_are_no_formula",
        ],
    ),
    Situation(
        "labels in other scripts",
        "drawn with an installed font, or named with what to install",
        [
            "tests/evaluation/test_fonts.py::test_characters_without_a_font_are_named_with_what_to_install",
            "tests/evaluation/test_fonts.py::test_a_font_of_the_system_is_used",
        ],
    ),
]


def results(report):
    """Return what a JUnit report says: `file::function` → list of texts, empty for each test that passed.

    A skipped test gives `skipped: …`, one that failed the first line of its error.
    """
    texts = {}
    for case in ElementTree.parse(report).iter("testcase"):
        text = ""
        for kind in ("failure", "error", "skipped"):
            if (problem := case.find(kind)) is not None:
                message = problem.get("message", "").split("\n")[0]
                text = f"skipped: {message}" if kind == "skipped" else f"failed: {message}"
        texts.setdefault(f"{case.get('file')}::{case.get('name').partition('[')[0]}", []).append(text)
    return texts


def outcome(situation, texts):
    """Return what a situation ended with, and whether that is what is expected."""
    missing = [test for test in situation.tests if test not in texts]
    if missing:
        return f"not run: {missing[0]}", False
    found = [text for test in situation.tests for text in texts[test]]
    failures = [text for text in found if text.startswith("failed")]
    if failures:
        return f"{len(failures)} of {len(found)} {failures[0]}"[:MAX_GOT], False
    skipped = [text for text in found if text]
    if len(skipped) == len(found):
        return skipped[0][:MAX_GOT], True
    num_passed = len(found) - len(skipped)
    return f"as expected ({num_passed} passed{f', {len(skipped)} skipped' if skipped else ''})", True


def main():
    """Run the chosen situations and print the table."""
    words = [word.casefold() for word in sys.argv[1:]]
    chosen = [s for s in SITUATIONS if not words or any(word in s.name.casefold() for word in words)]
    if not chosen:
        sys.exit(f"no situation has any of the words {', '.join(words)} in its name; python -m benchmarks.field runs all of them")
    tests = sorted({test for situation in chosen for test in situation.tests})
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", *tests, f"--junitxml={report}", "-o", "junit_family=xunit1", "--durations=0"]
        subprocess.run(command, stdout=sys.stderr)
        texts = results(report) if report.exists() else {}
    print("| situation | expected | got |\n|---|---|---|")
    outcomes = [outcome(situation, texts) for situation in chosen]
    for situation, (got, _) in zip(chosen, outcomes):
        print(f"| {situation.name} | {situation.expected} | {got.replace('|', '/')} |")
    sys.exit(not all(is_expected for _, is_expected in outcomes))


if __name__ == "__main__":
    main()
