"""Calibration texts as people write them."""

import json

from engines.quantize.tools.texts import documents, samples, turns


class Letters:
    """A tokenizer of one token a letter, with no chat template."""

    chat_template = None

    def __call__(self, text):
        return type("Tokens", (), {"input_ids": list(text)})


def test_a_text_file_is_parted_by_marks(tmp_path):
    """One that begins with `@chat` is a conversation."""
    path = tmp_path / "a.txt"
    path.write_text("prose\n%%\n@chat\nuser: hi\nassistant: hello\nthere\n")
    prose, talk = documents(path)
    assert (prose, turns(prose)) == ("prose", [])
    assert turns(talk) == [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello\nthere"}]


def test_a_jsonl_file_has_a_document_a_line(tmp_path):
    """As data sets are shipped: `text`, or `messages`."""
    path = tmp_path / "a.jsonl"
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    path.write_text(f"{json.dumps({'text': 'prose'})}\n\n{json.dumps({'messages': talk})}\n")
    prose, conversation = documents(path)
    assert (prose, turns(conversation)) == ("prose", talk)


def test_samples_are_whole_and_equally_long(tmp_path):
    """Nothing is padded; a text that is too short gives none."""
    path = tmp_path / "a.txt"
    path.write_text("abcdefghij")
    assert ["".join(each) for each in samples(path, Letters(), count=9, length=4)] == ["abcd", "efgh"]
    assert samples(path, Letters(), count=9, length=11) == []
