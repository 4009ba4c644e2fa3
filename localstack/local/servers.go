package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/local/proc"
	"theoneagents.app/agents/localstack/local/steps"
)

// The programs that make installs and builds, and their sources.
const (
	pythonPath   = ".local/venv/bin/python"
	launcherPath = "localstack/launcher/launch.py"
	patchesPath  = "localstack/launcher/patches.py"
	keepPath     = "localstack/launcher/keep.py"
	queuesPath   = "localstack/launcher/queues.py"
	workersPath  = "localstack/launcher/workers.py"
	pinsPath     = "localstack/requirements.txt"
	productsPath = ".local/bin/products"
	edgePath     = ".local/bin/edge"
	cdkPath      = ".local/tools/node_modules/.bin/cdk"
)

// A foundEmulator is the emulator to use; ours is true when this project started it.
type foundEmulator struct {
	url  string
	ours bool
}

// emulator finds an emulator or starts one.
func (p plan) emulator(ctx context.Context, w world, report steps.Reporter) (foundEmulator, error) {
	elsewhere, err := p.endpoint()
	if err != nil {
		return foundEmulator{}, err
	}
	s, err := p.emulatorServer(w)
	if err != nil {
		return foundEmulator{}, err
	}
	want := strings.Replace(elsewhere, "//localhost:", "//127.0.0.1:", 1) // our servers listen at 127.0.0.1
	if want == "" {
		want = p.port.url()
	}
	process, running, err := s.running(ctx, report, want)
	if err != nil || running {
		return foundEmulator{process.Address, true}, err
	}
	at := site{server: s.name, option: "PORT", port: p.port, last: p.home.lastPorts().Emulator, first: emulatorPort}
	if elsewhere != "" {
		answer, _ := cloud.Look(ctx, w.http, elsewhere)
		switch answer {
		case cloud.Emulator:
			report.Say("Using the emulator at %s, from AWS_ENDPOINT_URL; make stop will not stop it.", elsewhere)
			return foundEmulator{url: elsewhere}, nil
		case cloud.Stranger:
			return foundEmulator{}, fmt.Errorf("AWS_ENDPOINT_URL is %s, but the program there is not an AWS emulator: correct the variable or unset it", elsewhere)
		case cloud.Nobody:
		}
		if err := isLocal(elsewhere); err != nil {
			return foundEmulator{}, err
		}
		if err := at.port.Set(portOf(elsewhere)); err != nil {
			return foundEmulator{}, err
		}
	}
	p.tellLoss(w, report, s)
	process, err = s.startAt(ctx, report, at, w.occupant)
	return foundEmulator{process.Address, true}, err
}

func (p plan) emulatorServer(w world) (server, error) {
	version, err := digest(launcherPath, patchesPath, keepPath, queuesPath, workersPath, pinsPath)
	if err != nil {
		return server{}, err
	}
	mark := p.home.mark()
	return server{
		name: "emulator", home: p.home, record: p.home.emulator(), data: p.home.emulatorData(), log: p.home.log("emulator"),
		version: version, env: w.environ,
		args: func(url string) []string {
			args := []string{pythonPath, "-B", launcherPath, "--port", portOf(url), "--state", p.home.emulatorData(), "--mark", mark}
			if p.keep {
				args = append(args, "--keep")
			}
			return args
		},
		healthy: func(ctx context.Context, url string) bool {
			answer, whose := cloud.Look(ctx, w.http, url)
			return answer == cloud.Emulator && whose == mark
		},
	}, nil
}

// occupant names the program that answers at a URL, for messages.
func (w world) occupant(ctx context.Context, at string) string {
	answer, mark := cloud.Look(ctx, w.http, at)
	switch {
	case answer == cloud.Emulator && mark != "":
		return "the emulator of " + mark
	case answer == cloud.Emulator:
		return "another emulator"
	case w.markAt(ctx, at) != "":
		return "a stand-in of " + w.markAt(ctx, at)
	}
	return "another program"
}

// markAt returns the mark of the stand-ins or the console that answer at a URL, or an
// empty string when neither does.
func (w world) markAt(ctx context.Context, at string) string {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var health struct {
		Stack string `json:"stack"`
	}
	if (api{base: at, http: w.http}).call(ctx, "GET", "/_health", nil, &health) != nil {
		return ""
	}
	return health.Stack
}

// A snapshot is the record of the emulator's saved data.
type snapshot struct {
	At time.Time `json:"at"`
}

// lastKept returns the time of the emulator's last snapshot, or the zero time.
func (h home) lastKept() time.Time {
	var made snapshot
	text, err := os.ReadFile(filepath.Join(h.emulatorData(), "kept", "current", "snapshot.json"))
	if err != nil || json.Unmarshal(text, &made) != nil {
		return time.Time{}
	}
	return made.At
}

