"""Who sent the request that is being answered: for what Gradio asks without saying of whom, such as a login."""

from contextvars import ContextVar

address: ContextVar[str] = ContextVar("address", default="")  # set by `server.Forwarded`; "": not known
browser: ContextVar[str] = ContextVar("browser", default="")  # set by `visits`; a name that nobody else can have
