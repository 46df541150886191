"""What each finding means, why it was made and what to do about it, in the languages of the product."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.checks import images, instants
from qianzhi.checks.parse import FORMAT_CODE
from qianzhi.checks.structure import CONTROL_CODE, DOMAIN_CODE, FLAG_CODE, MISSING_CODE
from qianzhi.specs.formats import ValueType
from qianzhi.specs.model import ErrorClass, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from qianzhi.specs.formats import Format
    from qianzhi.specs.model import CodeSystem, Dataset, Field, Reference, Regulator, Repeat

CODES_SHOWN_MAX: Final = 8
"""A remedy spells out a domain of so many codes; a longer one is looked up."""

INSTITUTION_CODE: Final = "V20"
IMAGE_CODE: Final = "V41"
QUARANTINE_CODE: Final = "Q01"
"""Of a row that can be neither sealed nor delivered; it blames no field."""

REPLY_CODE: Final = "R01"
"""What the regulator's own console gave as its reason, in its words: the finding's detail."""


@dataclass(frozen=True, slots=True)
class Explained:
    """
    A finding in words: what is checked, why this value fails, what to do.

    The value itself never stands in them: it stands beside them. A `detail` of the finding ends the reason.
    """

    title: Text
    reason: Text
    remedy: Text


class Catalogue:
    """The explanations of one regulator's findings."""

    def __init__(self, regulator: Regulator) -> None:
        self._datasets = {dataset.name: dataset for dataset in regulator.datasets}
        self._codes = regulator.codes
        self._stated: dict[str, dict[tuple[str, str, str], Explained]] = {}

    def explain(self, dataset: str, code: str, class_: str, field: str, detail: str | None = None) -> Explained:
        """Explain one finding. A code that the regulator does not know is explained by itself, never an error."""
        if detail in _WHY:
            return self._template(dataset, code, class_, field, detail)
        template = self._template(dataset, code, class_, field, None)
        if not detail:
            return template
        return replace(template, reason=_detailed(template.reason, Text(detail, detail)))

    def explain_frame(self, findings: pl.DataFrame, dataset: str | None, language: str) -> pl.DataFrame:
        """
        Add the columns `reason` and `remedy` to findings, in the given language ("zh" or "en").

        With `dataset` None, a column `dataset` says which one each finding belongs to.
        """
        known = findings.with_columns(
            pl.col("dataset") if dataset is None else pl.lit(dataset).alias(_DATASET),
            pl.when(pl.col("detail").is_in(list(_WHY))).then("detail").alias(_WHY_COLUMN),
        )
        key = ["dataset" if dataset is None else _DATASET, "code", "class", "field", _WHY_COLUMN]
        distinct = known.select(key).unique()
        templates = [self._template(*row) for row in distinct.iter_rows()]
        sentences = distinct.with_columns(
            pl.Series("reason", [each.reason.said(language) for each in templates], pl.String),
            pl.Series("remedy", [each.remedy.said(language) for each in templates], pl.String),
        )
        before, after = _BRACKETS[language]
        has_detail = pl.col("detail").is_not_null() & pl.col(_WHY_COLUMN).is_null() & (pl.col("detail") != "")
        bracketed = pl.concat_str("reason", pl.lit(before), "detail", pl.lit(after))
        return (
            known.join(sentences, on=key, how="left", nulls_equal=True, maintain_order="left")
            .with_columns(pl.when(has_detail).then(bracketed).otherwise("reason").alias("reason"))
            .drop(_WHY_COLUMN, _DATASET, strict=False)
        )

    def every(self, dataset: str) -> Iterator[tuple[tuple[str, str, str, str], Explained]]:
        """
        Yield every finding that can be foreseen of a dataset: code, class, field and why, and its sentences.

        `why` is the detail that the sentences have taken in; it is empty for all the others. What comes besides,
        from a hub that knows more, is explained by itself.
        """
        owner = self._datasets[dataset]
        stated = dict(_stated(owner, self._datasets))
        for code, class_, blamed in (*stated, *_foreseen(owner)):
            for why in ("", *_whys(code, class_, owner.field(blamed))):
                yield (code, class_, blamed, why), self._template(dataset, code, class_, blamed, why)
        yield (QUARANTINE_CODE, ErrorClass.FORMAT.value, "", ""), _QUARANTINED
        yield (REPLY_CODE, ErrorClass.FORMAT.value, "", ""), _REPLIED

    def _template(self, dataset: str, code: str, class_: str, field: str, why: str | None) -> Explained:
        if why in images.WHY:
            plain = self._template(dataset, code, class_, field, None)
            return replace(plain, reason=_detailed(plain.reason, images.WHY[why]))
        if code == REPLY_CODE:
            return _REPLIED
        if code == QUARANTINE_CODE:
            return _QUARANTINED
        owner = self._datasets.get(dataset)
        if owner is None:
            return _unknown(code, field)
        if dataset not in self._stated:
            self._stated[dataset] = dict(_stated(owner, self._datasets))
        if stated := self._stated[dataset].get((code, class_, field)):
            return stated
        known = next((each for each in owner.fields if each.name == field), None)
        found = _structural(known, code, class_, why, self._codes) if known else None
        return found or _unknown(code, field)


