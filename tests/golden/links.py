"""Every file and heading that the texts link to is there."""

import glob
import os
import re

import cases

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def anchors(text):
    """As GitHub makes them of headings."""
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, flags=re.M)}


def is_there(target, text):
    if target.startswith("#"):
        return target[1:] in anchors(text)
    return re.match(r"https?:", target) or os.path.exists(os.path.join(TOP, target))


def run():
    results = []
    for path in sorted(glob.glob(os.path.join(TOP, "*.md"))):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        gone = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not is_there(target, text)]
        results.append((f"links of {os.path.basename(path)}", "failed" if gone else "passed", cases.indent("\n".join(gone) + "\n") if gone else ""))
    return results
