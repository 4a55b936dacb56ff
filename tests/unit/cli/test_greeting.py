"""What is printed to paste can be pasted."""

import ast
import json
import shlex

from cli.greeting import curl, greeting, openai

URL = "http://127.0.0.1:8000"


def test_the_first_line_says_what_is_ready_and_where():
    """One line that a script can wait for."""
    assert greeting(URL, "m", keyed=False).startswith(f"ready: m at {URL}/v1\n")


def test_the_shell_reads_the_curl_call_as_meant():
    """Its body is one JSON argument."""
    words = shlex.split(curl(URL, "it's", keyed=False))
    assert words[:2] == ["curl", f"{URL}/v1/chat/completions"]
    assert json.loads(words[words.index("-d") + 1])["model"] == "it's"


def test_the_openai_call_is_python():
    """It parses, with and without a key."""
    ast.parse(openai(URL, 'a"b', keyed=False))
    ast.parse(openai(URL, "m", keyed=True))


def test_no_key_is_ever_printed():
    """The calls take it from the environment."""
    assert '"authorization: Bearer $ENGINEHOUSE_API_KEY"' in curl(URL, "m", keyed=True)
    assert 'os.environ["ENGINEHOUSE_API_KEY"]' in openai(URL, "m", keyed=True)
