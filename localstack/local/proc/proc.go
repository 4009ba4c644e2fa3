// Package proc starts programs that outlive the one that starts them, and ends
// exactly those again. A record on disk says which process it was; the time of
// its birth tells it from a later one with the same number.
package proc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// How long a program may take to end by itself unless it says otherwise, and how
// often to look.
const (
	grace = 5 * time.Second
	tick  = 20 * time.Millisecond
)

// A Program is what to start and where to remember it.
type Program struct {
	Args   []string // the program and its arguments
	Env    []string
	Log    string // file for what it prints; each start begins a new one
	Record string // file that remembers the process

	Address string        // where it answers
	Version string        // tells one build of it from another
	Owner   string        // tells whose it is
	Grace   time.Duration // how long it may take to end by itself; 0 means some seconds
}

// A Process is a program that was started.
type Process struct {
	PID     int           `json:"pid"`
	Birth   string        `json:"birth"`
	Address string        `json:"address"`
	Version string        `json:"version"`
	Owner   string        `json:"owner,omitempty"`
	Grace   time.Duration `json:"grace,omitempty"`
}

// Start starts p in a session of its own, so that it lives on, and records it.
func Start(p Program) (Process, error) {
	log, err := create(p.Log)
	if err != nil {
		return Process{}, err
	}
	defer func() { _ = log.Close() }() // the program has it now

	cmd := exec.Command(p.Args[0], p.Args[1:]...) //nolint:gosec,noctx // ours to choose, and it is to outlive any context.
	cmd.Env, cmd.Stdout, cmd.Stderr = p.Env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return Process{}, fmt.Errorf("start %s: %w", p.Args[0], err)
	}
	go func() { _ = cmd.Wait() }() // else it would stay a zombie as long as we live

	started := Process{PID: cmd.Process.Pid, Address: p.Address, Version: p.Version, Owner: p.Owner, Grace: p.Grace}
	if started.Birth, err = birth(started.PID); err != nil {
		return Process{}, fmt.Errorf("%s ended at once: see %s", p.Args[0], p.Log)
	}
	return started, save(p.Record, started)
}

// Find returns the recorded process, and whether it still runs.
func Find(record string) (Process, bool) {
	text, err := os.ReadFile(record) //nolint:gosec // the operator's path.
	if err != nil {
		return Process{}, false
	}
	var p Process
	if err := json.Unmarshal(text, &p); err != nil || p.PID <= 1 {
		return Process{}, false
	}
	return p, p.alive()
}

// Stop ends the recorded process, and what it started, and forgets it: kindly
// at first, by force after some seconds. It returns whether there was one.
func Stop(ctx context.Context, record string) (bool, error) {
	p, alive := Find(record)
	if alive {
		if err := p.end(ctx); err != nil {
			return false, err
		}
	}
	if err := os.Remove(record); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return alive, fmt.Errorf("forget process %d: %w", p.PID, err)
	}
	return alive, nil
}

func (p Process) alive() bool {
	born, err := birth(p.PID)
	return err == nil && born == p.Birth
}

func (p Process) end(ctx context.Context) error {
	_ = syscall.Kill(p.PID, syscall.SIGTERM) // it may be gone meanwhile, which is as good
	if !p.gone(ctx, cmp.Or(p.Grace, grace)) {
		_ = syscall.Kill(-p.PID, syscall.SIGKILL)
		if !p.gone(ctx, grace) {
			return fmt.Errorf("process %d does not end", p.PID)
		}
	}
	// What it started is in the group that it leads, and nothing else is.
	_ = syscall.Kill(-p.PID, syscall.SIGKILL)
	return nil
}

// gone waits until p is no more, for a while.
func (p Process) gone(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for p.alive() {
		select {
		case <-ctx.Done():
			return !p.alive()
		case <-time.After(tick):
		}
	}
	return true
}

func save(record string, p Process) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	f, err := create(record + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(record+".new", record)
}

func create(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	return os.Create(path) //nolint:gosec // the operator's path.
}