def catalogue(regulator: Regulator) -> Catalogue:
    """Return the explanations of one regulator's findings."""
    return Catalogue(regulator)


_DATASET: Final = "qianzhi:dataset"
_WHY_COLUMN: Final = "qianzhi:why"
_BRACKETS: Final = {"zh": ("（", "）"), "en": (" (", ")")}

_WHY_NO_INSTANT: Final = {
    instants.GAP: Text(
        "钟表当时因夏令时拨快，这一当地时间不存在", "the clocks were put forward then: this local time did not exist"
    ),
    instants.CALENDAR: Text("日历或钟表上没有这一天或这一时刻", "no such day or time exists"),
    instants.SHIFTED: Text("带有时区后缀，应只写当地时间", "it carries a time zone; write local time only"),
    instants.UNIX: Text("像是 Unix 时间戳", "it looks like Unix seconds"),
    instants.INFINITE: Text("无穷大不是日期", "infinity is no date"),
}
_WHY: Final = _WHY_NO_INSTANT | images.WHY


def _detailed(reason: Text, detail: Text) -> Text:
    (before, after), (opens, closes) = _BRACKETS["zh"], _BRACKETS["en"]
    return Text(f"{reason.zh}{before}{detail.zh}{after}", f"{reason.en}{opens}{detail.en}{closes}")


def _foreseen(dataset: Dataset) -> Iterator[tuple[str, str, str]]:
    """Yield code, class and field of what the product itself may say, beside what the regulator's folder states."""
    for field in dataset.fields:
        yield MISSING_CODE, ErrorClass.MISSING.value, field.name
        yield FORMAT_CODE, ErrorClass.LENGTH.value, field.name
        yield FORMAT_CODE, ErrorClass.FORMAT.value, field.name
        yield CONTROL_CODE, ErrorClass.FORMAT.value, field.name
        if field.codes:
            yield DOMAIN_CODE, ErrorClass.DOMAIN.value, field.name
            yield FLAG_CODE, ErrorClass.DOMAIN.value, field.name
        if field.image:
            yield IMAGE_CODE, ErrorClass.FILE.value, field.name


def _whys(code: str, class_: str, field: Field) -> Iterable[str]:
    """Return the details that the sentences of a finding take in."""
    if class_ == ErrorClass.FILE.value and field.image:
        return images.WHY
    is_instant = field.format.type in {ValueType.DATE, ValueType.DATETIME}
    return _WHY_NO_INSTANT if is_instant and (code, class_) == (FORMAT_CODE, ErrorClass.FORMAT.value) else ()


def _stated(dataset: Dataset, datasets: Mapping[str, Dataset]) -> Iterator[tuple[tuple[str, str, str], Explained]]:
    """Yield what the regulator's folder itself says: rules, references and repeats, by code, class and field."""
    for rule in dataset.rules:
        label = _label(dataset.field(rule.field))
        reason = Text(f"{label.zh}不符合规则“{rule.title.zh}”", f"{label.en} breaks the rule “{rule.title.en}”")
        yield (rule.code, rule.error_class.value, rule.field), Explained(rule.title, reason, rule.remedy)
    for reference in dataset.references:
        yield _referred(dataset, reference, datasets.get(reference.to))
        for repeat in reference.repeats:
            yield from _repeated(dataset, reference.to, repeat, datasets.get(reference.to))


