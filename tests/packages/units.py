"""What the units of VMs are put through in a systemd that was booted for it: shell scripts, and lines that these must print."""

# The built-in guest follows the balloon and powers off by the button; holds what it gave without a look at the button; panics
# over an option that it does not know.
SPECS = {
    "web-1": 'memory: {size: 64M}\nballoon: {size: 16M}\npayload: {cmdline: "mode=follow touch_mb=8"}\n',
    "deaf": 'memory: {size: 64M}\nballoon: {size: 16M}\npayload: {cmdline: "hold_ms=900000"}\n',
    "panics": 'memory: {size: 64M}\nballoon: {size: 16M}\npayload: {cmdline: "mode=nonsense"}\n',
    "lacks-kernel": "memory: {size: 64M}\npayload: {kernel: /etc/vmm-balloon/none}\n",
    "wrong": "memory: {size: nonsense}\n",
}

PRELUDE = """
socket=/run/vmm-balloon-units/vmm-balloon/web-1.sock
show() { for p in ActiveState Result ExecMainStatus NRestarts StatusText; do printf '%s|' "$(systemctl show -p $p --value "$1")"; done; echo; }
is() { [ "$(systemctl show -p $2 --value "$1")" $3 "$4" ]; }
wait_for() { for i in $(seq 900); do "$@" && return; sleep 0.1; done; echo "never: $*"; exit 1; }
override() {
    mkdir -p "/run/systemd/system/$1.service.d"
    printf '[Service]\\n%s\\n' "$2" >"/run/systemd/system/$1.service.d/test.conf"
    systemctl daemon-reload
}
"""

RUNS = """
systemctl start vmm-balloon@web-1
echo "started $(show vmm-balloon@web-1)"
echo "user $(stat -c %u /proc/$(systemctl show -p MainPID --value vmm-balloon@web-1))"
echo "group $(systemctl show -p ControlGroup --value vmm-balloon@web-1)"
echo "names $(vmm-balloon list --names)"
vmm-balloon balloon web-1 20M --wait=20
vmm-balloon balloon /run/private/${socket#/run/}
mkdir -p /var/lib/prometheus/node-exporter
systemctl start vmm-balloon-metrics || true
echo "metrics $(cat /var/lib/prometheus/node-exporter/*.prom 2>/dev/null | grep -c '^vmm_balloon_up.*web-1.* 1$')"
rm -r /var/lib/prometheus
systemctl stop vmm-balloon@web-1
echo "stopped $(show vmm-balloon@web-1)"
echo "console $(journalctl -o cat -u vmm-balloon@web-1 | tail -n 40 | grep -c 'guest: PASS')"
"""

# What the killed one left in the runtime folder is nobody's: it is not listed, and the next one of the name takes it over.
DEAF = """
override vmm-balloon@deaf TimeoutStopSec=2
systemctl start vmm-balloon@deaf
pid=$(systemctl show -p MainPID --value vmm-balloon@deaf)
echo "running $(ls -d "/proc/$pid")"
systemctl stop vmm-balloon@deaf || true
echo "button $(journalctl -o cat -u vmm-balloon@deaf | grep -c 'SIGTERM: pressed')"
echo "killed $(show vmm-balloon@deaf)"
echo "processes '$(ls -d "/proc/$pid" 2>/dev/null; pgrep -x vmm-balloon)'"
echo "names '$(vmm-balloon list --names)'"
systemctl start vmm-balloon@deaf
echo "again $(show vmm-balloon@deaf)"
echo "names $(vmm-balloon list --names)"
"""

RESTARTS = """
systemctl start vmm-balloon@wrong 2>/dev/null || true
echo "wrong $(show vmm-balloon@wrong)"
override vmm-balloon@lacks-kernel RestartSec=0.1
systemctl start vmm-balloon@lacks-kernel 2>/dev/null || true
wait_for is vmm-balloon@lacks-kernel ActiveState = failed
echo "lacks kernel $(show vmm-balloon@lacks-kernel)"
systemctl start vmm-balloon@panics 2>/dev/null || true
wait_for is vmm-balloon@panics NRestarts -ge 1
systemctl stop vmm-balloon@panics
echo "restarted"
"""

SCENES = {
    "runs": (
        RUNS,
        [
            r"started active\|success\|0\|0\|The guest runs\|",
            r"user 6[1-5]\d\d\d",  # a dynamic one: systemd.exec(5), DynamicUser
            r"group /vmm\.slice/vmm-balloon\.slice/vmm-balloon@web-1\.service",
            r"names web-1",
            r"web-1: the balloon has 20M of 64M RAM.*",
            r"/run/private/.*: the balloon has 20M of 64M RAM.*",
            r"metrics 1",
            r"stopped inactive\|success\|0\|0\|.*",
            r"console 1",
        ],
    ),
    "deaf": (
        DEAF,
        [
            r"running /proc/\d+",
            r"button 1",
            r"killed failed\|timeout\|9\|0\|.*",
            r"processes ''",
            r"names ''",
            r"again active\|success\|0\|0\|The guest runs\|",
            r"names deaf",
        ],
    ),
    "restarts": (
        RESTARTS,
        [
            r"wrong failed\|exit-code\|2\|0\|.*",
            r"lacks kernel failed\|exit-code\|1\|5\|.*",  # StartLimitBurst
            r"restarted",
        ],
    ),
}
