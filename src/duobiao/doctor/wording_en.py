"""The page's words in English."""

from __future__ import annotations

from typing import Any

TEXTS: dict[str, Any] = {
    "title": "Data check",
    "files": "Files",
    "split": "split",
    "rows": "rows",
    "file": "file",
    "summary": "{error} errors, {warning} warnings, {note} notes",
    "error": "error",
    "warning": "warning",
    "note": "note",
    "clean": "Nothing was found.",
    "where": "where",
    "text": "text",
    "seen": "what",
    "label": "label",
    "remedy": "Remedy",
    "lengths": "Lengths and truncation",
    "longer": "over {length}",
    "median": "median",
    "longest": "longest",
    "counted": "Counted by the model's tokenizer, special tokens included.",
    "estimated": "No --model was given: estimated as one token for each Chinese character, word or short number.",
    "positives": "Positives of each label",
    "skipped": "What was not checked",
    "severities": "Error: training or evaluating refuses it, or scores will be wrong. Warning: it costs quality. Note: good "
    "to know. Personal data in examples is masked. The worst comes first, within a severity the largest share.",
    "units": {"rows": "rows", "labels": "labels", "pairs": "pairs", "files": "files"},
    "of": "{count} {unit} ({share})",
    "splits": {"data": "data", "train": "train", "dev": "dev", "test": "test"},
    "reasons": {
        "no_model": "unknown characters: no --model was given",
        "no_tokenizer": "unknown characters: this is a linear model, which has no tokenizer",
        "no_opencc": "simplified and traditional: OpenCC is not installed (pip install duobiao[text])",
    },
    "personal": {
        "phone": "telephone",
        "id_card": "ID card",
        "bank_card": "bank card",
        "plate": "number plate",
        "email": "e-mail",
    },
}

