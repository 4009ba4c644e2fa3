package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"theoneagents.app/agents/localstack/local/proc"
	"theoneagents.app/agents/shared/otlp"
)

// The interval of writing changes, and the largest part of the time that writing
// may take.
const (
	writeEvery = time.Second
	writeShare = 20
)

// A keeper saves the world in a folder, so that the next start continues with it.
type keeper struct {
	folder  string
	world   *world
	log     *slog.Logger
	changed atomic.Bool
	writing sync.Mutex
	release func()
}

// A memory is the saved data.
type memory struct {
	Calls  any `json:"calls"`
	Desk   any `json:"desk"`
	Model  any `json:"model"`
	Outbox any `json:"outbox"`
}

func (o *world) memory() memory {
	return memory{Calls: o.calls, Desk: o.desk, Model: o.model, Outbox: o.outbox}
}

// keep restores o from a folder and returns the keeper that saves it there. One
// program at a time may use a folder.
func (o *world) keep(folder string) (*keeper, error) {
	k := &keeper{folder: folder, world: o, log: o.log}
	release, err := proc.Hold(k.marker())
	if errors.Is(err, proc.ErrHeld) {
		return nil, fmt.Errorf("other products use the data in %s: end them first", folder)
	}
	if err != nil {
		return nil, err
	}
	k.release = release
	text, err := os.ReadFile(k.file())
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, err
	}
	all := o.memory()
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s cannot be read (%w): make reset deletes it", k.file(), err)
	}
	return k, nil
}

func (k *keeper) file() string   { return filepath.Join(k.folder, "kept.json") }
func (k *keeper) marker() string { return filepath.Join(k.folder, "running") }

// watch marks the data as changed at every request.
func (k *keeper) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.URL.Path != otlp.Path { // spans have a file of their own
			k.changed.Store(true)
		}
	})
}

// run saves changes until ctx ends.
func (k *keeper) run(ctx context.Context, now func() time.Time) {
	pause := writeEvery
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if !k.changed.Swap(false) {
			continue
		}
		began := now()
		if err := k.write(); err != nil {
			k.changed.Store(true)
			k.log.ErrorContext(ctx, "keep", "err", err)
		}
		pause = max(writeEvery, writeShare*now().Sub(began))
	}
}

// write saves all data atomically.
func (k *keeper) write() error {
	k.writing.Lock()
	defer k.writing.Unlock()

	text, err := json.Marshal(k.world.memory())
	if err != nil {
		return err
	}
	if err := os.WriteFile(k.file()+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(k.file()+".new", k.file())
}

// close saves all data a last time.
func (k *keeper) close() error {
	defer k.release()
	if err := k.write(); err != nil {
		return err
	}
	return os.Remove(k.marker())
}
