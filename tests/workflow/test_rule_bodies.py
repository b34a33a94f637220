"""Rules as text: a rule that copies another one has its sections."""

from workflow.scripts.rule_bodies import rule_bodies

TEXT = """
rule first:
    input:
        a="a",
    log:
        "logs/first.log",
    threads: 2


use rule first as second with:
    log:
        "logs/second.log",


use rule second as third with:
    input:
        b="b",


def function(wildcards):
    return []
"""


def test_a_copied_rule_has_the_sections_that_it_does_not_replace(tmp_path):
    (tmp_path / "rules.smk").write_text(TEXT)
    bodies = rule_bodies(tmp_path / "rules.smk")
    assert list(bodies) == ["first", "second", "third"]
    assert bodies["second"] == '    input:\n        a="a",\n    log:\n        "logs/second.log",\n    threads: 2\n'
    assert bodies["third"] == '    input:\n        b="b",\n    log:\n        "logs/second.log",\n    threads: 2\n'
    assert "def function" not in bodies["third"]
