"""The mechanisms' pages in Chinese: their fixed words here, sentences of each mechanism in notes.zh.yaml."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

# What every page says, by its English.
WORDS = {
    "Also found as {}.": "其他写法：{}。",
    "## Structure": "## 结构",
    "## When to use it": "## 何时使用",
    "It starts as the identity.": "恒等起步。",
    "It does not start as the identity; `identity: true` wraps it.": "不是恒等起步；用 `identity: true` 包裹即可。",
    "## Options": "## 选项",
    "| option | default | meaning |": "| 选项 | 默认值 | 含义 |",
    "None.": "无。",
    "## Cost": "## 开销",
    "parameters": "参数量",
    "kept / map": "保留 / 特征图",
    "The [list of all](index.md#cost) says what the columns mean and on what machine they were measured.": (
        "各列的含义以及测量所用的机器，见[总表](index.zh.md#开销)。"
    ),
    "## Limits": "## 限制",
    "## Known wrong copies": "## 已知的错误版本",
    "## Source": "## 出处",
}
INDEX = """# 注意力机制

[English](index.md)

每种机制都是 `build_attention(NAME, channels, **options)`：输入一个特征图，输出形状、
数据类型和内存布局都相同的特征图。每种都以 float64
与作者的公式核对过（tests/attention）。这些页面由 `python -m attention.docs` 根据 docstring、
[notes.yaml](notes.yaml)、
[notes.zh.yaml](notes.zh.yaml) 和 [costs.json](costs.json) 写出；“出处”一节保留英文。

| 机制 | 作用 | 选项 |
|---|---|---|
{does}

## 开销

特征图为 {size}，一张图像；其他大小见各页，`python -m models.costs` 在你的机器上测量。
*MFLOPs* 在 PyTorch 分派运算处统计，一次乘加计 2，包括矩阵乘积。*保留 / 特征图*是一个训练步为反向计算保留的内存，
以特征图的大小为单位。
时间是推理的：归一化已折叠，取多次调用中最快的一次。*fp32 / floor* 是与 `x * 2` 所用时间之比，即读一遍、
写一遍特征图。ONNX Runtime 和 OpenVINO
以 float32 运行。

测量所用的机器：{machine}。与 timm 以及文章里印出的形式的比较[另有一页](../benchmarks/attention.md)。

| 机制 | {columns} |
|---|{rule}
{costs}

## 限制

某种机制做不到的事；除此之外都在测试之列。所有机制都接受任意通道数，可以导出为
ONNX（[算子集 11 到 20](../benchmarks/opsets.md)）、OpenVINO 和 TorchScript（任意批大小、高和宽），
编译时不会中断计算图；例外如下。

| 机制 | 性质 | 原因 |
|---|---|---|
{limits}
"""


class Chinese:
    """Say the sentences of the pages in Chinese; what has no translation stays English.

    Args:
        folder: docs/attention, with notes.zh.yaml.
    """

    def __init__(self, folder: Path) -> None:
        notes: dict[str, Any] = yaml.safe_load((folder / "notes.zh.yaml").read_text(encoding="utf-8"))
        self.mechanisms: Mapping[str, Mapping[str, str]] = notes["mechanisms"]
        self.phrases: Mapping[str, str] = notes["phrases"]

    def does(self, name: str, english: str) -> str:
        """Return the sentence above a mechanism's formula."""
        return self.mechanisms.get(name, {"does": english})["does"]

    def when(self, name: str, english: str) -> str:
        """Return when to use a mechanism."""
        return self.mechanisms.get(name, {"when": english})["when"]

    def copies(self, name: str, english: str) -> str:
        """Return which copies in circulation compute something else."""
        return self.mechanisms.get(name, {}).get("copies", english)

    def __call__(self, text: str) -> str:
        """Return a sentence, or sentences of which the first ones are known, in Chinese."""
        plain = re.sub(r"\s+", " ", text)
        known = WORDS.get(plain) or self.phrases.get(plain)
        if known:
            return known
        first, stop, rest = plain.partition(". ")
        known = self.phrases.get(first + stop.rstrip())
        return f"{known}{self.phrases.get(rest, rest)}" if known else text
