package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"theoneagents.app/agents/localstack/local/proc"
	"theoneagents.app/agents/localstack/local/steps"
)

// endTimeout is how long a server may take to save its data when it ends.
const endTimeout = 2 * time.Minute

// errEnded says that a server ended instead of answering.
var errEnded = errors.New("ended at once")

// A server is a program of this project that answers at a local address.
type server struct {
	name    string
	home    home
	record  string // file that remembers its process
	data    string // folder of its data; one process at a time may use it
	log     string
	version string // differs between builds
	env     []string
	args    func(url string) []string
	healthy func(ctx context.Context, url string) bool
}

// running returns the process of an earlier start if it is usable: the same
// build, at the wanted address (empty: any), and answering. It ends an unusable
// process.
func (s server) running(ctx context.Context, report steps.Reporter, want string) (proc.Process, bool, error) {
	p, alive := s.home.find(s.record)
	switch {
	case !alive:
		return p, false, s.release(ctx, report)
	case want != "" && p.Address != want:
		return p, false, fmt.Errorf("the %s of this project already runs at %s, not at %s: type make stop first", s.name, p.Address, want)
	case p.Version != s.version:
		report.Say("The %s has a newer build: restarting.", s.name)
	case !s.healthy(ctx, p.Address):
		report.Say("An earlier start of the %s did not finish: restarting.", s.name)
	default:
		return p, true, nil
	}
	_, err := s.home.end(ctx, s.record)
	return p, false, err
}

// release ends a process that uses the data but has no record, because make run
// was killed between starting and recording it.
func (s server) release(ctx context.Context, report steps.Reporter) error {
	p, held := proc.Holder(s.marker())
	if !held {
		return nil
	}
	report.Say("A killed make run left the %s running: restarting.", s.name)
	return p.End(ctx, endTimeout)
}

// marker is the file that the server locks while it runs, and removes after it
// has saved its data.
func (s server) marker() string { return filepath.Join(s.data, "running") }

// start starts the server at url and waits until it answers.
func (s server) start(ctx context.Context, report steps.Reporter, url string) (proc.Process, error) {
	var p proc.Process
	err := report.Do(ctx, "Starting the "+s.name+" at "+url, func(ctx context.Context) error {
		var err error
		p, err = proc.Start(proc.Program{
			Args: s.args(url), Env: s.env, Log: s.log, Record: s.record,
			Address: url, Version: s.version, Owner: s.home.mark(), Grace: endTimeout,
		})
		if err != nil {
			return err
		}
		return s.await(ctx, url)
	})
	return p, err
}

// await waits until the started server answers.
func (s server) await(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for !s.healthy(ctx, url) {
		if _, alive := proc.Find(s.record); !alive {
			return fmt.Errorf("the %s %w; the end of its log %s:\n%s", s.name, errEnded, s.log, logTail(s.log))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the %s does not answer at %s: see its log %s", s.name, url, s.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// startsTried is the number of starts when other programs take the chosen port.
const startsTried = 5

// startAt chooses an address and starts the server there. When another program,
// such as a second make run, takes the address first, it chooses again.
func (s server) startAt(ctx context.Context, report steps.Reporter, at site, occupant func(context.Context, string) string) (proc.Process, error) {
	for try := 1; ; try++ {
		url, err := at.choose(ctx, report, occupant)
		if err != nil {
			return proc.Process{}, err
		}
		p, err := s.start(ctx, report, url)
		if errors.Is(err, errEnded) && free(ctx, url) != nil && at.port.url() == "" && try < startsTried {
			report.Say("Port %s was taken by %s in the meantime: choosing another.", portOf(url), occupant(ctx, url))
			continue
		}
		return p, err
	}
}

func portOf(url string) string {
	_, port, _ := strings.Cut(hostOf(url), ":")
	return port
}

func logTail(log string) string {
	text, err := os.ReadFile(log) //nolint:gosec // ours.
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-600):]))
}

// digest returns a hash of the contents of files.
func digest(files ...string) (string, error) {
	sum := sha256.New()
	for _, name := range files {
		f, err := os.Open(name) //nolint:gosec // ours.
		if err != nil {
			return "", fmt.Errorf("%w: type make build first", err)
		}
		_, err = io.Copy(sum, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}
