"""The manuals and the JSON Schema say what the property tables say.

`vmm-balloon devices --tables` prints the tables. In vmm-balloon-spec(5) the
lines between '.\\" table SECTION' and '.\\" end' are what mdoc_table() makes of
them; `tests/golden/run BINARY --update` writes them.
"""

import json
import os
import re

import cases

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(TOP, "man", "vmm-balloon-spec.5")
COLUMNS = ("section", "option", "name", "type", "default", "range", "example", "help")


def load(binary):
    rows = [dict(zip(COLUMNS, line.split("\t"))) for line in cases.shell("vmm-balloon devices --tables", TOP, binary)["stdout"].splitlines()]
    tables = {}
    for row in rows:
        tables.setdefault(row["section"], []).append(row)
    return tables


def mdoc_table(rows):
    lines = [".Bl -tag -width Ds"]
    for row in rows:
        lines.append(f".It Cm {row['name']} : Ar {row['type']}")
        lines.append(row["help"] + ".")
        lines.append("Required." if row["default"] == "required" else f"Default: {row['default']}.")
        if row["range"]:
            lines.append(f"Range: {row['range']}.")
        lines += ["Example:", f".Ql {row['name']}: {row['example']}"]
    return "".join(line + "\n" for line in lines + [".El"])


def check_page(tables, update):
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    pattern = r'^(\.\\" table (\S+)\n)(.*?)(^\.\\" end\n)'
    for _, section, body, _ in re.findall(pattern, page, flags=re.M | re.S):
        wanted = mdoc_table(tables[section]) if section in tables else ""
        text = "" if body == wanted or update else f"  {PAGE} and the tables differ; the page should have:\n{cases.indent(wanted)}"
        yield f"manual of {section}", text
    missing = set(tables) - {m[1] for m in re.findall(pattern, page, flags=re.M | re.S)}
    yield "manual has all sections", f"  lacks {', '.join(sorted(missing))}" if missing else ""
    if update:
        page = re.sub(pattern, lambda m: m[1] + mdoc_table(tables[m[2]]) + m[4], page, flags=re.M | re.S)
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(page)


def section_of(schema, section):
    if section == "vm":
        return {n: p for n, p in schema["properties"].items() if p.get("type") != ["object", "string", "integer", "null"] and n != "devices"}
    if section in schema["properties"]:
        return schema["properties"][section]["properties"]
    for item in schema["properties"]["devices"]["items"]["anyOf"]:
        if item.get("properties", {}).get("driver", {}).get("const") == section:
            return {n: p for n, p in item["properties"].items() if n != "driver"}
    return {}


def check_schema(tables, binary):
    try:
        schema = json.loads(cases.shell("vmm-balloon config --schema", TOP, binary)["stdout"])
    except ValueError as error:
        yield "JSON Schema", f"  is not JSON: {error}"
        return
    for section, rows in tables.items():
        named = set(section_of(schema, section)) ^ {row["name"] for row in rows}
        yield f"JSON Schema of {section}", f"  differs in {', '.join(sorted(named))}" if named else ""


def check_readme(tables):
    """The README's table of the balloon names its properties."""
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
        found = re.findall(r"^\| `(\w+)` \|", file.read(), flags=re.M)
    wanted = [row["name"] for row in tables.get("virtio-balloon", [])]
    yield "README's table of the balloon", "" if found == wanted else f"  has {found}, the program {wanted}"


def run(binary, update=False):
    tables = load(binary)
    if "memory" not in tables:
        return [("tables", "failed", "  vmm-balloon devices --tables printed none")]
    checks = [*check_page(tables, update), *check_schema(tables, binary), *check_readme(tables)]
    return [(name, "failed" if text else "passed", text) for name, text in checks]
