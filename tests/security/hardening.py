"""How the program was linked and compiled: readelf and objdump, of binutils, tell."""

import re

from vm import ask, expect, refuse_instrumented


def position_independent(binary, _folder):
    refuse_instrumented(binary)
    expect("DYN (Position-Independent Executable file)" in ask("readelf", "--file-header", binary), "not a PIE")


def relocations_read_only(binary, _folder):
    refuse_instrumented(binary)
    expect(re.search(r"^ +GNU_RELRO ", ask("readelf", "--program-headers", binary), re.M), "no GNU_RELRO segment")
    dynamic = ask("readelf", "--dynamic", binary)
    expect(re.search(r"\(FLAGS_1\).*\bNOW\b", dynamic), "bound lazily: the global offset table stays writable")
    expect("(TEXTREL)" not in dynamic, "there are relocations in code")


def stack_not_executable(binary, _folder):
    refuse_instrumented(binary)
    segments = re.findall(r"^ +(\w+) +0x\S+ 0x\S+ 0x\S+ 0x\S+ 0x\S+ ([R ][W ][E ])", ask("readelf", "--program-headers", binary), re.M)
    stacks = [flags for kind, flags in segments if kind == "GNU_STACK"]
    expect(stacks == ["RW "], f"GNU_STACK: {stacks}")
    expect(segments and not any("W" in flags and "E" in flags for _, flags in segments), "a segment is writable and executable")


def control_flow_enforced(binary, _folder):
    """
    Each function that others can call begins where an indirect jump may land. The note that has the kernel insist on it is
    there only where the C library's start-up code has it, which Debian's has not.
    """
    refuse_instrumented(binary)
    symbols = re.findall(r"^ *\d+: ([0-9a-f]+) +\d+ FUNC +GLOBAL +\w+ +\d+ (\w+)", ask("readelf", "--symbols", "--process-links", binary), re.M)
    landings = set(re.findall(r"^ +([0-9a-f]+):\tendbr64", ask("objdump", "--disassemble", "--no-show-raw-insn", binary), re.M))
    bare = sorted({name for address, name in symbols if address.lstrip("0") not in landings} - {"_start", "_init", "_fini"})
    expect(len(symbols) > 300 and not bare, f"of {len(symbols)} functions these do not begin with ENDBR64: {bare}")
    return f"{len(symbols)} functions"


def fortified(binary, _folder):
    refuse_instrumented(binary)
    symbols = set(re.findall(r"\b(__\w+_chk)\b", ask("readelf", "--dyn-syms", binary)))
    symbols.discard("__stack_chk_fail")
    expect(len(symbols) >= 3, f"fortified functions: {sorted(symbols)}")
    return f"{len(symbols)} functions"


def stack_protected(binary, _folder):
    refuse_instrumented(binary)
    expect("__stack_chk_fail" in ask("readelf", "--dyn-syms", binary), "nobody calls __stack_chk_fail")
    calls = len(re.findall(r"call.*<__stack_chk_fail", ask("objdump", "--disassemble", "--no-show-raw-insn", binary)))
    expect(calls >= 50, f"only {calls} functions check their stack")
    return f"{calls} checks"


CASES = [position_independent, relocations_read_only, stack_not_executable, control_flow_enforced, fortified, stack_protected]