def _referred(dataset: Dataset, reference: Reference, parent: Dataset | None) -> tuple[tuple[str, str, str], Explained]:
    label = _label(dataset.field(reference.blamed))
    reason = Text(
        f"{label.zh}所指的「{parent.title if parent else reference.to}」记录尚未被接收",
        f"The record of {reference.to} that {label.en} refers to is not accepted yet",
    )
    title = Text(reference.title, f"{reference.blamed} refers to an accepted record of {reference.to}")
    key = (reference.code, ErrorClass.INTEGRITY.value, reference.blamed)
    return key, Explained(title, reason, reference.remedy)


def _repeated(
    dataset: Dataset, to: str, repeat: Repeat, parent: Dataset | None
) -> Iterator[tuple[tuple[str, str, str], Explained]]:
    names = "、".join(_label(dataset.field(name)).zh for name in repeat.fields)
    title = Text(repeat.title, f"{', '.join(repeat.fields)} as in {to}")
    reason = Text(
        f"{names}与所指的「{parent.title if parent else to}」记录不一致",
        f"{', '.join(repeat.fields)} and the record of {to} that is referred to do not say the same",
    )
    for name in repeat.fields:
        yield (repeat.code, repeat.error_class.value, name), Explained(title, reason, repeat.remedy)


def _structural(
    field: Field, code: str, class_: str, why: str | None, codes: Mapping[str, CodeSystem]
) -> Explained | None:
    if code == FORMAT_CODE and class_ == ErrorClass.FORMAT.value:
        return _format(field, why)
    if code in {DOMAIN_CODE, FLAG_CODE} and field.codes:
        return _domain(field, codes.get(field.codes))
    make = _SIMPLE.get(code.partition(".")[0])
    return make(field) if make else None


def _missing(field: Field) -> Explained:
    label = _label(field)
    return Explained(
        Text("必填项有值", "A required field has a value"),
        Text(f"{label.zh}为必填项，没有值", f"{label.en} is required and has no value"),
        Text("补填该项后重新提交。", "Fill in the field and submit the record again."),
    )


def _length(field: Field) -> Explained:
    label, form = _label(field), field.format
    if form.type is ValueType.TEXT:
        return Explained(
            Text("长度在规定以内", "The length is as stated"),
            Text(
                f"{label.zh}的长度不符合 {form.notation}（按字符计）",
                f"The length of {label.en} is not as {form.notation} states, counted in characters",
            ),
            Text(f"改为{_length_zh(form)}后重新提交。", f"Give {_length_en(form)} and submit the record again."),
        )
    whole = (form.length_max or 0) - form.scale
    return Explained(
        Text("位数在规定以内", "The digits are as stated"),
        Text(f"{label.zh}的位数超出 {form.notation}", f"{label.en} has more digits than {form.notation} states"),
        Text(
            f"整数部分至多 {whole} 位，小数至多 {form.scale} 位，改正后重新提交。",
            f"Give at most {whole} digits before the point and {form.scale} after it, and submit the record again.",
        ),
    )


def _format(field: Field, why: str | None) -> Explained:
    label, wanted = _label(field), _WANTED[field.format.type]
    more = _WHY_NO_INSTANT.get(why) if why else None
    return Explained(
        Text("值按格式可读", "The value can be read by its format"),
        Text(
            f"{label.zh}不是{wanted.zh}" + (f"：{more.zh}" if more else ""),
            f"{label.en} is not {wanted.en}" + (f": {more.en}" if more else ""),
        ),
        _WRITTEN[field.format.type],
    )


def _domain(field: Field, system: CodeSystem | None) -> Explained:
    label = _label(field)
    return Explained(
        Text("代码在值域内", "The code is in its code system"),
        Text(
            f"{label.zh}的值不在值域 {field.codes} 内",
            f"The value of {label.en} is not in the code system {field.codes}",
        ),
        Text(
            f"按值域{_listed(system, '、') or f' {field.codes} '}填写后重新提交。",
            f"Give a code of {field.codes}{_listed(system, ', ')} and submit the record again.",
        ),
    )


def _control(field: Field) -> Explained:
    label = _label(field)
    return Explained(
        Text("文本不含控制字符", "The text holds no control characters"),
        Text(
            f"{label.zh}含有控制字符或无法解码的字符",
            f"{label.en} holds control characters or signs that were not decoded",
        ),
        Text(
            "去掉控制字符，检查导出时的字符编码。", "Take the control characters out; check the encoding of the export."
        ),
    )


def _institution(field: Field) -> Explained:
    label = _label(field)
    return Explained(
        Text("机构标识与上报机构一致", "The record belongs to the institution that sends it"),
        Text(f"{label.zh}不是上报机构的机构标识", f"{label.en} is not the identity of the institution that sends it"),
        Text(
            "改为平台分配的机构标识后重新提交。", "Give the identity that the platform assigned, and submit it again."
        ),
    )


