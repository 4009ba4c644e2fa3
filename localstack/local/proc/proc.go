// Package proc starts programs that outlive their starter, and ends exactly these
// again. A record on disk names the process by id and start time, so that a later
// process with the same id is left alone.
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

// The default time for a program to end by itself, and the polling interval.
const (
	grace = 5 * time.Second
	tick  = 20 * time.Millisecond
)

// A Program describes a program to start, and the file that records it.
type Program struct {
	Args   []string // the program and its arguments
	Env    []string
	Log    string // file for what it prints; each start begins a new one
	Record string // file that records the process

	Address string        // where it answers
	Version string        // differs between builds
	Owner   string        // identifies the local cloud that it belongs to
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

// Start starts p in a session of its own, so that it outlives the caller, and
// records it.
func Start(p Program) (Process, error) {
	log, err := create(p.Log)
	if err != nil {
		return Process{}, err
	}
	defer func() { _ = log.Close() }() // the program has its own handle

	cmd := exec.Command(p.Args[0], p.Args[1:]...) //nolint:gosec,noctx // ours to choose, and it is to outlive any context.
	cmd.Env, cmd.Stdout, cmd.Stderr = p.Env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return Process{}, fmt.Errorf("start %s: %w", p.Args[0], err)
	}
	go func() { _ = cmd.Wait() }() // otherwise it would stay a zombie until this process ends

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

// Stop ends the recorded process and its children and removes the record. It
// sends SIGTERM, and SIGKILL after some seconds. It reports whether the process
// was running.
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
	_ = syscall.Kill(p.PID, syscall.SIGTERM) // an error means that it has ended by itself
	if !p.gone(ctx, cmp.Or(p.Grace, grace)) {
		_ = syscall.Kill(-p.PID, syscall.SIGKILL)
		if !p.gone(ctx, grace) {
			return fmt.Errorf("process %d does not end", p.PID)
		}
	}
	// The group that it leads contains its children and no other process.
	_ = syscall.Kill(-p.PID, syscall.SIGKILL)
	return nil
}

// gone waits for the end of p, up to the limit, and reports whether p ended.
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
