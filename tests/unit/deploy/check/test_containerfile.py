"""What a container file says must be done."""

from __future__ import annotations

import pytest

from deploy.check.containerfile import Copy, Run, Unreadable, recipe, targets

TEXT = """
# a comment
ARG BASE=debian:12
FROM ${BASE} AS first
ENV PATH=/here:/bin HOME="/a home"
# hadolint ignore=DL0000
RUN one \\
 && two
COPY a.txt b/ /place/
VOLUME ["/kept"]
HEALTHCHECK --interval=10s \\
  CMD ["look", "at it"]
ENTRYPOINT ["program"]
CMD ["serve"]
USER 7:7
FROM first AS second
USER 0:0
RUN three
USER 8:8
"""


def test_a_target_is_its_parents_actions_and_then_its_own():
    """Each command runs as the user, and in the environment, that the lines before it have set."""
    done = recipe(TEXT, "second")
    assert (done.base, [each.line for each in done.actions]) == ("debian:12", [7, 9, 18])
    first, copied, third = done.actions
    assert isinstance(first, Run)
    assert first.command == "one  && two"
    assert first.image.environment == {"PATH": "/here:/bin", "HOME": "/a home"}
    assert copied == Copy(9, ("a.txt", "b/"), "/place/")
    assert isinstance(third, Run)
    assert third.image.user == "0:0"


def test_an_image_is_what_its_last_lines_settled():
    image = recipe(TEXT, "second").image
    assert (image.user, image.volumes, image.health) == ("8:8", ("/kept",), ("look", "at it"))
    assert (image.entrypoint, image.arguments) == (("program",), ("serve",))


def test_every_stage_is_a_target():
    assert targets(TEXT) == ("first", "second")


@pytest.mark.parametrize(
    "line",
    ["ADD a b", "ONBUILD RUN x", "RUN --mount=type=cache x", "COPY --from=x a /b", "COPY a b", "CMD serve --now"],
)
def test_what_would_be_passed_over_is_refused(line: str):
    """A check that skips an instruction proves nothing about it."""
    with pytest.raises(Unreadable, match=r"line \d+:"):
        recipe(f"FROM base AS it\n{line}\n", "it")


def test_an_unknown_target_is_named_with_the_known_ones():
    with pytest.raises(Unreadable, match="no target third; known: first, second"):
        recipe(TEXT, "third")
