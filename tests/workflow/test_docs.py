"""Every command, snippet, link and path in the documents holds: commands are planned in a copy of the project, nothing runs.

In fenced blocks, `bash` (or no language) holds commands, `python` code, `yaml` a file, `diff` a change of a file, `text` output.
A block of `yaml` or `python` whose first line is a comment with a path is that file: `# config/mine.yaml`.
"""

import ast
import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from workflow.scripts.make_docs import rule_outputs

ROOT = Path(__file__).parents[2]
PAGES = sorted(  # README.md and RESULTS.md come first
    page.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "config/**/*.md", "workflow/*.md", "benchmarks/*.md")
    for page in ROOT.glob(pattern)
)
ADD_ROW = "python -m workflow.scripts.add_row"
MINE = "path,split,speaker,label,digits\n" + "".join(f"{s}.wav,{s},{s},yes,3 7\n" for s in ("train", "dev", "test"))
DATA = (  # files below paths.data that a plan asks for
    "speech/metadata.csv",
    "speech_unlabelled/metadata.csv",
    *(f"units_gsc_hubert100/{split}.parquet" for split in ("train", "valid", "test")),
)
OURS = "config|docs|workflow|storage|training|evaluation|speech2unit|verbalizer|ulm|superb|inference|benchmarks|tests"


def blocks(page):
    """(language, text) of every fenced block of a page; a block within a list is indented."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    return [(language, re.sub(f"^{indent}", "", text, flags=re.MULTILINE)) for indent, language, text in found]


def prose(page):
    """A page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)


def commands(page):
    """Command lines of a page, without comments: those of its blocks, and inline code that begins with a command's name."""
    lines = [line for language, text in blocks(page) if language in ("", "bash") for line in text.splitlines()]
    inline = re.findall(r"`((?:snakemake|make|python -m|pip) [^`]+)`", prose(page))
    lines += [line for line in inline if "…" not in line and "TABLE" not in line]
    words = [shlex.split(line, comments=True) for line in lines]
    return [shlex.join(line) for line in words if line]


def files_of(page):
    """Path → text of the files that a page shows as a whole."""
    found = {}
    for language, text in blocks(page):
        first, _, rest = text.partition("\n")
        if language in ("yaml", "python") and re.fullmatch(r"# [\w./]+\.(yaml|py|smk)", first):
            found[first.removeprefix("# ")] = rest
    return found


def changes_of(page):
    """(path, old, new) of the changes that a page shows as `diff`; their first line is a comment with the path."""
    for language, text in blocks(page):
        if language == "diff":
            first, *lines = text.splitlines()
            old, new = ("\n".join(line[1:] for line in lines if line[:1] in (sign, " ")) for sign in ("-", "+"))
            yield first.removeprefix("# "), old, new


ALL_COMMANDS = list(dict.fromkeys(command for page in PAGES for command in commands(page)))


# A page may name a row that another page adds: what is refused is tried again after the others.
ADD_ROWS = """
import contextlib, copy, io, shlex, sys
from workflow.scripts import add_row

config = add_row.load_config()  # read and checked once: rows do not change it
add_row.check_config(config, add_row.SCHEMAS / "config.schema.yaml", [])
add_row.load_config = lambda configfiles: copy.deepcopy(config)
add_row.check_config = lambda *arguments: None
lines = sys.stdin.read().splitlines()
while lines:
    refused = []
    for line in lines:
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                add_row.main(shlex.split(line)[3:])
            except SystemExit as error:
                refused.append((line, error))
    if len(refused) == len(lines):
        sys.exit("\\n".join(f"{line}: {error}" for line, error in refused))
    lines = [line for line, _ in refused]
"""


@pytest.fixture(scope="module")
def documented(new_project):
    """A copy of the project with the data, files, changes and rows that the documents tell of."""
    made = new_project("documented")
    for file in DATA:
        (made / "../shared/data" / file).parent.mkdir(parents=True, exist_ok=True)
        (made / "../shared/data" / file).touch()
    for name in ("mine", "mine_folders", "mine_strings"):
        (made / name).mkdir()
        (made / name / "metadata.csv").write_text(MINE)
    for page in PAGES:
        for path, text in files_of(page).items():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            (made / path).write_text(text)
        for path, old, new in changes_of(page):
            made.edit(path, old, new)
    rows = [command.replace("/data/", f"{made.folder}/") for command in ALL_COMMANDS if command.startswith(ADD_ROW)]
    run(made, ADD_ROWS, "\n".join(rows))
    return made


