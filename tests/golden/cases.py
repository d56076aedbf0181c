"""Golden cases. A case is one text file:

    $ vmm-balloon config spec.yaml     the command, run by sh in an empty folder; $DIR in what follows stands for it
    @ file spec.yaml                   a file in that folder, up to the next line that begins with "@ "
    memory: 1T
    @ file raw.yaml escaped            the same with \\n, \\t, \\xNN, \\\\ decoded and line breaks dropped
    @ needs test "$(nproc)" -lt 64     skipped unless the command succeeds
    @ stdout                           what it prints, left out when that is nothing
    @ stderr
    @ status 2                         left out when it is 0

A spec that was accepted is printed as YAML and as JSON, and read back, by the
runner itself: both must come back as the same bytes.
"""

import os
import re
import subprocess
import tempfile

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")
TIMEOUT_S = 60
# Depends on the machine that runs the tests; check-cpus-host looks at it.
HOST_WARNING = re.compile(r"^[^\n]*: warning: \d+ vCPUs on a host with \d+ CPUs? will be slow\n[^\n]*\n +\^~*\n", re.M)


class Case:
    def __init__(self, name, text):
        self.name = name
        self.files = {}
        self.needs = None
        self.expected = {"stdout": "", "stderr": "", "status": "0"}
        head, *parts = re.split(r"^@ ", text, flags=re.M)
        if not head.startswith("$ "):
            raise ValueError(f"{name}: does not begin with '$ '")
        self.head = head
        self.command = head[2:].rstrip("\n")
        self.kept = []
        for part in parts:
            title, _, body = part.partition("\n")
            words = title.split(None, 2)
            if words[0] == "file":
                self.files[words[1]] = unescape(body) if words[2:] == ["escaped"] else body.encode()
                self.kept.append("@ " + part)
            elif words[0] == "needs":
                self.needs = title.partition(" ")[2]
                self.kept.append("@ " + part)
            elif words[0] == "status":
                self.expected["status"] = words[1]
            elif words[0] in self.expected:
                self.expected[words[0]] = body
            else:
                raise ValueError(f"{name}: unknown part '@ {title}'")

    def write(self, got):
        with open(os.path.join(FOLDER, self.name + ".txt"), "w", encoding="utf-8") as out:
            out.write(self.head + "".join(self.kept))
            for title in ("stdout", "stderr"):
                if got[title]:
                    out.write(f"@ {title}\n{got[title]}")
            if got["status"] != "0":
                out.write(f"@ status {got['status']}\n")


def unescape(text):
    text = text.replace("\n", "").encode()
    table = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"\\": b"\\"}
    return re.sub(rb"\\(x([0-9a-f]{2})|.)", lambda m: bytes([int(m[2], 16)]) if m[2] else table[m[1]], text)


def load(names):
    found = sorted(f[:-4] for f in os.listdir(FOLDER) if f.endswith(".txt"))
    for name in names or found:
        with open(os.path.join(FOLDER, name + ".txt"), encoding="utf-8") as file:
            yield Case(name, file.read())


def environment(binary):
    """A PATH on which vmm-balloon is the binary, and nothing that changes its output."""
    keep = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "TMPDIR") or k.endswith("SAN_OPTIONS")}
    keep["PATH"] = os.path.dirname(binary) + ":" + keep.get("PATH", "/usr/bin:/bin")
    keep["LC_ALL"] = "C"
    return keep


def shell(command, folder, binary):
    result = subprocess.run(["sh", "-c", command], cwd=folder, env=environment(binary), stdin=subprocess.DEVNULL,
                            capture_output=True, timeout=TIMEOUT_S, check=False)

    def text(raw):
        return HOST_WARNING.sub("", raw.decode("utf-8", "backslashreplace").replace(folder, "$DIR"))

    return {"stdout": text(result.stdout), "stderr": text(result.stderr), "status": str(result.returncode)}


def difference(case, got):
    lines = []
    for title, expected in case.expected.items():
        if got[title] != expected:
            lines.append(f"  $ {case.command}\n  {title} should be:\n{indent(expected)}  but is:\n{indent(got[title])}")
    return "".join(lines)


def indent(text):
    return "".join(f"    {line}\n" for line in text.splitlines())


def reread(case, got, folder, binary):
    """What `config` printed must be read back to the same bytes, in both formats. Returns what differs."""
    if not re.match(r"vmm-balloon config\b(?!.*(--schema|--help|\|))", case.command) or got["status"] != "0":
        return ""
    printed = {}
    for form in ("yaml", "json"):
        printed[form] = shell(f"{re.sub(r' --format[ =][a-z]+', '', case.command)} --format {form}", folder, binary)["stdout"]
        with open(os.path.join(folder, f"reread.{form}"), "w", encoding="utf-8") as out:
            out.write(printed[form].replace("$DIR", folder))
    for source in printed:
        for form in printed:
            again = shell(f"vmm-balloon config reread.{source} --format {form}", folder, binary)
            if again["stdout"] != printed[form]:
                return f"  {source} read back as {form} differs:\n{indent(again['stdout'] + again['stderr'])}"
    return ""


def run_one(case, binary, update):
    with tempfile.TemporaryDirectory() as folder:
        folder = os.path.realpath(folder)
        for name, content in case.files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(content)
        if case.needs and shell(case.needs, folder, binary)["status"] != "0":
            return "skipped", f"  needs: {case.needs}"
        try:
            got = shell(case.command, folder, binary)
            if update:
                case.write(got)
                case.expected = got
            text = difference(case, got) or reread(case, got, folder, binary)
        except subprocess.TimeoutExpired:
            text = f"  no end after {TIMEOUT_S} s"
    return ("failed", text) if text else ("passed", "")


def run_all(binary, names, update):
    if os.path.basename(binary) != "vmm-balloon":
        return [("golden", "failed", f"  {binary} is not called vmm-balloon")]
    return [(case.name, *run_one(case, binary, update)) for case in load(names)]
