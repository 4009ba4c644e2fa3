package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/local/proc"
)

// A home is the state folder of one local cloud: .local for make run, another
// for the tests.
type home string

func (h home) path(name ...string) string {
	return filepath.Join(append([]string{string(h)}, name...)...)
}

func (h home) outputs() string    { return h.path("outputs.json") }
func (h home) hubKey() string     { return h.path("hub.pem") }
func (h home) rootKey() string    { return h.path("root.pem") }
func (h home) deployment() string { return h.path("deployed.json") }
func (h home) ports() string      { return h.path("ports.json") }
func (h home) emulator() string   { return h.path("emulator.json") }
func (h home) products() string   { return h.path("products.json") }
func (h home) console() string    { return h.path("console.json") }

func (h home) emulatorData() string { return h.path("emulator") }
func (h home) productsData() string { return h.path("products") }
func (h home) traces() string       { return h.path("traces") }
func (h home) consoleData() string  { return h.path("console") }

func (h home) log(name string) string { return h.path("logs", name+".log") }

// mark identifies this local cloud among those of other checkouts; it is the
// path of its folder.
func (h home) mark() string {
	path, err := filepath.Abs(string(h))
	if err != nil {
		return string(h)
	}
	if direct, err := filepath.EvalSymlinks(path); err == nil {
		return direct
	}
	return path
}

// find returns the process that a record names, if it runs and belongs to this
// folder. The record in a copied folder names a process of the original.
func (h home) find(record string) (proc.Process, bool) {
	p, alive := proc.Find(record)
	return p, alive && h.owns(p)
}

func (h home) owns(p proc.Process) bool {
	if p.Owner == "" || p.Owner == h.mark() {
		return true
	}
	_, err := os.Stat(p.Owner)
	return errors.Is(err, fs.ErrNotExist) // the folder was moved here
}

// end ends the process that a record names, if it belongs to this folder, and
// removes the record.
func (h home) end(ctx context.Context, record string) (bool, error) {
	if _, ours := h.find(record); !ours {
		return false, proc.Forget(record)
	}
	return proc.Stop(ctx, record)
}

// flags returns the flag set of a command, with the state folder as a flag.
func flags(w world, name string) (*flag.FlagSet, *string) {
	f := flag.NewFlagSet("local "+name, flag.ContinueOnError)
	f.SetOutput(w.err)
	return f, f.String("state", ".local", "folder of the local cloud's state")
}

// parse reads the flags of a command without other arguments.
func parse(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		return asked(err)
	}
	if f.NArg() > 0 {
		return misusef("%s: unexpected argument %q", f.Name(), f.Arg(0))
	}
	return nil
}

// asked turns an error of package flag into a misuse, and -h into errHelp.
func asked(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return errHelp
	}
	return &misuse{""} // package flag has printed the error and the flags
}

// errNothingRuns is the error of a folder without outputs.
var errNothingRuns = errors.New("no local cloud runs here: type make run first")

// readOutputs returns the addresses of this folder's system. It fails when the
// system has ended, also when another checkout's emulator answers at its port.
func (h home) readOutputs(ctx context.Context, w world) (cloud.Outputs, error) {
	o, err := cloud.ReadOutputs(h.outputs())
	if errors.Is(err, fs.ErrNotExist) {
		return o, errNothingRuns
	}
	if err != nil {
		return o, fmt.Errorf("%w: make run writes the file again", err)
	}
	if err := o.Present(ctx, w.http); err != nil {
		return o, err
	}
	return o, nil
}

// lock lets one command at a time change the local cloud. The lock ends with the
// process, even with a killed one.
func (h home) lock() (release func(), err error) {
	if err := os.MkdirAll(string(h), 0o750); err != nil {
		return nil, h.denied(err)
	}
	f, err := os.OpenFile(h.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, h.denied(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another make run, test, stop or reset is running in %s: wait until it has ended", h)
	}
	return func() { _ = f.Close() }, nil
}

// denied turns a permission error into one that names the owner of the folder.
func (h home) denied(err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	owner := "another user"
	if info, err := os.Stat(string(h)); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			owner = "user " + strconv.Itoa(int(stat.Uid))
			if u, err := user.LookupId(strconv.Itoa(int(stat.Uid))); err == nil {
				owner = u.Username
			}
		}
	}
	return fmt.Errorf("this user may not write to %s, which belongs to %s: work as %s, or let %s remove it", h, owner, owner, owner)
}