def run(project, script, text):
    """Output of a Python script in a copy of the project, which reads `text`."""
    done = subprocess.run([sys.executable, "-c", script], cwd=project.folder, input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_command_is_of_a_known_kind():
    kinds = {command.split()[0] for command in ALL_COMMANDS}
    assert kinds <= {"snakemake", "python", "make", "pip", ".", "tail", "tensorboard", "git", "cd", "mkdir"}


def test_every_target_of_make_exists():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    targets |= {f"bench-{file.stem}" for file in (ROOT / "benchmarks").glob("*.py")}
    named = {word for command in ALL_COMMANDS if command.startswith("make ") for word in command.split()[1:] if "=" not in word}
    assert named and named <= targets


def test_every_module_that_is_run_has_a_main():
    modules = {command.split()[2] for command in ALL_COMMANDS if command.startswith("python -m ")}
    for module in modules:
        path = ROOT.joinpath(*module.split("."))
        text = (path / "__main__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
        assert path.is_dir() or 'if __name__ == "__main__":' in text, module


# One dry run per config file. Commands without one are planned together, with all values that they give to a list of --config.
PLAN = """
import contextlib, io, json, shlex, sys
import yaml
from snakemake.cli import args_to_api, parse_args

targets = {}
lists = {}
for line in sys.stdin.read().splitlines():
    _, args = parse_args(shlex.split(line)[1:])
    if args.report or args.unlock or args.lint:
        continue
    targets.setdefault(tuple(map(str, args.configfile or ())), []).extend(args.targets)
    for name, value in (item.split("=", 1) for item in args.config or ()):
        value = yaml.safe_load(value)
        if isinstance(value, list):
            lists[name] = lists.get(name, []) + value
failures = []
for files, names in targets.items():
    words = ["-n", *dict.fromkeys(names), "--configfile", *files] if files else ["-n", *dict.fromkeys(names), "--config"]
    words += [] if files else [f"{name}={json.dumps(list(dict.fromkeys(values)))}" for name, values in lists.items()]
    output = io.StringIO()
    with contextlib.redirect_stderr(output), contextlib.redirect_stdout(output):
        parser, args = parse_args(words)
        is_planned = args_to_api(args, parser)
    if not is_planned:
        failures.append(shlex.join(words) + output.getvalue()[-2000:])
print(json.dumps(failures))
"""


def test_every_command_of_snakemake_can_be_planned(documented):
    """Without profiles, whose plugins the tests do not need."""
    lines = [command for command in ALL_COMMANDS if command.startswith("snakemake")]
    profiles = {name for line in lines for name in re.findall(r"--profile (\S+)", line)}
    assert len(lines) > 20 and all((documented / name / "config.yaml").is_file() for name in profiles)
    lines = [re.sub(r"--profile \S+", "", line) for line in lines]
    failures = json.loads(run(documented, PLAN, "\n".join(lines)).splitlines()[-1])
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("page", [page for page in PAGES if any(language == "python" for language, _ in blocks(page))])
def test_python_is_valid_and_its_imports_exist(page):
    for language, text in blocks(page):
        if language == "python":
            check_imports(ast.parse(text), page)


def check_imports(tree, page):
    """Imports of what the page itself shows, as a file or as a change of one, hold as well."""
    shown = {path.removesuffix(".py").replace("/", ".") for path in files_of(page)}
    added = "".join(new for _, _, new in changes_of(page))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module not in shown:
            module = importlib.import_module(node.module)
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                assert hasattr(module, alias.name) or name in shown or alias.name in added or importlib.import_module(name), name


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page}: {link}, expected one of {sorted(anchors(target))}"


def anchors(page):
    """Names of a page's headings as GitHub makes them."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_path_exists(page, documented):
    """Paths in inline code: files of the project or of its copy, and files and folders of results/ that some rule makes."""
    for code in re.findall(r"`([^`\s]+)`", prose(page)):
        if re.fullmatch(rf"({OURS})/[\w./-]+", code):
            assert (ROOT / code).exists() or (documented / code).exists(), f"{page}: {code}"
        if re.fullmatch(r"results/[\w./{}-]+", code):
            assert any(is_made(code, output) for output in rule_outputs()), f"{page}: no rule makes {code}"


def is_made(path, output):
    """Whether a path, or a folder, is an output of a rule, or lies above or below one; `{…}` stands for any name."""
    output = output.replace("{trained_task}", "superb/{superb_task}" if "results/superb/" in path else "{task}")
    pairs = zip(path.strip("/").split("/"), output.split("/"))
    return all(part == wanted or "{" in part or "{" in wanted for part, wanted in pairs)


def test_results_layout_names_every_file_of_results():
    text = (ROOT / "docs/results_layout.md").read_text()
    unnamed = [path for path in map(Path, rule_outputs()) if str(path) not in text and f"`{path.name}`" not in text]
    assert not [path for path in unnamed if f"{path.parent.name}/`" not in text]


EXAMPLES = """
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import yaml

from speech2unit import encoders
from speech2unit.corpora.adapters.animals import read_rows
from speech2unit.count_units import count_units
from speech2unit.encoders.architectures import mfcc
from speech2unit.schemas import REDUCED_UNITS, UNIT_COUNTS
from storage import tables
from verbalizer.methods import METHODS

case = yaml.safe_load(sys.stdin.read())["animals"]
for name in case["files"]:
    (Path("animals") / name).parent.mkdir(parents=True)
    (Path("animals") / name).touch()
rows = read_rows(root="animals", label_columns=case["label_columns"])
expected = [(split, *row) for split, rows in case["rows"].items() for row in rows]
assert sorted((row["split"], row["path"], row["speaker"], *row["labels"]) for row in rows) == sorted(expected)

(frames,) = encoders.encode(mfcc.load(None, "cpu"), [np.random.randn(16_000)], layer=0)
assert frames.shape == (98, 13) and mfcc.convert({}, {}) == ({}, [])

assert METHODS["rare"](Counter([2, 2, 0]), 3, seed=1) == [1, 0, 2]

units = dict(utterance_id="a", split="train", codebook="k", units=[4, 5, 4], durations=[1, 1, 1])
tables.write("units.parquet", [units], REDUCED_UNITS)
count_units(reduced_units="units.parquet", unit_counts="unit_counts.parquet")
assert tables.read("unit_counts.parquet", UNIT_COUNTS)["count"].to_pylist() == [2, 1]
"""


def test_the_examples_of_extending_work(documented):
    (case,) = [text for language, text in blocks("docs/extending.md") if language == "yaml"]
    run(documented, EXAMPLES, case)


def test_every_key_of_acc_json_is_explained(project):
    page = (ROOT / "docs/acc_json.md").read_text().partition("## Decoding")[0]
    explained = {key for row in re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert explained == set(json.loads((project / "results/SCR/acc.json").read_text()))
