package proc

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// With returns the ids of the processes that run a program of that name with
// all these variables ("NAME=value") in their environment. It finds none on
// systems without /proc, and leaves out processes of other users.
func With(program string, variables ...string) []int {
	var ids []int
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	for _, folder := range folders {
		id, err := strconv.Atoi(filepath.Base(folder))
		if err != nil || !runs(folder, program) {
			continue
		}
		env, err := os.ReadFile(filepath.Join(folder, "environ")) //nolint:gosec // of a process.
		if err != nil {
			continue // it has ended, or belongs to another user
		}
		has := strings.Split(string(env), "\x00")
		if !slices.ContainsFunc(variables, func(v string) bool { return !slices.Contains(has, v) }) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func runs(folder, program string) bool {
	cmd, err := os.ReadFile(filepath.Join(folder, "cmdline")) //nolint:gosec // of a process.
	if err != nil {
		return false
	}
	first, _, _ := bytes.Cut(cmd, []byte{0})
	return filepath.Base(string(first)) == program
}
