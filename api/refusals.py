"""What the job service refuses, as answers: one code and status for each reason, whichever address was asked."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from api.errors import ApiError
from executor.formats import BadDocument
from executor.jobs import EngineBroken, EngineNotReady, InvalidWorkflow, JobFinished, QueueFull, UnknownJob


@contextmanager
def refusals() -> Generator[None]:
    """Turn what the job service raises into an `ApiError`."""
    try:
        yield
    except BadDocument as error:
        problem = error.problem
        raise ApiError(422, problem.code, problem.message, problems=[problem.to_json()]) from error
    except InvalidWorkflow as error:
        raise _invalid(error) from error
    except EngineBroken as error:
        raise ApiError(503, "engine_failed", str(error)) from error
    except EngineNotReady as error:
        raise ApiError(503, "engine_not_ready", str(error), retry_after=1) from error
    except QueueFull as error:
        raise ApiError(429, "queue_full", str(error)) from error
    except UnknownJob as error:
        raise ApiError(404, "unknown_job", f"There is no job {error.args[0]!r}.") from error
    except JobFinished as error:
        raise ApiError(409, "job_finished", str(error)) from error


def _invalid(error: InvalidWorkflow) -> ApiError:
    count = len(error.problems)
    return ApiError(
        422,
        "invalid_workflow",
        error.problems[0].message if count == 1 else f"The workflow has {count} problems.",
        problems=[each.to_json() for each in error.problems],
        warnings=[each.to_json() for each in error.warnings],
    )
