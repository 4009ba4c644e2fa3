package proc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrHeld says that another process holds a file.
var ErrHeld = errors.New("another process holds it")

// Hold locks the file at path for this process until release, or until the
// process ends, even killed. The file then names the process. Hold returns
// ErrHeld when another process has the lock.
func Hold(path string) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator's path.
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", path, ErrHeld)
	}
	if err := errors.Join(f.Truncate(0), only(f.WriteString(strconv.Itoa(os.Getpid())))); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { unlock(f); _ = f.Close() }, nil
}

// unlock gives the lock of a file back. Closing the file is not enough: a program
// that is being started has a copy of it for a moment.
func unlock(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

func only(_ int, err error) error { return err }

// Holder returns the process that holds the file at path, if one does.
func Holder(path string) (Process, bool) {
	f, err := os.Open(path) //nolint:gosec // the operator's path.
	if err != nil {
		return Process{}, false
	}
	defer func() { _ = f.Close() }()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		unlock(f)
		return Process{}, false
	}
	text, err := os.ReadFile(path) //nolint:gosec // see above.
	if err != nil {
		return Process{}, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return Process{}, false
	}
	born, err := birth(pid)
	return Process{PID: pid, Birth: born}, err == nil
}

// End ends a process and its children, as Stop does.
func (p Process) End(ctx context.Context, patience time.Duration) error {
	p.Grace = patience
	return p.end(ctx)
}

// Forget removes a record without ending the process.
func Forget(record string) error {
	if err := os.Remove(record); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