WORDS: dict[str, tuple[str, str, str]] = {
    "unreadable": (
        "Rows that cannot be read",
        "The other checks do not see these rows.",
        "correct the file at these places; until then train and evaluate refuse it whole",
    ),
    "encoding": (
        "Damaged encoding",
        "The bytes of these lines are neither UTF-8 nor GB18030; U+FFFD stands for what is lost.",
        "export the file anew as UTF-8",
    ),
    "no_rows": (
        "No usable row",
        "Not one row of the file can be used.",
        "look at the file and its columns: --columns text=YOURS",
    ),
    "empty": (
        "Empty texts",
        "There is nothing to learn from; training and evaluating refuse them.",
        "{command} --fix OUT --fix-only empty",
    ),
    "wordless": ("No words", "Only digits, punctuation or emoji.", "see whether these rows are wanted; delete them if not"),
    "single": (
        "One character",
        "It says next to nothing without what it answers to.",
        "give the context: --columns context=NODE",
    ),
    "long": ("Very long texts", "Over {limit} characters, most of which will be cut off.", "cut them into paragraphs"),
    "invisible": (
        "Invisible characters",
        "Zero-width and control characters; the default cleaning drops them, other programs do not.",
        "{command} --fix OUT --fix-only invisible",
    ),
    "damage": (
        "Garbled text",
        "It was decoded wrongly where it comes from: {names}.",
        "{command} --fix OUT --fix-only mojibake (mends what can be mended; export the rest anew)",
    ),
    "foreign": (
        "Rows that are not Chinese",
        "Hardly a Chinese character: {names}. A Chinese model is unreliable on them.",
        "see whether they are wanted; delete them if not",
    ),
    "personal": (
        "Personal data",
        "There are: {names}. They go into training data and reports.",
        "{command} --fix OUT --fix-only mask (or add mask to input.clean in the configuration)",
    ),
    "scripts": (
        "Simplified and traditional mixed",
        "{count} rows have traditional characters, {simplified} have simplified ones, {both} have both; most often {names}.",
        "{command} --fix OUT --fix-only simplified (or add simplified to input.clean in the configuration)",
    ),
    "unknown": (
        "Characters the tokenizer does not know",
        "{kinds} kinds of characters become [UNK], {tokens} times; the model does not see them: {names}.",
        "replace what can be replaced (width, variants, emoji); if many, take an encoder with a larger vocabulary: "
        "--set encoder=...",
    ),
    "truncated": (
        "Rows that will be cut",
        "They have more than {max_length} tokens; the model does not see the rest. {counted}",
        "--set input.max_length={enough}",
    ),
    "unlabelled": (
        "Rows without labels",
        "They carry no labels; training and evaluating refuse them.",
        "add a column labels (empty where none is true), or name yours: --columns labels=YOURS",
    ),
    "none_true": (
        "No label is true",
        "All independent labels are false, exclusive groups unknown.",
        "see whether this means none of them, or that somebody forgot",
    ),
    "foreign_labels": (
        "Labels that the label space lacks",
        "Training and evaluating refuse them: {names}.",
        "correct the spelling, or add them to the file of --labels",
    ),
    "exclusive": (
        "Contradictory groups",
        "Two labels of one exclusive group are true.",
        "leave one; if both may be true, make them independent labels in the label space",
    ),
    "not_asked": (
        "Group labels without their context",
        "The group is not asked of this context, or there is none.",
        "correct the context, or add it to the group's contexts in the label space",
    ),
    "unknown_names": (
        "Wrong column unknown",
        "A name in it does not exist, or contradicts labels.",
        "correct these rows as the message says",
    ),
    "no_positives": (
        "Labels without a positive training row",
        "They cannot be learned; training refuses them.",
        "label some rows, or take them out of the label space",
    ),
    "few_positives": (
        "Labels with too few positives",
        "Fewer than {limit} positive training rows: hardly to be learned.",
        "label more rows of these first, or merge them with their neighbours",
    ),
    "few_in_dev": (
        "Labels with few dev positives",
        "Fewer than {limit}: their thresholds shrink to the global one.",
        "give a larger --dev",
    ),
    "few_in_test": (
        "Labels with few test positives",
        "Fewer than {limit}: their scores mean little.",
        "give a larger --test; look at support in reports",
    ),
    "single_label": (
        "Exactly one label a row",
        "Each row has exactly one independent label: they exclude each other.",
        "make them a group of the label space: groups: {{class: {{labels: [{labels}]}}}}",
    ),
    "always_together": (
        "Labels that always come together",
        "Where the one is true, so is the other (times of the one / of the other).",
        "see whether that is a fact or a habit of labelling; a label that adds nothing can go",
    ),
    "never_together": (
        "Labels that never come together",
        "By their frequencies they should meet as often as stands after ≈; they never do.",
        "if they exclude each other, make them a group of the label space",
    ),
    "conflicts": (
        "The same text, other labels",
        "{texts} texts (in the same context) have labels that contradict each other; a model can only guess.",
        "{command} --fix OUT, then decide the cases in OUT/review.jsonl",
    ),
    "duplicates": (
        "Duplicate rows",
        "The same text in the same context, in the same file; such rows weigh too much.",
        "{command} --fix OUT --fix-only duplicates",
    ),
    "repeated": (
        "Short texts that recur",
        "Short answers recur by nature.",
        "nothing to do; keep them on one side when splitting",
    ),
    "leaks": (
        "Evaluation texts that stand in training rows",
        "The model has seen the answers: scores are too high.",
        "{command} --fix OUT --fix-only leaks",
    ),
    "recurring": (
        "Short evaluation texts that stand in training rows",
        "Texts under {limit} characters recur by nature, yet scores are somewhat too high.",
        "report the score on unseen text too: duobiao evaluate ... --train TRAIN",
    ),
    "near_leaks": (
        "Evaluation texts with near duplicates in training rows",
        "Jaccard similarity of character bigrams of 0.8 or more; scores may be too high.",
        "{command} --fix OUT --fix-only near-leaks",
    ),
    "near_duplicates": (
        "Near duplicates",
        "Jaccard similarity of character bigrams of 0.8 or more.",
        "keep them on one side when splitting: give them one group_id",
    ),
    "near_conflicts": (
        "Nearly the same text, other labels",
        "The texts hardly differ, the labels contradict each other: one of them is probably wrong.",
        "look at the labels of these pairs",
    ),
}
"""Each kind of finding has a title, a reason and a remedy."""