def _image(field: Field) -> Explained:
    label = _label(field)
    return Explained(
        Text("图片文件存在且可读", "The image exists and can be read"),
        Text(f"{label.zh}所指的图片不存在或不可读", f"The image that {label.en} names is missing or cannot be read"),
        Text(
            "填写前置机上图片文件的完整路径，确认文件存在、可读且是图片。",
            "Give the full path of an image on the gateway's machine; the file must exist and be readable.",
        ),
    )


def _unknown(code: str, field: str) -> Explained:
    return Explained(
        Text(f"规则 {code}", f"Rule {code}"),
        Text(f"{field} 不符合规则 {code}", f"{field} breaks the rule {code}"),
        Text(f"查阅监管平台关于 {code} 的说明。", f"Look up {code} in the documents of the regulator."),
    )


_REPLIED: Final = Explained(
    Text("监管平台的处理结果", "The result that the regulator's platform gave"),
    Text("监管平台未接收该记录", "The regulator's platform did not take the record"),
    Text(
        "按监管平台给出的原因改正后，重新插入该记录；缺少上级数据的，先补传上级数据。",
        "Correct it by the reason given and insert the record again, any missing parent first.",
    ),
)

HELD_REMEDY: Final = Text(
    "补上或更正所引用的记录，并核对引用它的数据元；它被接收后本记录自动上报，不必重新写入。",
    "Insert or correct the record that it refers to, and verify the field; this record then goes by itself.",
)
"""What to do about a row that waits at the gateway, whatever the rule says of one that was refused."""

_QUARANTINED: Final = Explained(
    Text("记录可以封装和投递", "The record can be sealed and delivered"),
    Text("该记录无法封装或投递，已隔离", "The record cannot be sealed or delivered and stands aside"),
    Text("由前置机的运维人员查看服务日志。", "The operator of the gateway must look into its log."),
)


def _label(field: Field) -> Text:
    return Text(f"「{field.title}」({field.name})", f"{field.name} ({field.title})")


def _length_zh(form: Format) -> str:
    return f"恰好 {form.length_max} 个字符" if form.length_min else f"至多 {form.length_max} 个字符"


def _length_en(form: Format) -> str:
    return f"{'exactly' if form.length_min else 'at most'} {form.length_max} character{'s' * (form.length_max != 1)}"


def _listed(system: CodeSystem | None, separator: str) -> str:
    """Return a short domain in brackets; nothing for a long one."""
    if system is None or not 0 < len(system.codes) <= CODES_SHOWN_MAX:
        return ""
    before, after = _BRACKETS["zh" if separator == "、" else "en"]
    return before + separator.join(f"{code} {name}" for code, name in system.codes.items()) + after


_SIMPLE: Final[dict[str, Callable[[Field], Explained]]] = {
    MISSING_CODE: _missing,
    FORMAT_CODE: _length,
    CONTROL_CODE: _control,
    INSTITUTION_CODE: _institution,
    IMAGE_CODE: _image,
}

_WANTED: Final = {
    ValueType.TEXT: Text("文本", "text"),
    ValueType.INTEGER: Text("整数", "an integer"),
    ValueType.DECIMAL: Text("数值", "a number"),
    ValueType.DATE: Text("有效的日期", "a date"),
    ValueType.DATETIME: Text("有效的日期时间", "a date and time"),
    ValueType.FLAG: Text("标志 T 或 F", "the flag T or F"),
}
_WRITTEN: Final = {
    ValueType.TEXT: Text("改正后重新提交。", "Correct it and submit the record again."),
    ValueType.INTEGER: Text(
        "只用半角数字填写整数，不加单位和千位分隔符。", "Write an integer in plain digits, without unit or separators."
    ),
    ValueType.DECIMAL: Text(
        "只用半角数字和小数点填写，不加单位、千位分隔符和指数。",
        "Write plain digits and a point, without unit, separators or exponent.",
    ),
    ValueType.DATE: Text("写作 YYYY-MM-DD。", "Write it as YYYY-MM-DD."),
    ValueType.DATETIME: Text("按当地时间写作 YYYY-MM-DD HH:MM:SS。", "Write local time as YYYY-MM-DD HH:MM:SS."),
    ValueType.FLAG: Text("填写 T 或 F。", "Write T or F."),
}
