"""The page that signs people in: plain HTML that runs no script, and the addresses that sign in, out and switch."""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from anyio import CapacityLimiter, to_thread
from starlette.responses import HTMLResponse, RedirectResponse, Response

from qianzhi.console import assets
from qianzhi.console.base import safe_path
from qianzhi.console.entrance import Entered, Entrance, Refused
from qianzhi.console.guard import ADDRESS, COOKIE, LIVE, SIGN_IN
from qianzhi.console.text import Language, _, language, speak
from qianzhi.errors import QianzhiError
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from starlette.requests import Request

    from qianzhi.console.base import Base

LANGUAGE_COOKIE: Final = "qianzhi_language"
THEME_COOKIE: Final = "qianzhi_theme"
PREFERENCE_SECONDS: Final = 365 * 24 * 3600
LANGUAGES: Final = frozenset(each.value for each in Language)
THEMES: Final = frozenset({"light", "dark"})
THREADS_MAX: Final = 3  # each may take 32 MiB and a tenth of a second of a core
WAITING_MAX: Final = 60


class SignIn:
    """Answers what stands before the pages."""

    def __init__(self, entrance: Entrance, base: Base, title: str, institution: str) -> None:
        self._entrance = entrance
        self._base = base
        self._title = title
        self._institution = institution
        self._threads = CapacityLimiter(THREADS_MAX)
        self._waiting = 0

    async def show(self, request: Request) -> Response:
        """Show the form."""
        speak(chosen_language(request))
        return self._page(safe_path(request.query_params.get("next")))

    async def enter(self, request: Request) -> Response:
        """Sign in; a session that was there before ends, and its token never becomes another's."""
        speak(chosen_language(request))
        form = await request.form(max_files=0, max_fields=4)
        name, password, to = (str(form.get(key, "")) for key in ("name", "password", "next"))
        target = safe_path(to)
        if self._waiting >= WAITING_MAX:
            return self._page(target, _("登录请求过多，请稍后再试。"), status=HTTPStatus.SERVICE_UNAVAILABLE)
        self._waiting += 1
        try:
            before = request.scope.get(LIVE)
            if before is not None:
                await to_thread.run_sync(self._entrance.leave, before)
            entered = await to_thread.run_sync(
                self._entrance.enter, name.strip(), password, request.scope[ADDRESS], limiter=self._threads
            )
        except QianzhiError:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            return self._page(target, _("数据库暂不可用，请稍后再试。"), status=status)
        finally:
            self._waiting -= 1
        if isinstance(entered, Refused):
            return self._refused(entered, target)
        return self._inside(entered, target)

    async def leave(self, request: Request) -> Response:
        """Sign out, here or everywhere."""
        form = await request.form(max_files=0, max_fields=2)
        live = request.scope[LIVE]
        await to_thread.run_sync(lambda: self._entrance.leave(live, everywhere=form.get("everywhere") == "1"))
        answer = RedirectResponse(self._base.link(SIGN_IN), HTTPStatus.SEE_OTHER)
        answer.delete_cookie(COOKIE, path=self._base.prefix or "/")
        answer.headers["clear-site-data"] = '"cache"'
        return answer

    async def prefer(self, request: Request) -> Response:
        """Remember a language or a theme, and go back."""
        form = await request.form(max_files=0, max_fields=3)
        answer = RedirectResponse(self._base.link(safe_path(str(form.get("next", ""))) or "/"), HTTPStatus.SEE_OTHER)
        allowed = {LANGUAGE_COOKIE: ("language", LANGUAGES), THEME_COOKIE: ("theme", THEMES)}
        for cookie, (field, values) in allowed.items():
            if (value := str(form.get(field, ""))) in values:
                answer.set_cookie(
                    cookie,
                    value,
                    max_age=PREFERENCE_SECONDS,
                    path=self._base.prefix or "/",
                    secure=self._base.is_secure,
                    httponly=True,
                    samesite="strict",
                )
        return answer

    def _inside(self, entered: Entered, target: str | None) -> Response:
        answer = RedirectResponse(self._base.link(target or "/"), HTTPStatus.SEE_OTHER)
        answer.set_cookie(
            COOKIE,
            entered.token,
            path=self._base.prefix or "/",
            secure=self._base.is_secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    def _refused(self, refused: Refused, target: str | None) -> Response:
        if refused.until is None:
            return self._page(target, _("账号或密码不正确。"), status=HTTPStatus.UNAUTHORIZED)
        seconds = max(1, round((refused.until - clock.now()).total_seconds()))
        message = _("尝试次数过多，请在 {seconds} 秒后再试。").format(seconds=seconds)
        answer = self._page(target, message, status=HTTPStatus.TOO_MANY_REQUESTS)
        answer.headers["retry-after"] = str(seconds)
        return answer

    def _page(self, target: str | None, problem: str = "", status: HTTPStatus = HTTPStatus.OK) -> Response:
        words = {
            "tag": language().tag,
            "title": _(self._title),
            "institution": self._institution,
            "name": _("账号"),
            "password": _("密码"),
            "enter": _("登录"),
            "hint": _("可使用数据库账号及其密码，或管理员为您开通的账号登录。"),
            "problem": problem,
            "next": target or "",
            "other": Language.EN if language() is Language.ZH else Language.ZH,
            "other_title": "English" if language() is Language.ZH else "中文",
            "here": SIGN_IN,
            "css": self._base.link(assets.address("console.css")),
            "action": self._base.link(SIGN_IN),
            "switch": self._base.link("/language"),
        }
        safe = {key: escape(str(value), quote=True) for key, value in words.items()}
        safe["problem"] = f'<p class="problem" role="alert">{safe["problem"]}</p>' if problem else ""
        text = assets.content("sign-in.html").decode()
        for key, value in safe.items():
            text = text.replace(f"[[{key}]]", value)
        return HTMLResponse(text, status)


def chosen_language(request: Request) -> Language:
    """Return the language that a browser's cookie asks for; Chinese otherwise."""
    return Language.EN if request.cookies.get(LANGUAGE_COOKIE) == Language.EN.value else Language.ZH


def is_dark(request: Request) -> bool:
    """Tell whether a browser's cookie asks for the dark theme."""
    return request.cookies.get(THEME_COOKIE) == "dark"
