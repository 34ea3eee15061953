"""From the file of sentences and the ready pairs to the detector. The text tower is opened only where it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streammon.config import shipped
from streammon.detect.prompts.config import PromptsConfig
from streammon.detect.prompts.prompt_file import PromptFile, read_prompts
from streammon.detect.prompts.prompts import PromptsDetector, Question
from streammon.detect.prompts.sentences import Floats, encode, kept_vectors, read_vectors
from streammon.detect.runtime.session import Session
from streammon.errors import ModelCorrupt


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTower:
    """How sentences become vectors. `open` opens the tower, `words` names its tokenizer; both raise ModelMissing.

    `made_by` are the sha256 of both; vectors are kept in `folder`.
    """

    open: Callable[[], Session]
    words: Callable[[], Path]
    made_by: Sequence[str]
    folder: Path

    def vectors(self, sentences: Sequence[str]) -> Floats:
        """As `kept_vectors`."""
        return kept_vectors(sentences, self.made_by, self.folder, self._encode)

    def _encode(self, sentences: Sequence[str]) -> Floats:
        words = self.words()
        session = self.open()
        try:
            return encode(session, words, sentences)
        finally:
            session.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyVectors:
    """A file with a row per class, and the taxonomy's label of each class that has one."""

    file: Path
    classes: Sequence[str]
    label_map: Mapping[str, str]

    def questions(self) -> Iterator[Question]:
        """One per label: its rows against the others. Raises ModelCorrupt where there are more or fewer rows."""
        vectors = read_vectors(self.file)
        if len(vectors) != len(self.classes):
            raise ModelCorrupt(f"{self.file} has {len(vectors)} vectors, not {len(self.classes)}")
        for label in dict.fromkeys(self.label_map.values()):
            of_it = np.array([self.label_map.get(raw) == label for raw in self.classes])
            ordered = np.concatenate([vectors[of_it], vectors[~of_it]])
            yield Question(label=label, vectors=ordered, prompts=int(of_it.sum()))


def build_prompts(
    vision: Session, text: TextTower, ready: Sequence[ReadyVectors], config: PromptsConfig
) -> PromptsDetector:
    """Closes `vision` where it fails.

    Raises ConfigError where the file of sentences is faulty, ModelError where the text tower does not run.
    """
    try:
        file = read_prompts(config.file if config.file is not None else shipped("prompts/default.yaml"))
        questions = list(_questions(file, text.vectors(file.sentences())))
        questions += [question for one in ready for question in one.questions()]
    except BaseException:
        vision.close()
        raise
    return PromptsDetector(vision, questions, config.min_score)


def _questions(file: PromptFile, vectors: Floats) -> Iterator[Question]:
    row = {sentence: number for number, sentence in enumerate(file.sentences())}
    for label, one in file.labels.items():
        # A sentence that speaks for the label does not speak against it.
        against = [text for text in dict.fromkeys((*one.contrast, *file.contrast)) if text not in one.prompts]
        rows = [row[text] for text in (*dict.fromkeys(one.prompts), *against)]
        yield Question(label=label, vectors=vectors[rows], prompts=len(rows) - len(against))
