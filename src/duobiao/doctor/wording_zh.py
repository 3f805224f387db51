"""The page's words in Chinese."""

from __future__ import annotations

from typing import Any

TEXTS: dict[str, Any] = {
    "title": "数据体检报告",
    "files": "文件",
    "split": "用途",
    "rows": "行数",
    "file": "文件",
    "summary": "{error} 个错误，{warning} 个警告，{note} 条提示",
    "error": "错误",
    "warning": "警告",
    "note": "提示",
    "clean": "没有发现问题。",
    "where": "位置",
    "text": "文本",
    "seen": "说明",
    "label": "标签",
    "remedy": "怎么改",
    "lengths": "长度与截断",
    "longer": "超过 {length}",
    "median": "中位数",
    "longest": "最长",
    "counted": "按模型的分词器计数，含特殊符号。",
    "estimated": "没有给 --model，按每个汉字、单词或短数字一个词元估计。",
    "positives": "各标签的正例数",
    "skipped": "没有检查的项目",
    "severities": "错误：训练或评测会拒绝，或者分数失真。警告：会损失质量。提示：值得知道。"
    "例子里的个人信息已打码；从严重到轻微排列，同级按占比。",
    "units": {"rows": "行", "labels": "个标签", "pairs": "对", "files": "个文件"},
    "of": "{count} {unit}（{share}）",
    "splits": {"data": "数据", "train": "训练", "dev": "开发", "test": "测试"},
    "reasons": {
        "no_model": "分词器的未知字：没有给 --model",
        "no_tokenizer": "分词器的未知字：这个模型是线性模型，没有分词器",
        "no_opencc": "简繁混用：没有安装 OpenCC（pip install duobiao[text]）",
    },
    "personal": {"phone": "电话", "id_card": "身份证", "bank_card": "银行卡", "plate": "车牌", "email": "邮箱"},
}

