"""A tiny regulator's folder, as bytes: two datasets, one parent and one child."""

from __future__ import annotations

import pytest

REGULATOR = """
key = "tiny"
name = { zh = "小平台", en = "Tiny platform" }
edition = "V1"
sources = ["document 1"]
schedule = { cut_off = "02:00", cycle = "03:00" }
criteria = { days = 5, rows_per_dataset = 10, accepted_share = 1.0 }
sender = "his"
capabilities = ["rows", "evidence"]
datasets = ["person", "visit"]
"""

PERSON = """
name = "person"
title = "个人基本信息"
source = "document 1, chapter 3"
obliged = true
key = ["JGDM", "KH"]
institution = "JGDM"
change = { field = "CXBZ", new = "1", modify = "2", revoke = "3" }
occurred_at = "SJSCSJ"
shared = [["XM", "XBDM"]]

fields = [
  { name = "JGDM", title = "机构代码", format = "AN..30", required = true, status = "found" },
  { name = "KH", title = "卡号", format = "AN..18", required = true, personal = true, status = "found" },
  { name = "XM", title = "姓名", format = "AN..50", required = true, personal = true, status = "found" },
  { name = "XBDM", title = "性别代码", format = "AN1", codes = "GB/T 2261.1", status = "found" },
  { name = "SJSCSJ", title = "数据生成日期时间", format = "DT15", required = true, status = "found" },
  { name = "CXBZ", title = "撤销标志", format = "AN1", required = true, status = "found" },
]

[[rules]]
code = "V10"
kind = "row"
title = { zh = "时间不在未来", en = "The time is not in the future" }
check = "SJSCSJ <= as_of"
field = "SJSCSJ"
remedy = { zh = "核对时间", en = "Check the time." }
severity = "warning"
class = "E10"
status = "proposed"
source = "proposal"
"""

VISIT = """
name = "visit"
title = "病历"
source = "document 1, chapter 4"
obliged = false
key = ["JGDM", "MZH"]
institution = "JGDM"
change = { field = "CXBZ", new = "1", modify = "2", revoke = "3" }
occurred_at = "SJSCSJ"

fields = [
  { name = "JGDM", title = "机构代码", format = "AN..30", required = true, status = "found" },
  { name = "MZH", title = "门诊号", format = "AN..32", required = true, status = "found" },
  { name = "KH", title = "卡号", format = "AN..18", required = true, personal = true, status = "found" },
  { name = "HZXM", title = "患者's姓名", format = "AN..50", status = "proposed", note = "from a client" },
  { name = "HZXB", title = "患者性别", format = "AN1", codes = "GB/T 2261.1", status = "found" },
  { name = "JE", title = "金额", format = "N..16,4", status = "found" },
  { name = "ZS", title = "症状", format = "AN", status = "found" },
  { name = "NL", title = "年龄", format = "N..3", status = "found" },
  { name = "RQ", title = "日期", format = "D8", status = "found" },
  { name = "SJSCSJ", title = "数据生成日期时间", format = "DT15", required = true, status = "found" },
  { name = "CXBZ", title = "撤销标志", format = "AN1", required = true, status = "found" },
]

[[references]]
code = "V30"
to = "person"
on = { JGDM = "JGDM", KH = "KH" }
title = "患者"
severity = "error"
status = "found"
source = "document 1, step 8"
remedy = { zh = "先上传患者", en = "Send the person first." }

[[references.repeats]]
code = "V37"
fields = ["HZXM", "HZXB"]
group = 0
title = "患者信息一致"
class = "E11"
severity = "warning"
status = "proposed"
source = "proposal"
remedy = { zh = "核对患者", en = "Compare with the person." }
"""

SYSTEMS = """
[[systems]]
key = "GB/T 2261.1"
title = "性别代码"
source = "GB/T 2261.1-2003"
status = "found"
file = "sex.csv"
loose = ["leading-zero"]

[[systems]]
key = "ICD-10"
title = "疾病分类"
source = "document 1"
status = "found"
check = "icd10"
"""

REPLIES = """
[[replies]]
code = "0"
verdict = "accepted"
next = { zh = "完成", en = "Done." }
"""

SEX = "code,name\n0,未知的性别\n1,男性\n2,女性\n9,未说明的性别\n"


@pytest.fixture
def files() -> dict[str, bytes]:
    """Return the folder of a regulator that is in order."""
    texts = {
        "regulator.toml": REGULATOR,
        "replies.toml": REPLIES,
        "datasets/person.toml": PERSON,
        "datasets/visit.toml": VISIT,
        "codes/systems.toml": SYSTEMS,
        "codes/sex.csv": SEX,
    }
    return {path: text.encode("utf-8") for path, text in texts.items()}
