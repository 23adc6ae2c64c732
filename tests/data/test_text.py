"""Text through a tokenizer's file: tokens, masks, padding, and the labels of causal models."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from graphopt.data.opening import open_data
from graphopt.errors import UsageError
from tests.data.models import taking

WORDS = {"[PAD]": 3, "[UNK]": 0, "the": 1, "cat": 2, "sat": 4}
CAUSAL = taking(("input_ids", ("n", "t"), np.int64), gives=("n", "t", 5))
BERT = taking(
    ("input_ids", ("n", "t"), np.int32),
    ("attention_mask", ("n", "t"), np.int64),
    ("token_type_ids", ("n", "t"), np.int64),
)


@pytest.fixture
def files(tmp_path):
    """Three lines of text, one of them blank, and the file of a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))  # noqa: S106 - no password
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "text.txt").write_text("the cat sat\n\n  the dog\n")
    return tmp_path / "text.txt", tmp_path / "tokenizer.json"


def test_lines_are_samples_padded_to_the_longest_of_a_batch(files):
    data = open_data(files[0], BERT, tokenizer=files[1], labels=None)
    (batch,) = data.batches()
    assert data.count == 2
    assert batch.feeds["input_ids"].dtype == np.int32
    assert batch.feeds["input_ids"].tolist() == [[1, 2, 4], [1, 0, 3]]
    assert batch.feeds["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch.feeds["token_type_ids"].tolist() == [[0] * 3] * 2
    assert [one.feeds["input_ids"].shape for one in data.batches(1)] == [(1, 3), (1, 2)]


def test_a_causal_model_is_judged_by_the_tokens_themselves(files):
    (batch,) = open_data(files[0], CAUSAL, tokenizer=files[1]).batches()
    assert batch.labels.tolist() == [[1, 2, 4], [1, 0, -100]]


def test_labels_of_lines_come_from_a_file(files, tmp_path):
    (tmp_path / "l.csv").write_text("1\n0\n")
    (batch,) = open_data(files[0], CAUSAL, tokenizer=files[1], labels=tmp_path / "l.csv").batches()
    assert batch.labels.tolist() == [1, 0]


def test_a_model_of_fixed_length_gets_that_length(files):
    model = taking(("input_ids", (1, 2), np.int64))
    assert [one.feeds["input_ids"].tolist() for one in open_data(files[0], model, tokenizer=files[1]).batches()] == [
        [[1, 2]],
        [[1, 0]],
    ]
    (batch,) = open_data(files[0], taking(("ids", ("n", 4), np.int64)), tokenizer=files[1]).batches()
    assert batch.feeds["ids"].tolist() == [[1, 2, 4, 3], [1, 0, 3, 3]]


def test_texts_are_cut(files):
    (batch,) = open_data(files[0], CAUSAL, tokenizer=files[1], length=2).batches()
    assert batch.feeds["input_ids"].tolist() == [[1, 2], [1, 0]]


def test_the_fingerprint_follows_text_and_length(files):
    marks = [open_data(files[0], CAUSAL, tokenizer=files[1], length=n).fingerprint() for n in (2, 3, None)]
    files[0].write_text("the cat\n")
    marks.append(open_data(files[0], CAUSAL, tokenizer=files[1]).fingerprint())
    assert len(set(marks)) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, r"text.txt is text: give a tokenizer's file \(--tokenizer tokenizer.json\)"),
        ({"tokenizer": "none.json"}, "none.json: there is no such file"),
        ({"tokenizer": "text.txt"}, "text.txt cannot be read as a tokenizer"),
        ({"tokenizer": "tokenizer.json", "length": 0}, "cut to at least 1 token, found 0"),
    ],
)
def test_what_is_not_said_about_text(files, monkeypatch, options, said):
    monkeypatch.chdir(files[0].parent)
    with pytest.raises(UsageError, match=said):
        open_data(files[0], CAUSAL, **options)


def test_text_does_not_fit_every_model(files):
    with pytest.raises(UsageError, match="takes 2 tokens, and cannot be fed 3"):
        open_data(files[0], taking(("input_ids", (1, 2), np.int64)), tokenizer=files[1], length=3)
    with pytest.raises(UsageError, match=r"no array for input 'past' .*; it has 'input_ids'"):
        open_data(files[0], taking(("input_ids", ("n", "t"), np.int64), ("past", ("n", 2))), tokenizer=files[1])


def test_an_empty_text_holds_no_samples(files):
    files[0].write_text("\n\n")
    with pytest.raises(UsageError, match="holds no samples"):
        open_data(files[0], CAUSAL, tokenizer=files[1])


def test_without_tokenizers_it_says_what_to_install(files, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "tokenizers":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"pip install 'graphopt\[text\]'"):
        open_data(files[0], CAUSAL, tokenizer=files[1])
