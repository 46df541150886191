"""`qianzhi gateway account`: who may use the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qianzhi.cli.terminal import HomeOption, JsonOption, actor, opened, print_json, print_table, require_known
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from qianzhi.db.server import Session
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

app = typer.Typer(help="Accounts of the console, besides the database's own.", no_args_is_help=True)

PASSWORD_BYTES = 18
NameArgument = Annotated[str, typer.Argument(help="The name that is typed to sign in.")]
RoleOption = Annotated[str, typer.Option(help="viewer (no patients), operator, or administrator.")]
AskOption = Annotated[bool, typer.Option("--ask", help="Ask for the password instead of making one.")]


@app.command()
def add(name: NameArgument, role: RoleOption = "operator", home: HomeOption = None, *, ask: AskOption = False) -> None:
    """Add an account, and print the password that it begins with."""
    from qianzhi.console import accounts
    from qianzhi.console.roles import Role
    from qianzhi.gateway import assembly

    require_known("--role", role, [each.value for each in Role])
    place, settings = opened(home, End.GATEWAY)
    with _session(place, settings) as session:
        password = _password(asked=ask)
        taken = {*assembly.roles(settings), assembly.OWNER}
        accounts.add(session, name, Role(role), password, actor=actor(), taken=taken)
    typer.echo(f"The account {name} ({role}) may sign in{_told(password, asked=ask)}")


@app.command("list")
def list_accounts(home: HomeOption = None, *, as_json: JsonOption = False) -> None:
    """List the accounts and when each last signed in."""
    from qianzhi.console import accounts

    with _session(*opened(home, End.GATEWAY)) as session:
        found = accounts.listed(session)
    if as_json:
        fields = ("name", "role", "enabled", "created_at", "password_set_at", "last_signed_in_at")
        print_json([{field: getattr(each, field) for field in fields} for each in found])
    else:
        rows = [(each.name, each.role.value, "yes" if each.enabled else "no", each.last_signed_in_at) for each in found]
        print_table("Accounts", ("name", "role", "enabled", "last signed in"), rows)


@app.command()
def disable(name: NameArgument, home: HomeOption = None) -> None:
    """Let an account sign in no longer, and sign it out."""
    _set_enabled(name, home, enabled=False)


@app.command()
def enable(name: NameArgument, home: HomeOption = None) -> None:
    """Let an account sign in again."""
    _set_enabled(name, home, enabled=True)


@app.command()
def role(name: NameArgument, role: RoleOption, home: HomeOption = None) -> None:
    """Give an account another role, and sign it out."""
    from qianzhi.console import accounts
    from qianzhi.console.roles import Role

    require_known("--role", role, [each.value for each in Role])
    with _session(*opened(home, End.GATEWAY)) as session:
        accounts.set_role(session, name, Role(role), actor=actor())
    typer.echo(f"The account {name} is {role} from its next sign-in on.")


@app.command()
def password(name: NameArgument, home: HomeOption = None, *, ask: AskOption = False) -> None:
    """Give an account another password, and sign it out."""
    from qianzhi.console import accounts

    with _session(*opened(home, End.GATEWAY)) as session:
        wanted = _password(asked=ask)
        accounts.set_password(session, name, wanted, actor=actor())
    typer.echo(f"The account {name} has another password{'.' if ask else f': {wanted}'}")


def _set_enabled(name: str, home: Path | None, *, enabled: bool) -> None:
    from qianzhi.console import accounts

    with _session(*opened(home, End.GATEWAY)) as session:
        accounts.set_enabled(session, name, enabled=enabled, actor=actor())
    typer.echo(f"The account {name} may {'' if enabled else 'no longer '}sign in.")


def _session(home: Home, settings: Settings) -> AbstractContextManager[Session]:
    from qianzhi.gateway.service import session

    return session(home, settings, application="qianzhi account")


def _password(*, asked: bool) -> str:
    import secrets

    if asked:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return f"{secrets.token_urlsafe(PASSWORD_BYTES)}-aA1"  # whatever is drawn, every kind of character is in it


def _told(password: str, *, asked: bool) -> str:
    return "." if asked else f" with the password {password}"
