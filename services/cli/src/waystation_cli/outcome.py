"""What the command line exits with: the one list of its codes, the same for every command."""

from __future__ import annotations

DONE = 0
"""Done, or the answer is yes."""

NO = 1
"""The answer is no: something differs, nothing could be compared, an error was found, somebody said
no. Never that a call failed."""

USAGE = 2
"""The command line makes no sense; nothing was sent."""

# How the workflow stands, of `run`, `wait` and `watch`.
WAITING_FOR_INPUT = 3
IDLE = 4
FAILED_OR_CANCELLED = 5
TIMED_OUT = 6

REFUSED = 7
"""The call was answered with an error: the same call will be refused again."""

NO_ANSWER = 8
"""Nobody answered, or not in time: the same call may work later."""

NOT_WRITTEN = 9
"""The output could not be written."""

BAD_SETTINGS = 78
"""Settings of `dev` or the database of `migrate` are wrong."""

INTERRUPTED = 130
"""What shells expect of a program that Ctrl-C ended."""

PIPE_CLOSED = 141
"""What shells expect of a program whose reader has read enough, such as `head`."""

HELP = (
    "Exit codes: 0 done or yes, 1 no (`diff` and `replay`: something differs or nothing was compared; "
    "`lint`: errors; a question: you said no), 2 wrong command line, 7 refused, 8 no answer, 9 the output "
    "cannot be written, 78 invalid settings, 130 Ctrl-C. `run`, `wait` and `watch` also: 5 the workflow "
    "failed or was cancelled; `run` and `wait` also: 3 it waits for input, 4 it is idle, 6 timeout."
)
