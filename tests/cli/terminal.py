"""A terminal that a program runs in and that can be looked at: tmux."""

import contextlib
import glob
import os
import re
import shlex
import subprocess
import tempfile

from harness import SECONDS, Wrong, expect, wait_until


class Pane:
    """One pane of a tmux server of its own that runs a shell script."""

    def __init__(self, folder, script, columns, rows):
        self.socket = os.path.join(folder, "tmux")
        env = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color", "SHELL": "/bin/sh"}
        self.tmux("-u", "-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), script, ";", "set", "-g", "status", "off", env=env)

    def tmux(self, *arguments, env=None):
        done = subprocess.run(["tmux", "-S", self.socket, *arguments], env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
        expect(done.returncode == 0, f"tmux {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, check=False)

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def line(self, start):
        """The line of the screen that begins so, "" without one."""
        return next((line for line in self.screen().splitlines() if line.startswith(start)), "")

    def keys(self, *names):
        self.tmux("send-keys", *names)

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def wait(self, text, seconds=SECONDS):
        return wait_until(lambda: text in self.screen() and self.screen(), lambda: f"{text!r} on the screen:\n{self.screen()}", seconds)

class Terminal(Pane):
    """A pane with the program, and the terminal's modes before and after it."""

    def __init__(self, context, *arguments, columns=130, rows=20, term="screen-256color", locale="C.UTF-8"):
        folder = tempfile.mkdtemp(prefix="terminal-", dir=context.folder)
        self.modes = [os.path.join(folder, name) for name in ("modes-before", "modes-after")]
        command = shlex.join([context.binary, *arguments])
        variables = f"XDG_RUNTIME_DIR={shlex.quote(context.folder)} LC_ALL={locale} TERM={term}"
        before, after = (shlex.quote(path) for path in self.modes)
        # A shell whose child was ended by a signal ends by it too, unless it handles that signal.
        script = f"trap : INT QUIT HUP TERM; stty -g >{before}; echo before; {variables} {command}; echo status=$?; stty -g >{after}; exec sleep 1000"
        super().__init__(folder, script, columns, rows)

    def program(self):
        """The pid of the program in the pane: the shell's child."""
        pane = self.tmux("display-message", "-p", "#{pane_pid}").strip()
        for path in glob.glob("/proc/[0-9]*/stat"):
            with contextlib.suppress(OSError), open(path, encoding="ascii", errors="replace") as file:
                name, fields = re.fullmatch(r"\d+ \((.*)\) (.*)\n", file.read(), re.S).groups()
                if name == "vmm-balloon" and fields.split()[1] == pane:
                    return int(path.split("/")[2])
        raise Wrong("there is no such program in the pane")

    def check_left_as_it_was(self, status):
        """The program has ended with that status, the screen is the one before, and so are the terminal's modes."""
        screen = self.wait("status=")
        expect(f"status={status}" in screen, f"status {status}:\n{screen}")
        expect("before" in screen and "RECLAIM" not in screen, f"the screen of before:\n{screen}")
        flags = self.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").split()
        expect(flags == ["0", "1"], f"alternate screen, cursor: {flags}")
        wait_until(lambda: os.path.exists(self.modes[1]) and os.path.getsize(self.modes[1]), "the modes")
        before, after = (open(path, encoding="ascii").read() for path in self.modes)
        expect(before == after, f"terminal modes {before} became {after}")
