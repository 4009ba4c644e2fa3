package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"theoneagents.app/agents/localstack/products/collector"
	"theoneagents.app/agents/shared/clock"
)

// look is the time between two looks at the file of spans. A look costs the system
// nothing: it asks no server.
const look = 2 * time.Millisecond

// An ends follows the spans of runs in the file of the stand-in collector, and knows when
// each traced run has ended. It is safe for concurrent use.
type ends struct {
	file string

	mu     sync.Mutex
	at     map[string]time.Time     // the end of the last turn, by trace
	stored map[string]time.Time     // the end that the record of a run has, by trace
	wait   map[string]chan struct{} // by trace, closed at the end
}

func follow(file string) *ends {
	return &ends{file: file, at: map[string]time.Time{}, stored: map[string]time.Time{}, wait: map[string]chan struct{}{}}
}

// expect makes the ends remember the end of the run of a trace, and returns a channel
// that is closed then.
func (e *ends) expect(trace string) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	ended := make(chan struct{})
	e.wait[trace] = ended
	return ended
}

// of returns the time at which the run of a trace ended.
func (e *ends) of(trace string) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.at[trace]
}

// read reads new spans until the context ends. The collector renames a full file.
func (e *ends) read(ctx context.Context) error {
	f, err := os.Open(e.file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	var rest []byte
	for clock.Sleep(ctx, look) == nil {
		text, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		rest = e.take(append(rest, text...))
		if len(text) > 0 {
			continue
		}
		moved, err := replaced(f, e.file)
		if err != nil {
			return err
		}
		if moved {
			next, err := os.Open(e.file)
			if err != nil {
				return err
			}
			_ = f.Close()
			f, rest = next, nil
		}
	}
	return nil
}

// replaced reports whether another file has the name of an open one.
func replaced(f *os.File, name string) (bool, error) {
	now, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // between two names
	}
	if err != nil {
		return false, err
	}
	opened, err := f.Stat()
	return err == nil && !os.SameFile(opened, now), err
}

// take reads whole lines and returns the rest.
func (e *ends) take(text []byte) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		line, rest, whole := bytes.Cut(text, []byte{'\n'})
		if !whole {
			return text
		}
		text = rest
		var s collector.Span
		if json.Unmarshal(line, &s) == nil {
			e.span(s)
		}
	}
}

// span notes the end of a run: that of its last turn, which ends after the end of the
// run was stored.
func (e *ends) span(s collector.Span) {
	ended := e.wait[s.Trace]
	if ended == nil {
		return
	}
	switch s.Name {
	case "turn":
		if s.End.After(e.at[s.Trace]) {
			e.at[s.Trace] = s.End
		}
	case "run":
		e.stored[s.Trace] = s.End
	}
	if stored, ok := e.stored[s.Trace]; ok && !e.at[s.Trace].Before(stored) {
		close(ended)
		delete(e.wait, s.Trace)
		delete(e.stored, s.Trace)
	}
}