// tellLoss warns when a killed emulator lost data, and when the clock is behind
// the newest data.
func (p plan) tellLoss(w world, report steps.Reporter, s server) {
	kept := p.home.lastKept()
	if ahead := kept.Sub(w.now()); ahead > time.Minute {
		report.Say("The clock of this machine is %s behind the newest data, which is of %s: new runs will sort before old ones.",
			ahead.Round(time.Second), kept.Local().Format(time.DateTime))
	}
	if _, err := os.Stat(s.marker()); errors.Is(err, fs.ErrNotExist) {
		return
	}
	if kept.IsZero() {
		report.Say("The emulator was killed before it had saved any data: it starts empty.")
		return
	}
	report.Say("The emulator was killed: it continues with its snapshot of %s. Later changes are lost.", kept.Local().Format(time.DateTime))
}

// endpoint returns the emulator's address from AWS_ENDPOINT_URL, or an empty
// string when the variable is not set.
func (p plan) endpoint() (string, error) {
	if p.elsewhere == "" {
		return "", nil
	}
	u, err := url.Parse(p.elsewhere)
	if err != nil || u.Scheme != "http" || u.Port() == "" || strings.Trim(u.Path, "/") != "" {
		return "", misusef("AWS_ENDPOINT_URL is %q, not the address of an emulator like http://127.0.0.1:4566: correct it or unset it", p.elsewhere)
	}
	return "http://" + u.Host, nil
}

// isLocal returns an error unless raw is an address of this machine, where an
// emulator can be started.
func isLocal(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return err
	}
	if host := u.Hostname(); host == "localhost" || net.ParseIP(host).IsLoopback() {
		return nil
	}
	return fmt.Errorf("no emulator answers at %s: start it there, or unset AWS_ENDPOINT_URL to let make run start one here", raw)
}

// products finds the stand-ins or starts them, and returns their URL.
func (p plan) products(ctx context.Context, w world, report steps.Reporter, endpoint string) (string, error) {
	version, err := digest(productsPath)
	if err != nil {
		return "", err
	}
	mark := p.home.mark()
	s := server{
		name: "products", home: p.home, record: p.home.products(), data: p.home.productsData(), log: p.home.log("products"),
		version: version + " " + endpoint, env: cloud.Environment(w.environ, endpoint),
		args: func(url string) []string {
			args := []string{productsPath, "-listen", hostOf(url), "-key", p.home.hubKey(), "-outputs", p.home.outputs(), "-endpoint", endpoint, "-mark", mark, "-traces", p.home.traces()}
			if p.keep {
				args = append(args, "-keep", p.home.productsData())
			}
			return args
		},
		healthy: func(ctx context.Context, url string) bool { return w.markAt(ctx, url) == mark },
	}
	process, running, err := s.running(ctx, report, p.productsPort.url())
	if err != nil || running {
		return process.Address, err
	}
	at := site{server: s.name, option: "PRODUCTS_PORT", port: p.productsPort, last: p.home.lastPorts().Products, first: productsPort}
	process, err = s.startAt(ctx, report, at, w.occupant)
	return process.Address, err
}

// console finds the console's origin or starts it, and returns its URL.
func (p plan) console(ctx context.Context, w world, report steps.Reporter) (string, error) {
	version, err := digest(edgePath)
	if err != nil {
		return "", err
	}
	mark := p.home.mark()
	s := server{
		name: "console", home: p.home, record: p.home.console(), data: p.home.consoleData(), log: p.home.log("console"),
		version: version, env: w.environ,
		args: func(url string) []string {
			return []string{edgePath, "-listen", hostOf(url), "-key", p.home.hubKey(), "-outputs", p.home.outputs(), "-site", p.home.path("console", "site"), "-mark", mark}
		},
		healthy: func(ctx context.Context, url string) bool { return w.markAt(ctx, url) == mark },
	}
	process, running, err := s.running(ctx, report, p.consolePort.url())
	if err != nil || running {
		return process.Address, err
	}
	at := site{server: s.name, option: "CONSOLE_PORT", port: p.consolePort, last: p.home.lastPorts().Console, first: consolePort}
	process, err = s.startAt(ctx, report, at, w.occupant)
	return process.Address, err
}

// kept reports whether the emulator saved all its data when it ended.
func (h home) kept() bool {
	marker := filepath.Join(h.emulatorData(), "running")
	_, held := proc.Holder(marker)
	_, err := os.Stat(marker)
	return !held && errors.Is(err, fs.ErrNotExist)
}
