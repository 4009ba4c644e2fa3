package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"theoneagents.app/agents/localstack/local/cloud"
)

// A home is the folder in which a local cloud keeps its state. Each has a cloud
// of its own: make run has .local, and the tests have another.
type home string

func (h home) path(name ...string) string {
	return filepath.Join(append([]string{string(h)}, name...)...)
}

func (h home) outputs() string    { return h.path("outputs.json") }
func (h home) hubKey() string     { return h.path("hub.pem") }
func (h home) deployment() string { return h.path("deployed.json") }
func (h home) emulator() string   { return h.path("emulator.json") }
func (h home) products() string   { return h.path("products.json") }

func (h home) log(name string) string { return h.path("logs", name+".log") }

// flags returns the flags of a command, the state folder among them.
func flags(w world, name string) (*flag.FlagSet, *string) {
	f := flag.NewFlagSet("local "+name, flag.ContinueOnError)
	f.SetOutput(w.err)
	return f, f.String("state", ".local", "folder of the local cloud's state")
}

// errNothingRuns says that there are no outputs.
var errNothingRuns = errors.New("nothing runs here yet: type make run first")

func (h home) readOutputs() (cloud.Outputs, error) {
	o, err := cloud.ReadOutputs(h.outputs())
	if errors.Is(err, fs.ErrNotExist) {
		return o, errNothingRuns
	}
	return o, err
}

// lock makes sure that one command at a time changes the local cloud. The lock
// ends with the process, however that ends.
func (h home) lock() (release func(), err error) {
	if err := os.MkdirAll(string(h), 0o750); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(h.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another make run, test, stop or reset is at work in %s: wait until it has ended", h)
	}
	return func() { _ = f.Close() }, nil
}
