"""What the report says, and that it says nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphopt.pipeline.journal import Status, Verdict
from graphopt.report import markdown, text
from graphopt.report.formats import FORMATS
from tests.report.reports import CLEAN, DIRTY, EVALUATED, UNVERIFIED, VERIFIED, WRONG, entry

EVIL = "a\x1b[31m\x07[bold]|`_"


def test_numbers_come_first():
    lines = text.render(CLEAN).splitlines()
    assert lines[0] == "m.onnx"
    assert [line.split() for line in lines[2:5]] == [
        ["nodes", "10", "->", "5", "-50", "%"],
        ["with", "subgraphs", "12", "->", "7", "-42", "%"],
        ["weights", "2.0", "MB", "->", "1.0", "MB", "-50", "%"],
    ]


def test_runs_of_a_pass_are_added_up_and_idle_ones_left_out():
    assert [(step.step, step.removed, step.hits) for step in text.summary(CLEAN)] == [
        ("fold", 1, {"constant": 1}),
        ("fuse", 4, {"conv_batchnorm": 4}),
    ]
    assert "idle" not in text.render(CLEAN)


def test_the_verdict_counts_what_was_checked_and_how():
    assert text.verdict(CLEAN) == (
        "3 rewrites: 2 verified, 1 computed by the reference runtime itself; 1 region run. The whole model agrees "
        "with the original: its largest error is 2.5 rounding errors, within close(128)."
    )


@pytest.mark.parametrize(
    ("whole", "words"),
    [
        (Verdict(Status.VERIFIED, 0.0), "The whole model agrees with the original without any difference."),
        (
            Verdict(Status.VERIFIED, 3.0, "within twice 2"),
            "The whole model agrees with the original: its largest error is 3 rounding errors, within twice 2.",
        ),
        (Verdict(Status.UNVERIFIED, detail="it is huge"), "The whole model was not verified: it is huge."),
        (Verdict(Status.OFF), "The whole model was not compared with the original (--verify region)."),
    ],
)
def test_what_became_of_the_whole(whole, words):
    assert text.whole_verdict(replace(CLEAN, whole=whole)) == words


def test_nothing_to_do_is_said_in_three_words():
    idle = replace(CLEAN, rewrites=(), steps=(), whole=Verdict(Status.VERIFIED, detail=text.NOTHING_TO_CHECK))
    assert text.verdict(idle) == "Nothing was rewritten."
    assert "by rule" not in text.render(idle)


def test_everything_undone_unverified_and_noted_is_a_sentence():
    assert text.rolled_back(DIRTY) == ["bad was undone at Conv w: 1 became 2. See out.reproducers/bad-1/README.md."]
    assert text.unverified(DIRTY) == ["thing was kept at Thing t: nothing can run it."]
    said = " ".join(text.render(DIRTY).split())
    for words in (*text.rolled_back(DIRTY), *text.unverified(DIRTY), "the opset was raised."):
        assert words in said


def test_entries_alike_are_one_sentence():
    many = [entry("bad", f"Conv w{i}", Status.WRONG, "1 became 2") for i in range(4)]
    assert text.rolled_back(replace(CLEAN, rolled_back=(*many, WRONG))) == [
        "bad was undone at Conv w0, Conv w1 and 3 more: 1 became 2."
    ]


def test_in_brief_there_is_one_sentence_for_each_rule():
    many = [entry("bad", f"Conv w{i}", Status.WRONG, f"{i} became 9") for i in range(4)]
    report = replace(CLEAN, rolled_back=tuple(many))
    assert text.rolled_back(report, brief=True) == ["bad was undone at Conv w0 and 3 more, the first: 0 became 9."]
    assert len(text.rolled_back(report)) == 4


def test_long_lists_and_sentences_are_cut_in_brief_but_not_in_a_file():
    many = tuple(entry(f"bad{i}", "Conv w", Status.WRONG, f"reason {i} " + "x" * 1000) for i in range(8))
    report = replace(CLEAN, rolled_back=many)
    brief, whole = text.render(report), FORMATS[".txt"](report)
    assert "bad4" in brief
    assert "bad5" not in brief
    assert "... and 3 more; --report FILE lists all of them" in brief
    assert "x" * 80 in brief
    assert len(brief) < 5000 < len(whole)
    assert "bad7" in whole


def test_the_next_steps_are_commands_about_rules_that_came_near():
    assert text.next_steps(DIRTY, "out.onnx") == ["graphopt why m.onnx --rule gelu  (2 near misses)"]
    assert text.next_steps(CLEAN, "my out.onnx") == ["graphopt compare m.onnx 'my out.onnx' --contract 'close(128)'"]
    assert text.next_steps(CLEAN) == []


def test_times_add_up():
    whole = text.render(CLEAN, whole=True)
    assert [line.split()[-2:] for line in whole.splitlines() if line.strip().startswith(("fuse  ", "all"))][1:] == [
        ["1.00", "25%"],
        ["0.25", "6%"],
        ["4.00", "100%"],
    ]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_nothing_is_wider_than_the_console(width):
    from graphopt.report.style import plain

    assert max(map(len, plain(text.layout(DIRTY), width).splitlines())) <= width


def test_names_cannot_steer_anything():
    report = replace(
        CLEAN, model=EVIL, rolled_back=(entry(EVIL, EVIL, Status.WRONG, EVIL, reproducer=EVIL),), notes=(EVIL,)
    )
    for write in FORMATS.values():
        assert "\x1b" not in write(report)
        assert "\x07" not in write(report)
    assert "a\\x1b[31m\\x07[bold]|`_" in text.render(report)


def test_markdown_tables_and_lists():
    page = markdown.render(DIRTY)
    assert "| weights | 2.0 MB | 1.0 MB | -50 % |" in page
    assert "| fuse | -4 | 1.25 | conv\\_batchnorm 4 |" in page
    assert "| BatchNormalization | 5 | 0 |" in page
    assert "- bad was undone at Conv w: 1 became 2. See out.reproducers/bad-1/README.md." in page
    assert "- the opset was raised." in page
    assert "Pipeline `fold,fix(fuse)`, verification level `region`, 4.00 s; onnx 1.2.3." in page
    assert "## Unverified" not in markdown.render(CLEAN)


def test_markdown_cells_cannot_break_the_table():
    page = markdown.render(replace(CLEAN, model="a|b", steps=(replace(CLEAN.steps[0], step="x|y`"),)))
    assert "| x\\|y\\` |" in page


def test_clean_means_that_nothing_was_undone_or_left_unchecked():
    assert CLEAN.clean
    for change in ({"rolled_back": (WRONG,)}, {"unverified": (UNVERIFIED,)}, {"whole": Verdict(Status.UNVERIFIED)}):
        assert not replace(CLEAN, **change).clean


def test_the_text_of_a_report_is_its_brief():
    assert str(CLEAN) == text.render(CLEAN)
    assert {VERIFIED, EVALUATED} == set(CLEAN.rewrites)
