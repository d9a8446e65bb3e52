"""A classifier that learns labels from texts, and those that an office keeps."""

from __future__ import annotations

import dataclasses
from typing import Any, Iterable

from . import _bureau
from .domains import _Domain


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a classifier thinks of a text: `confidence` is the probability that the label is right;
    `unsure` when it is below the threshold, or nothing in the text is known."""

    label: str
    confidence: float
    unsure: bool


@dataclasses.dataclass(frozen=True)
class CrossValidation:
    """How a classifier did on the texts that it learnt from, each judged by one that had not seen it.
    `coverage` is the share that was sure, `accuracy_at_threshold` the share of those that was right."""

    texts: int
    accuracy: float
    coverage: float
    accuracy_at_threshold: float


class TextClassifier:
    """Learns labels from texts, then labels texts: intents, topics, languages.

    It needs no network and no other data than it is given. It does not change, and any thread may
    ask it.
    """

    def __init__(self, core: _bureau.Classifier) -> None:
        self._core = core

    def __repr__(self) -> str:
        return f"<TextClassifier {len(self.labels)} labels>"

    @staticmethod
    def train(examples: Iterable[tuple[str, str]], *, threshold: float | None = None,
              target_accuracy: float = 0.95, seed: int = 1, threads: int = 1) -> TextClassifier:
        """Learns from pairs of a text and its label: about a second for 10,000 short texts and a
        handful of labels. Python's other threads run meanwhile.

        `threshold` is the confidence from which it is sure; without one the lowest at which
        `target_accuracy` of what it was sure of was right. It depends on the seed, not on the order
        of the examples or on the threads.
        """
        fields = {"threshold": threshold, "target_accuracy": target_accuracy, "seed": seed, "threads": threads}
        return TextClassifier(_bureau.Classifier.train(examples, fields))

    @staticmethod
    def from_bytes(data: bytes) -> TextClassifier:
        """What to_bytes() made. Corrupt when it is damaged, or no classifier."""
        return TextClassifier(_bureau.Classifier.of_bytes(data))

    def to_bytes(self) -> bytes:
        """The whole of it, for a file of one's own; `office.classifiers` keeps one in the office."""
        return self._core.bytes()

    def predict(self, text: str) -> Prediction:
        """The best label for a text, also when it is unsure."""
        return Prediction(*self._core.predict(text))

    def top(self, text: str, n: int = 5) -> list[Prediction]:
        """The n best, the best first."""
        return [Prediction(*one) for one in self._core.top(text, n)]

    @property
    def labels(self) -> list[str]:
        """What it knows, sorted."""
        return self._core.labels()

    @property
    def threshold(self) -> float:
        """The confidence from which it is sure."""
        return self._core.threshold()

    @property
    def cross_validation(self) -> CrossValidation:
        """How it did when it was trained."""
        return CrossValidation(**self._core.cross_validation())

    def with_threshold(self, threshold: float) -> TextClassifier:
        """The same with another threshold, from 0 to 1."""
        return TextClassifier(self._core.with_threshold(threshold))

    def __reduce__(self) -> Any:
        return TextClassifier.from_bytes, (self.to_bytes(),)


@dataclasses.dataclass(frozen=True)
class StoredClassifier:
    """A classifier that an office keeps, with its version and the digest that it was stored with."""

    classifier: TextClassifier
    version: int
    digest: str


class Classifiers(_Domain):
    """Classifiers that the office keeps: `office.classifiers`."""

    def store(self, name: str, classifier: TextClassifier, *, examples: int = 0, digest: str = "") -> int:
        """Keeps it as the next version under that name, and gives the version. `examples` is how many
        it learnt from; `digest` what the program knows them by."""
        return self._scope.classifier_store(name, classifier._core, {"examples": examples, "digest": digest})

    def load(self, name: str) -> StoredClassifier:
        """The newest. NotFound when there is none."""
        core, version, digest = self._scope.classifier_load(name)
        return StoredClassifier(TextClassifier(core), version, digest)


__all__ = ["Classifiers", "CrossValidation", "Prediction", "StoredClassifier", "TextClassifier"]
