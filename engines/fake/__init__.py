"""A scripted worker that speaks an engine's dialect: for tests and load tests, never for answers.

It owns no weights and invents nothing that looks like language: every token is a numbered, checksummed word
(`words`), so a lost, doubled or reordered token is seen. Its misbehaviour is scripted (`behaviour`) by options,
by `POST /fake/script`, by `x-fake-*` request headers or by an `x_fake` object in a request's body. Run it with
`python -m engines.fake --port N`. `dialects` holds what differs between engines; everything else is shared.
"""
