package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"theoneagents.app/agents/localstack/local/proc"
	"theoneagents.app/agents/localstack/local/steps"
)

// A server is a program of ours that answers at a local address.
type server struct {
	name    string
	record  string // file that remembers its process
	log     string
	version string // tells one build of it from another
	env     []string
	args    func(url string) []string
	healthy func(ctx context.Context, url string) bool
}

// running returns the process of an earlier start, if that is still of use: the
// same build, at the wanted address (an empty one is any), and answering. One
// that is of no use is ended.
func (s server) running(ctx context.Context, report steps.Reporter, want string) (proc.Process, bool, error) {
	p, alive := proc.Find(s.record)
	switch {
	case !alive:
		return p, false, nil
	case want != "" && p.Address != want:
		return p, false, fmt.Errorf("the %s of this project already runs at %s, not at %s: type make stop first", s.name, p.Address, want)
	case p.Version != s.version:
		report.Say("There is a newer build of the %s: starting it again.", s.name)
	case !s.healthy(ctx, p.Address):
		report.Say("An earlier start of the %s did not finish: starting it again.", s.name)
	default:
		return p, true, nil
	}
	_, err := proc.Stop(ctx, s.record)
	return p, false, err
}

// start starts the server at url and waits until it answers.
func (s server) start(ctx context.Context, report steps.Reporter, url string) (proc.Process, error) {
	var p proc.Process
	err := report.Do(ctx, "Starting the "+s.name+" at "+url, func(ctx context.Context) error {
		var err error
		p, err = proc.Start(proc.Program{
			Args: s.args(url), Env: s.env, Log: s.log, Record: s.record, Address: url, Version: s.version,
		})
		if err != nil {
			return err
		}
		return s.await(ctx, url)
	})
	return p, err
}

// await waits until a server that was just started answers.
func (s server) await(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for !s.healthy(ctx, url) {
		if _, alive := proc.Find(s.record); !alive {
			return fmt.Errorf("the %s ended at once; its last words, from %s:\n%s", s.name, s.log, lastWords(s.log))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the %s does not answer at %s: look into %s", s.name, url, s.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func lastWords(log string) string {
	text, err := os.ReadFile(log) //nolint:gosec // ours.
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-600):])
}

// address returns the URL of a local port; for port 0, which stands for any,
// it is empty.
func address(port int) string {
	if port == 0 {
		return ""
	}
	return "http://127.0.0.1:" + strconv.Itoa(port)
}

// or returns url, or the address of a free port when that is empty.
func or(ctx context.Context, url string) (string, error) {
	if url != "" {
		return url, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String(), nil
}

// digest returns a text that changes with the contents of files.
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
