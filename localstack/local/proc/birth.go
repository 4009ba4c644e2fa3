package proc

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// errGone says that there is no such process.
var errGone = errors.New("no such process")

// birth returns the start time of a process, as a text that is only good for
// comparing.
func birth(pid int) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return birthByPS(pid)
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", errGone
	}
	// The second field is a name in parentheses, which may contain parentheses.
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " ")
	fields := strings.Fields(rest) // from the third field, the state, on
	const state, start = 0, 19
	if len(fields) <= start || fields[state] == "X" || fields[state] == "Z" && threads(pid) <= 1 {
		return "", errGone
	}
	return strings.TrimSpace(string(boot)) + " " + fields[start], nil
}

// threads counts the threads of a process. A process whose first thread has ended
// keeps its files and its port until its last thread ends.
func threads(pid int) int {
	tasks, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil {
		return 0
	}
	return len(tasks)
}

// birthByPS asks ps, on systems without /proc.
func birthByPS(pid int) (string, error) {
	out, err := exec.Command("ps", "-o", "state=,lstart=", "-p", strconv.Itoa(pid)).Output() //nolint:gosec,noctx // a number; it answers at once.
	if err != nil {
		return "", errGone
	}
	state, start, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if strings.HasPrefix(state, "Z") {
		return "", errGone
	}
	return strings.TrimSpace(start), nil
}
