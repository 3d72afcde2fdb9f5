"""docs/questions.md: the sentences that it quotes are those of the code, so that the page cannot rot."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
QUOTED = re.compile(r"^\*\*`(.*)`\*\*$", re.M)


def test_the_fixed_words_of_every_quoted_sentence_stand_in_the_code():
    files = [path for folder in ("pipeline", "stages") for path in (ROOT / folder).rglob("*.py")]
    code = "\n".join(path.read_text() for path in files)
    code = re.sub(r'"\s*\n\s*f?"', "", code)  # a sentence that is written over several lines
    quoted = QUOTED.findall((ROOT / "docs/questions.md").read_text())
    assert len(quoted) >= 25
    for sentence in quoted:
        fixed = [words.strip() for words in sentence.split("…") if len(words.strip()) > 3]
        assert fixed and all(words in code for words in fixed), f"no sentence of the code: {sentence}"


def test_every_question_has_an_answer():
    parts = QUOTED.split((ROOT / "docs/questions.md").read_text())[1:]
    answers = [text.partition("\n## ")[0].strip() for text in parts[1::2]]
    assert all(len(text) > 40 and text.count("\n") < 3 for text in answers)