WORDS: dict[str, tuple[str, str, str]] = {
    "unreadable": (
        "读不出来的行",
        "这些行读不出来，其余的检查不包括它们。",
        "按位置改文件；train 和 evaluate 在改好之前会拒绝整个文件",
    ),
    "encoding": ("编码损坏", "这些行的字节既不是 UTF-8 也不是 GB18030，丢失的字已用 U+FFFD 代替。", "从源头重新导出为 UTF-8"),
    "no_rows": ("没有可用的行", "文件里没有一行能用。", "检查文件内容和列名：--columns text=你的列名"),
    "empty": ("空文本", "没有内容可学，训练和评测会拒绝。", "{command} --fix OUT --fix-only empty"),
    "wordless": ("没有文字", "只有数字、标点或表情。", "确认这些行是否需要；不需要就删掉"),
    "single": ("只有一个字", "单独看几乎没有信息，要靠上下文才能分清。", "给出上下文：--columns context=节点列"),
    "long": ("很长的文本", "超过 {limit} 个字，大部分会被截掉。", "切成段落，或只留开头和结尾"),
    "invisible": (
        "不可见字符",
        "零宽字符、控制字符等；默认清洗会去掉，别的程序不会。",
        "{command} --fix OUT --fix-only invisible",
    ),
    "damage": (
        "乱码",
        "文本在来源处被错误解码：{names}。",
        "{command} --fix OUT --fix-only mojibake（能还原的会还原，其余请重新导出）",
    ),
    "foreign": ("非中文行", "几乎没有汉字：{names}。中文模型对它们不可靠。", "确认是否应当保留；不需要就删掉"),
    "personal": (
        "个人信息",
        "含有：{names}。它们会进入训练数据和报告。",
        "{command} --fix OUT --fix-only mask（或者在配置里：input.clean 加 mask）",
    ),
    "scripts": (
        "简繁混用",
        "{count} 行含繁体字，{simplified} 行含简体字，{both} 行两者都有；最多的繁体字：{names}。",
        "{command} --fix OUT --fix-only simplified（或者在配置里：input.clean 加 simplified）",
    ),
    "unknown": (
        "分词器不认识的字",
        "{kinds} 种字符共 {tokens} 次变成 [UNK]，模型看不到：{names}。",
        "能替换的先替换（全角、异体字、表情）；太多就换一个词表更全的编码器：--set encoder=...",
    ),
    "truncated": (
        "会被截断的行",
        "超过 {max_length} 个词元，后面的内容模型看不到。{counted}",
        "--set input.max_length={enough}",
    ),
    "unlabelled": (
        "没有标注的行",
        "没有 labels；训练和评测会拒绝。",
        "补上 labels 列（没有标签成立就留空），或改名：--columns labels=你的列名",
    ),
    "none_true": ("没有一个标签成立", "独立标签全为假、互斥组未知。", "确认这是真的“都不是”，而不是忘了标"),
    "foreign_labels": ("标签空间里没有的标签", "训练和评测会拒绝：{names}。", "改正写法，或把它加进 --labels 的文件"),
    "exclusive": (
        "互斥组自相矛盾",
        "同一组里有两个标签成立。",
        "改成一个；如果确实可以同时成立，在标签空间里把它们改为独立标签",
    ),
    "not_asked": (
        "组标签的上下文不对",
        "这个组不问这种上下文（或者没有上下文）。",
        "改正上下文，或把它加进标签空间里该组的 contexts",
    ),
    "unknown_names": ("unknown 列有误", "unknown 里的名字不存在，或者与 labels 矛盾。", "按说明改正这些行"),
    "no_positives": ("训练数据里没有正例的标签", "学不会，训练会拒绝。", "补标注，或从标签空间里删掉"),
    "few_positives": ("正例太少的标签", "训练正例不到 {limit} 个，很难学会。", "优先补标这些标签，或合并到相近的标签"),
    "few_in_dev": ("开发集里正例太少的标签", "不到 {limit} 个，它们的阈值会向全局阈值收缩。", "给更大的 --dev"),
    "few_in_test": ("测试集里正例太少的标签", "不到 {limit} 个，这些标签的分数不可信。", "给更大的 --test，报告里看 support"),
    "single_label": (
        "每行恰好一个标签",
        "所有行都恰好有一个独立标签，它们其实互斥。",
        "在标签空间里写成互斥组：groups: {{类别: {{labels: [{labels}]}}}}",
    ),
    "always_together": (
        "总是同时出现的标签",
        "一个标签成立时另一个也总成立（前者次数 / 后者次数）。",
        "确认是规律还是标注习惯；多余的标签可以删掉",
    ),
    "never_together": (
        "从不同时出现的标签",
        "按各自的频率本应同时出现若干次（≈ 后面），实际一次也没有。",
        "如果它们互斥，在标签空间里写成一组",
    ),
    "conflicts": (
        "同一文本，不同标签",
        "{texts} 条文本（上下文也相同）有互相矛盾的标注，模型只能猜。",
        "{command} --fix OUT，然后逐条裁决 OUT/review.jsonl",
    ),
    "duplicates": (
        "重复的行",
        "同一文件里文本和上下文完全相同，重复的样本权重过大。",
        "{command} --fix OUT --fix-only duplicates",
    ),
    "repeated": ("反复出现的短句", "短句自然会重复，不必处理；拆分时注意放在同一边。", "不需要处理"),
    "leaks": ("评测文本也在训练里", "模型见过答案，分数虚高。", "{command} --fix OUT --fix-only leaks"),
    "recurring": (
        "评测里的短句也在训练里",
        "少于 {limit} 个字的短句自然会重复，但分数仍会偏高。",
        "同时报告未见文本的分数：duobiao evaluate ... --train TRAIN",
    ),
    "near_leaks": (
        "评测文本在训练里有近似文本",
        "字符二元组的 Jaccard 相似度不低于 0.8，分数可能虚高。",
        "{command} --fix OUT --fix-only near-leaks",
    ),
    "near_duplicates": ("近似重复的行", "字符二元组的 Jaccard 相似度不低于 0.8。", "拆分时放在同一边：给它们相同的 group_id"),
    "near_conflicts": ("近似文本，不同标签", "文本几乎一样，标注互相矛盾；多半有一个标错了。", "按位置成对检查标注"),
}
"""Each kind of finding has a title, a reason and a remedy."""
