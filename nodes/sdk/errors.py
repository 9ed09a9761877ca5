"""The two exceptions of a node: it was cancelled, or something is wrong that a person can put right."""


class Cancelled(Exception):
    """The job was cancelled. A node lets it pass; the executor ends the job without an error."""


class NodeError(Exception):
    """A problem that the person who wired the graph can put right.

    Args:
        message: what is wrong, in one sentence.
        input: the id of the input it concerns, when there is one.
        code: a stable identifier for programs.
        hint: what to do about it, in one sentence.
    """

    def __init__(
        self, message: str, *, input: str | None = None, code: str = "node_error", hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.input = input
        self.code = code
        self.hint = hint
