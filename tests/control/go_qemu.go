// Drives a VM through go-qemu (github.com/digitalocean/go-qemu, Debian's golang-github-digitalocean-go-qemu-dev): a QMP
// client with types made from QEMU's own schema. Prints what it asks and gets, and ends at the first thing that is not
// as QEMU has it. Usage: go_qemu SOCKET RAM_BYTES BALLOON_PATH
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/digitalocean/go-qemu/qmp"
	"github.com/digitalocean/go-qemu/qmp/raw"
)

const patience = 60 * time.Second

func fail(format string, args ...any) {
	fmt.Printf("FAIL: "+format+"\n", args...)
	os.Exit(1)
}

func need(what string, err error) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

// say prints a command and its result as JSON, which is what the types made of the answer.
func say(what string, result any, err error) {
	need(what, err)
	text, err := json.Marshal(result)
	need(what, err)
	fmt.Printf("%s -> %s\n", what, text)
}

// refused expects an error and prints it.
func refused(what string, err error) {
	if err == nil {
		fail("%s was not refused", what)
	}
	fmt.Printf("%s -> error: %v\n", what, err)
}

// waitEvent passes over other events.
func waitEvent(events <-chan qmp.Event, name string, matches func(data map[string]any) bool) {
	timeout := time.After(patience)
	for {
		select {
		case event, ok := <-events:
			if !ok {
				fail("the connection ended before the event %s", name)
			}
			if event.Event == name && matches(event.Data) {
				say("event "+name, event.Data, nil)
				return
			}
		case <-timeout:
			fail("no event %s came", name)
		}
	}
}

func always(map[string]any) bool { return true }

func isActual(bytes int64) func(map[string]any) bool {
	return func(data map[string]any) bool { return data["actual"] == float64(bytes) }
}

func identify(vm *raw.Monitor) {
	version, err := vm.QueryVersion()
	say("query-version", version, err)
	name, err := vm.QueryName()
	say("query-name", name, err)
	status, err := vm.QueryStatus()
	say("query-status", status, err)
	if !status.Running {
		fail("the VM does not run")
	}
	memory, err := vm.QueryMemorySizeSummary()
	say("query-memory-size-summary", memory, err)
	commands, err := vm.QueryCommands()
	need("query-commands", err)
	fmt.Printf("query-commands -> %d commands\n", len(commands))
}

func moveBalloon(vm *raw.Monitor, events <-chan qmp.Event, ram int64) {
	for _, left := range []int64{ram / 2, ram / 4 * 3} {
		say(fmt.Sprintf("balloon %d", left), nil, vm.Balloon(left))
		waitEvent(events, "BALLOON_CHANGE", isActual(left))
		info, err := vm.QueryBalloon()
		say("query-balloon", info, err)
		if info.Actual != left {
			fail("query-balloon does not say what the event said")
		}
	}
	refused("balloon 0", vm.Balloon(0))
}

// stats asks until the guest's answer to a poll is there.
func stats(vm *raw.Monitor, path string, ram int64) {
	list, err := vm.QomList(path)
	need("qom-list", err)
	fmt.Printf("qom-list -> %d properties\n", len(list))
	say("qom-set guest-stats-polling-interval 1", nil, vm.QomSet(path, "guest-stats-polling-interval", 1))
	for until := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		result, err := vm.QomGet(path, "guest-stats")
		need("qom-get guest-stats", err)
		values := result.(map[string]any)["stats"].(map[string]any)
		// What the balloon has is not free; the values from before it moved say more.
		if values["stat-free-memory"].(float64) <= float64(ram/4*3) {
			say("qom-get guest-stats", result, nil)
			return
		}
		if time.Now().After(until) {
			fail("the guest's statistics do not come: %v", values)
		}
	}
}

func errors(vm *raw.Monitor, path string) {
	refused("qom-set guest-stats-polling-interval -1", vm.QomSet(path, "guest-stats-polling-interval", -1))
	_, err := vm.QomGet("/machine/peripheral/none", "type")
	refused("qom-get /machine/peripheral/none", err)
	_, err = vm.QueryBlock()
	refused("query-block", err)
}

func stopAndEnd(vm *raw.Monitor, events <-chan qmp.Event) {
	say("stop", nil, vm.Stop())
	waitEvent(events, "STOP", always)
	status, err := vm.QueryStatus()
	say("query-status", status, err)
	say("cont", nil, vm.Cont())
	waitEvent(events, "RESUME", always)
	say("system_reset", nil, vm.SystemReset())
	waitEvent(events, "RESET", always)
}

func main() {
	ram, err := strconv.ParseInt(os.Args[2], 10, 64)
	need("RAM_BYTES", err)
	socket, err := qmp.NewSocketMonitor("unix", os.Args[1], patience)
	need("connecting", err)
	need("negotiation", socket.Connect())
	// Events come by the same connection as answers: unless they are read, no answer is either.
	unread, err := socket.Events(context.Background())
	need("events", err)
	events := make(chan qmp.Event, 1000)
	go func() {
		defer close(events)
		for event := range unread {
			events <- event
		}
	}()
	vm := raw.NewMonitor(socket)
	identify(vm)
	moveBalloon(vm, events, ram)
	stats(vm, os.Args[3], ram)
	errors(vm, os.Args[3])
	stopAndEnd(vm, events)
	need("quit", vm.Quit())
	waitEvent(events, "SHUTDOWN", always)
	fmt.Println("PASS")
}
