"""The embedding model: its engine against the one that it was trained with, and what its card says of it."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.house_model.embedding import FILE, FOLDER, READ, SHORTER, SIZE, EmbeddingModel
from helpers.house_model.training import score_embeddings, wordings
from helpers.house_model.training.lists import plain
from helpers.house_model.training.questions import topics
from helpers.house_model.training.tfidf import TfIdf

STORED = Path(__file__).parents[1] / "data" / "embedding_torch.json"  # by helpers/house_model/training/train_embeddings.py, in float32


@pytest.fixture(scope="module")
def model():
    return EmbeddingModel()


def test_the_vectors_are_those_of_the_model_that_was_trained(model):
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    assert np.allclose(model.vectors([*stored]), np.array([*stored.values()]), atol=2e-4)


def test_a_text_gets_the_same_vector_alone_and_among_others(model):
    texts = ["a", "What is a token?", "the " * 300, "x" * 5000, "", " ", "東京 🙂"]
    together = model.vectors(texts)
    assert together.shape == (len(texts), SIZE) and together.dtype == np.float32
    assert np.allclose(together, np.concatenate([model.vectors([text]) for text in texts]), atol=1e-5)


def test_any_text_gets_a_vector_of_length_one(model):
    @settings(max_examples=30)
    @given(st.lists(st.text(max_size=300), min_size=1, max_size=5))
    def check(texts):
        assert np.allclose(np.linalg.norm(model.vectors(texts), axis=1), 1, atol=1e-4)

    check()


def test_of_a_long_text_its_beginning_is_read(model):
    assert len(model.tokens("word " * 5000)) == READ
    first, second = model.vectors(["word " * 5000, "word " * 5000 + "end"])
    assert np.allclose(first, second, atol=1e-5)


def test_case_and_white_space_do_not_count(model):
    one, other = model.vectors(["What is  a\ntoken?", "what is a token?"])
    assert np.allclose(one, other, atol=1e-5)


def test_it_is_small_and_the_house_model_is_as_it_was():
    assert (FOLDER / FILE).stat().st_size < 4_000_000
    assert [path.name for path in FOLDER.glob("*.safetensors")] == ["model.safetensors"]  # a server loads all that lies there


# ---- what it is worth --------------------------------------------------------------------------------------
def by_model(model):
    return score_embeddings.by_vectors(model.vectors)


def test_it_finds_held_out_wordings_better_than_words_alone_do(model):
    known, asked = score_embeddings.sets()["course, one wording known"]
    ours, words = (score_embeddings.recall(way, known, asked)[0] for way in (by_model(model), score_embeddings.by_words("TF-IDF")))
    assert ours > 0.75 and ours > words + 0.1


def test_half_and_a_quarter_of_a_vector_do_nearly_as_well(model):
    known, asked = score_embeddings.sets()["course, all wordings known"]

    def shortened(length):
        def vectors(texts):
            found = model.vectors(texts)[:, :length]
            return found / np.linalg.norm(found, axis=1, keepdims=True)

        return score_embeddings.recall(score_embeddings.by_vectors(vectors), known, asked[::3])[0]

    assert all(shortened(length) > shortened(SIZE) - 0.05 for length in SHORTER)


def test_nothing_that_is_held_out_is_trained_on():
    held_out = {plain(text) for topic in topics() for text in topic.held_out} | {plain(text) for row in wordings.triples() for text in row}
    held_out |= {plain(other) for _, _, other in wordings.held_out_actions(random.Random(11))}
    trained = {plain(text) for _, *pair in wordings.batch(random.Random(3), 3000) for text in pair}
    assert not trained & held_out


def test_tf_idf_and_bm25_find_the_text_with_the_rarest_word():
    texts = ["a cat sat", "a dog sat", "a bird flew"]
    index = TfIdf(texts)
    for found in (index.vectors(["the dog"]) @ index.vectors(texts).T, index.bm25(["the dog"], texts)):
        assert found[0].argmax() == 1 and found[0][2] == 0
