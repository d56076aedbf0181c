"""`top`, and what else is drawn on a terminal."""

import os
import re
import signal
import time

from harness import expect, live_vm, run, wait_until
from terminal import Terminal


def top_shows_and_moves(context):
    live_vm(context)
    live_vm(context, "web-2", "512M", "size=0", 100)
    with Terminal(context, "top") as terminal:
        terminal.wait("2 VMs, RAM 768M: balloons 64M of 64M")
        row = wait_until(lambda: terminal.line("web-1"), "web-1").split()
        expect(row[1:4] == ["256M", "64M", "64M"], f"web-1: {row}")
        expect("RECLAIM/S" in terminal.line("NAME") and "RSS, LAST" in terminal.line("NAME"), terminal.screen())
        terminal.keys("Down")
        terminal.keys("+")
        terminal.wait("web-2: target 32M")
        wait_until(lambda: terminal.line("web-2").split()[2:4] == ["32M", "32M"], terminal.screen)
        terminal.keys("Up", "t")
        terminal.wait("Target of web-1:")
        terminal.type("1600M")
        terminal.keys("BSpace", "BSpace", "M", "Enter")
        terminal.wait("web-1: target 160M")
        wait_until(lambda: terminal.line("web-1").split()[2:4] == ["160M", "160M"], terminal.screen)
        expect(run(context, "list", "--json").jsons()[0]["balloon-actual"] == 160 << 20, "list says otherwise")
        wait_until(lambda: any(block in terminal.line("web-1") for block in "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"), terminal.screen)
        expect(len(terminal.line("NAME")) == len(terminal.line("web-1")), f"the heading is not above the line:\n{terminal.screen()}")
        keep(context, terminal.screen())
        terminal.resize(55, 8)
        wait_until(lambda: terminal.line("NAME").endswith("RECLAIM/S") and terminal.line("web-2"), terminal.screen)
        terminal.resize(100, 30)
        wait_until(lambda: "AVAIL" in terminal.line("NAME"), terminal.screen)
        terminal.keys("?")
        terminal.wait("Any key goes back.")
        terminal.keys("x")
        wait_until(lambda: terminal.line("web-1"), terminal.screen)
        terminal.keys("q")
        terminal.check_left_as_it_was(0)


def keep(context, screen):
    """$VMM_TEST_CAPTURE names a file that gets the screen, for a person to look at."""
    if os.environ.get("VMM_TEST_CAPTURE"):
        with open(os.environ["VMM_TEST_CAPTURE"], "w", encoding="utf-8") as file:
            file.write(screen)


def top_refuses_nonsense(context):
    live_vm(context)
    with Terminal(context, "top") as terminal:
        wait_until(lambda: terminal.line("web-1").split()[2:4] == ["64M", "64M"], terminal.screen)
        for typed, said in (("half", "web-1: "), ("256M", "leaves nothing of the VM's 256M"), ("1" * 60, "web-1: ")):
            terminal.keys("t")
            terminal.wait("Target of web-1:")
            terminal.type(typed)
            terminal.keys("Enter")
            terminal.wait(said)
        terminal.keys("t")
        terminal.wait("Target of web-1:")
        terminal.keys("Escape")
        wait_until(lambda: "Target of" not in terminal.screen(), terminal.screen)
        expect(run(context, "list", "--json").jsons()[0]["balloon-target"] == 64 << 20, "the target was changed")
        terminal.keys("q")
        terminal.check_left_as_it_was(0)


def top_follows_vms(context):
    first = live_vm(context)
    with Terminal(context, "top") as terminal:
        terminal.wait("1 VM, RAM 256M")
        live_vm(context, "web-2")
        terminal.wait("2 VMs, RAM 512M")
        run(context, "stop", "web-1")
        first.end()
        wait_until(lambda: not terminal.line("web-1") and "1 VM, RAM 256M" in terminal.screen(), terminal.screen)
        terminal.keys("q")
        terminal.check_left_as_it_was(0)


def top_goes_on_beside_a_silent_vm(context):
    live_vm(context)
    silent = live_vm(context, "silent")
    with Terminal(context, "top") as terminal:
        wait_until(lambda: terminal.line("silent").split()[2:4] == ["64M", "64M"], terminal.screen)
        silent.process.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: "does not answer" in terminal.line("silent"), terminal.screen)
            terminal.keys("Down", "-")
            terminal.wait("web-1: target 48M")
            wait_until(lambda: terminal.line("web-1").split()[2:4] == ["48M", "48M"], terminal.screen)
            silent.process.send_signal(signal.SIGCONT)
            wait_until(lambda: "does not answer" not in terminal.line("silent"), terminal.screen)
            silent.process.send_signal(signal.SIGSTOP)
            time.sleep(3)
            terminal.keys("q")
            terminal.check_left_as_it_was(0)
        finally:
            silent.process.send_signal(signal.SIGCONT)


def top_gives_the_terminal_back(context):
    """Whatever ends it, also when it crashes."""
    live_vm(context)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGSEGV, signal.SIGABRT):
        with Terminal(context, "top") as terminal:
            terminal.wait("1 VM, RAM")
            os.kill(terminal.program(), number)
            terminal.check_left_as_it_was(128 + number)
    with Terminal(context, "top") as terminal:
        terminal.wait("1 VM, RAM")
        terminal.keys("C-c")
        terminal.check_left_as_it_was(128 + signal.SIGINT)


def top_on_other_terminals(context):
    live_vm(context)
    with Terminal(context, "top", locale="C", columns=20, rows=4) as terminal:
        wait_until(lambda: terminal.line("web-1"), terminal.screen)
        terminal.resize(130, 20)
        wait_until(lambda: terminal.line("web-1")[-1:] in tuple("_.:-=+*#"), terminal.screen)
        expect(terminal.screen().isascii(), terminal.screen())
        terminal.keys("q")
        terminal.check_left_as_it_was(0)
    with Terminal(context, "top", term="no-such-terminal") as terminal:
        terminal.wait("this terminal is not known")
        terminal.check_left_as_it_was(1)
    expect("must be a terminal" in run(context, "top", status=2).err, "top without a terminal")


def wait_draws_a_bar(context):
    live_vm(context, balloon="size=0,stall_timeout=1")
    with Terminal(context, "balloon", "web-1", "255M", "--wait=4") as terminal:
        screen = terminal.wait("status=")
        expect("[####" in screen and "] 254" in screen and "of 255M" in screen, screen)
        expect("\nweb-1: the guest is out of puff" in screen and "status=4" in screen, screen)
        for once in ("out of puff", "[###"):
            expect(screen.count(once) == 1, screen)
        keep(context, screen)
    with Terminal(context, "balloon", "web-1", "1M", "--wait") as terminal:
        screen = terminal.wait("status=0")
        expect(re.search(r"\[#{8,}\] returned ([\d.]+M) of \1, ", screen), screen)
    with Terminal(context, "balloon", "web-1", "0", "--wait", columns=40) as terminal:
        screen = terminal.wait("status=0")
        expect("returned 1M of 1M" in screen, screen)
    with Terminal(context, "balloon", "web-1", "0", "--wait") as terminal:
        screen = terminal.wait("status=0")
        expect("has 0 of 256M" in screen and " of 0" not in screen and "[" not in screen, screen)


CASES = [
    top_shows_and_moves,
    top_refuses_nonsense,
    top_follows_vms,
    top_goes_on_beside_a_silent_vm,
    top_gives_the_terminal_back,
    top_on_other_terminals,
    wait_draws_a_bar,
]
