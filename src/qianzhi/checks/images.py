"""Why a path in a record leads to no image that can be carried: the details of such findings."""

from __future__ import annotations

from typing import Final

from qianzhi.specs.model import Text

LEADS_BACK: Final = "a path that leads back"
ELSEWHERE: Final = "a path of another machine"
NOT_FULL: Final = "not a full path"
ABSENT: Final = "no such file"
UNREADABLE: Final = "cannot be read"
TOO_LARGE: Final = "larger than 20 MiB"
NO_IMAGE: Final = "not an image"

WHY: Final = {
    LEADS_BACK: Text("路径含有“..”", LEADS_BACK),
    ELSEWHERE: Text("路径指向其他计算机", ELSEWHERE),
    NOT_FULL: Text("不是完整路径", NOT_FULL),
    ABSENT: Text("文件不存在", ABSENT),
    UNREADABLE: Text("文件无法读取", UNREADABLE),
    TOO_LARGE: Text("大于 20 MiB", TOO_LARGE),
    NO_IMAGE: Text("不是图片", NO_IMAGE),
}
"""Each in words."""
