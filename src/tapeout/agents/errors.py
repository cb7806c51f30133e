"""Every way in which an agent program can fail us. What an agent *does wrong* in its work is no error: git tells."""

from tapeout.base.errors import EnvironmentProblem


class AgentError(EnvironmentProblem):
    """The agent answered with an error of its own: not logged in, usage limit, no such model."""

    code = "agent"


class AgentNotInstalled(AgentError):
    """Its program is not on the PATH."""

    code = "agent-not-installed"


class AgentDied(AgentError):
    """Its process ended while we needed it."""

    code = "agent-died"


class AgentProtocolError(AgentError):
    """What it printed is not what was agreed."""

    code = "agent-protocol"


class AgentTimeout(AgentError):
    """It took longer than allowed to start a session."""

    code = "agent-timeout"


class CannotResume(AgentError):
    """It cannot go on with a session of before: it does not know how, or no longer has it. A new one may do."""

    code = "agent-cannot-resume"
