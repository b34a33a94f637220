"""The command line: inputs, formats, exit status, and what is imported for it."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from inference import command_line, recognizer
from inference.command_line import main
from inference.inputs import audio_items, unit_items
from inference.outputs import display_width
from tests.inference.fakes import FakeRecognizer, write_recording

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fake(monkeypatch):
    """The recognizer that every bundle has; its `loaded` are the arguments."""
    made = FakeRecognizer()

    def load(folder, device=None, seed=None):
        made.loaded = dict(folder=folder, device=device, seed=seed)
        return made

    monkeypatch.setattr(recognizer.Recognizer, "load", load)
    return made


@pytest.fixture
def folder(tmp_path):
    """A folder of recordings: loud, quiet, one that is no audio, a hidden one, and a link into itself."""
    recordings = tmp_path / "recordings"
    write_recording(recordings / "b/loud.wav", 0.3)
    write_recording(recordings / "a.wav", 0.01)
    (recordings / "c.txt").write_text("no audio")
    write_recording(recordings / ".hidden.wav", 0.3)
    write_recording(recordings / ".git/x.wav", 0.3)
    (recordings / "b/again").symlink_to("..", target_is_directory=True)
    return recordings


@pytest.fixture
def run(fake, capsys):
    """A function arguments → (exit status, standard output, standard error) of `label`."""

    def label(*arguments):
        status = main(["label", "bundle", *map(str, arguments)])
        return status, *capsys.readouterr()

    return label


def test_a_folder_as_an_aligned_table(run, folder):
    status, out, err = run(folder)
    head, *rows = out.splitlines()
    assert head.split("  ")[0] == "file" and len(rows) == 2 and status == command_line.SOME_NOT
    assert rows[0].split()[:2] == [str(folder / "a.wav"), "quiet"] and rows[1].split()[:2] == [str(folder / "b/loud.wav"), "loud"]
    assert rows[0].index("  quiet  ") == rows[1].index("  loud  ") == head.index("  label  ")
    probability = float(rows[0].split()[2])
    assert rows[0].endswith(f"  quiet {probability:.3f}, loud {1 - probability:.3f}")
    bad, last = [line for line in err.splitlines() if "left out" not in line]
    assert bad.startswith(f"{folder / 'c.txt'}: not_audio: text, 'no audio'; put the recording in its place, or remove the file")
    assert last == "2 of 3 inputs labelled"


def test_what_a_folder_has_besides_recordings_is_said(run, folder):
    (folder / "b/loud.txt").write_text("what was spoken")
    err = run(folder)[2]
    assert "2 hidden or system names left out: .git, .hidden.wav" in err
    assert "1 files that go with a recording of the same name left out: b/loud.txt" in err
    assert "1 links back to a folder that they are in" in err


def test_csv_has_reasons_in_its_rows(run, folder):
    status, out, err = run(folder, "--csv", "--n-best", 2)
    rows = {Path(row["file"]).name: row for row in csv.DictReader(io.StringIO(out))}
    assert status == command_line.SOME_NOT and list(rows) == ["a.wav", "loud.wav", "c.txt"]
    assert rows["a.wav"]["label"] == "quiet" and rows["a.wav"]["label_2"] == "loud" and rows["a.wav"]["reason"] == ""
    assert float(rows["a.wav"]["probability"]) + float(rows["a.wav"]["probability_2"]) == pytest.approx(1)
    assert rows["c.txt"]["reason"] == "not_audio" and rows["c.txt"]["label"] == rows["c.txt"]["score"] == ""
    assert err.splitlines()[-1] == "2 of 3 inputs labelled"


@pytest.mark.parametrize("num_best", [0, 1, 5])
def test_csv_has_a_column_for_every_answer_that_is_asked_for(run, folder, num_best):
    _, out, _ = run(folder / "a.wav", "--csv", "--n-best", num_best)
    header, row = csv.reader(io.StringIO(out))
    assert len(header) == len(row) == 7 + 2 * max(0, num_best - 1)


def test_json_lines_have_everything(run, folder):
    _, out, _ = run(folder, "--jsonl")
    good, _, bad = map(json.loads, out.splitlines())
    assert good["label"] == "quiet" and good["units"] == [3, 1] and good["n_best"][0]["labels"] == ["quiet"]
    assert bad["label"] is None and bad["reason"] == "not_audio"


def test_parquet(run, folder, tmp_path):
    import pyarrow.parquet as pq

    status, out, err = run(folder, "--parquet", tmp_path / "out.parquet")
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert status == command_line.SOME_NOT and out == "" and err.splitlines()[-1] == "2 of 3 inputs labelled"
    assert [row["label"] for row in rows] == ["quiet", "loud", None] and rows[2]["reason"] == "not_audio"
    assert rows[0]["n_best_labels"] == ["quiet", "loud"] and rows[0]["seconds"] == pytest.approx(0.1)


def test_after_an_error_no_parquet_file_is_left(run, folder, tmp_path, fake, monkeypatch):
    def fail(*arguments, **settings):
        raise ValueError("the model is broken")

    monkeypatch.setattr(fake, "stream", fail)
    (tmp_path / "out").mkdir()
    status, _, err = run(folder, "--parquet", tmp_path / "out/a.parquet")
    assert status == 2 and "the model is broken" in err and not list((tmp_path / "out").iterdir())


def test_exit_status(run, folder, tmp_path):
    assert run(folder / "a.wav")[0] == 0
    assert run(folder / "a.wav", folder / "gone.wav")[0] == 1
    assert run(folder / "gone.wav")[0] == 2
    (tmp_path / "empty").mkdir()
    status, out, err = run(tmp_path / "empty")
    assert (status, out, err) == (2, "", "0 of 0 inputs labelled\n")


@pytest.mark.parametrize("arguments", [["--batch-size", "0"], ["--n-best", "-1"], ["--csv", "--jsonl"]])
def test_wrong_arguments_are_refused(arguments, fake, folder):
    with pytest.raises(SystemExit) as caught:
        main(["label", "bundle", str(folder), *arguments])
    assert caught.value.code == 2


def test_errors_say_what_to_do(run, folder, tmp_path):
    assert "a list of files must be readable; expected a text file" in run(f"@{tmp_path}/none.txt")[2]
    assert "standard input can be read once" in run("-", "-")[2]
    status, _, err = run(folder, "--device", "cuda:99")
    assert status == 2 and "--device: the device must exist; expected cpu" in err
    assert "the device must exist" in run(folder, "--device", "abacus")[2]


def test_options_reach_the_recognizer(run, folder, fake):
    run(folder, "--seed", 3, "--device", "cpu", "--batch-size", 1)
    assert fake.loaded == dict(folder="bundle", device="cpu", seed=3) and fake.batch_sizes == [1, 1]
    assert fake.names == ["a", "loud"]


def test_a_list_of_paths(run, folder, tmp_path):
    write_recording(tmp_path / "more/loud.wav", 0.3)
    (tmp_path / "list.txt").write_text(f"{folder}/a.wav\n\n{tmp_path}/more\r\n")
    _, out, _ = run(f"@{tmp_path / 'list.txt'}", "--csv")
    assert [Path(row[0]).name for row in csv.reader(io.StringIO(out))] == ["file", "a.wav", "loud.wav"]


def test_standard_input(run, folder, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(open(folder / "b/loud.wav", "rb")))
    _, out, _ = run("-", "--csv")
    assert list(csv.reader(io.StringIO(out)))[1][:2] == ["-", "loud"]


def test_names_that_are_no_utf8_or_disturb_a_terminal(fake, folder, capfd):
    name = b"\xff\x1b[31m.wav"
    (folder / "a.wav").rename(Path(str(folder)) / name.decode(errors="surrogateescape"))
    assert main(["label", "bundle", str(folder)]) == 1
    assert "\\udcff\\x1b[31m.wav" in capfd.readouterr().out
    assert main(["label", "bundle", str(folder), "--jsonl"]) == 1
    names = [json.loads(line)["file"] for line in capfd.readouterr().out.splitlines()]
    assert any(path.endswith("\udcff\x1b[31m.wav") for path in names)


def test_later_rows_may_be_wider(run, tmp_path):
    for number, name in enumerate(["a", "b", "a_much_longer_name"]):
        write_recording(tmp_path / f"{number}{name}.wav", 0.3)
    _, out, _ = run(tmp_path, "--batch-size", 2)
    widths = [line.index("  loud  ") for line in out.splitlines()[1:]]
    assert widths[0] == widths[1] < widths[2]


@pytest.mark.parametrize("text, width", [("abc", 3), ("日本", 4), ("e\u0301", 1), ("مرحبا", 5)])
def test_widths_are_those_of_a_terminal(text, width):
    assert display_width(text) == width


def test_units_come_from_lines_of_text(run, fake, tmp_path):
    fake.input_kind = "units"
    (tmp_path / "units.txt").write_text("0 1 0\nsecond\t7 8\n\n3 x\n9\n")
    status, out, _ = run(tmp_path / "units.txt", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["file"], row["label"], row["reason"]) for row in rows] == [
        (f"{tmp_path}/units.txt:1", "quiet", ""),
        ("second", "loud", ""),
        (f"{tmp_path}/units.txt:4", "", "not_units"),
        (f"{tmp_path}/units.txt:5", "", "not_units"),
    ]
    assert status == 1 and run(tmp_path / "none.txt")[2].startswith(f"{tmp_path}/none.txt: missing: ")


def test_items_are_made_one_by_one(tmp_path):
    """A list of a million paths, or a file of a million utterances, is never in memory."""
    (tmp_path / "list.txt").write_text("".join(f"{number}.wav\n" for number in range(10_000)))
    assert next(audio_items([f"@{tmp_path}/list.txt"])).name == "0.wav"
    assert next(unit_items([str(tmp_path / "list.txt")])).content.reason == "not_units"


@pytest.mark.slow
def test_a_reader_that_ends_early_is_no_error(folder):
    """As `python -m inference label … | head -1`."""
    script = (
        "import sys; from inference import recognizer; from tests.inference.fakes import FakeRecognizer;"
        "recognizer.Recognizer.load = lambda *a, **b: FakeRecognizer();"
        "from inference.command_line import main; sys.exit(main())"
    )
    paths = [str(folder / "a.wav")] * 5000
    call = [sys.executable, "-c", script, "label", "bundle", *paths, "--csv"]
    run = subprocess.Popen(call, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout.readline().startswith(b"file,label")
    run.stdout.close()
    assert run.stderr.read() == b"" and run.wait() == command_line.READER_GONE
    run.stderr.close()


@pytest.mark.slow
def test_answers_appear_while_later_recordings_are_read(folder):
    script = (
        "import sys; from inference import recognizer; from tests.inference.fakes import FakeRecognizer;"
        "recognizer.Recognizer.load = lambda *a, **b: FakeRecognizer();"
        "from inference.command_line import main; sys.exit(main())"
    )
    call = [sys.executable, "-c", script, "label", "bundle", "@/dev/stdin", "--csv", "--batch-size", "1"]
    run = subprocess.Popen(call, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    run.stdin.write(f"{folder / 'a.wav'}\n".encode() * 250)  # more than Python reads ahead
    run.stdin.flush()
    assert run.stdout.readline().startswith(b"file,label") and b"a.wav,quiet" in run.stdout.readline()
    run.stdin.close()
    run.stdout.read()
    assert run.wait() == 0
    run.stdout.close()


BLOCKED = ("pandas", "pyarrow", "sklearn", "snakemake", "fairseq", "joblib", "scipy", "matplotlib", "tqdm")


@pytest.mark.slow
def test_label_imports_few_libraries(folder):
    """Everything that `label` imports, up to a bundle that does not exist."""
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({BLOCKED!r}));"
        "import inference.prompt_model, inference.encoder_model, inference.outputs, inference.inputs;"
        "from inference.command_line import main; sys.exit(main())"
    )
    call = [sys.executable, "-c", script, "label", str(folder), str(folder)]
    run = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2 and "a bundle is a folder with bundle.json" in run.stderr, run.stderr
