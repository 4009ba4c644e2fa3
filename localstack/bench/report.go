package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// times are the times of one phase.
type times []time.Duration

// quantile returns the smallest time that at least the share q of all times do not
// exceed.
func (t times) quantile(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(t))
	n := int(q*float64(len(sorted)) + 0.999_999)
	return sorted[min(max(n, 1), len(sorted))-1]
}

// A report has all measurements.
type report struct {
	alone, decided  times
	rate            float64 // runs in a second, several at a time
	runs, busyRuns  int     // while the processor time was measured
	processor, busy map[string]time.Duration
	calls           int
	read, write     float64
	idle, flooded   snapshot
	flood           time.Duration
}

// A row is a line of the table: a figure now, in release 0.2, and the goal.
type row struct{ name, now, before, goal string }

// rows returns the rows of all phases that have ended.
func (r *report) rows() (rows []row) {
	add := func(name, now, before, goal string) { rows = append(rows, row{name, now, before, goal}) }
	if r.runs > 0 {
		n := float64(r.runs)
		add("event to end, one at a time: p50 / p99 / slowest", r.alone.String(), "21 / 34 ms", "9 / 18 ms")
		add("calls of AWS of a run", fmt.Sprintf("%.1f", float64(r.calls)/n), "16", "7")
		add("write / read units of a run", fmt.Sprintf("%.1f / %.1f", r.write/n, r.read/n), "16 / 8", "9 / 4")
	}
	if r.busyRuns > 0 {
		add("runs a second, several at a time", fmt.Sprintf("%.0f", r.rate), "44", "110")
	}
	if len(r.decided) > 0 {
		add("decision to end: p50 / p99 / slowest", r.decided.String(), "17 ms", "8 ms")
	}
	if r.flood > 0 {
		add("time of the burst", fmt.Sprintf("%.1f s", r.flood.Seconds()), "20 s", "")
	}
	if len(r.idle.names) > 0 { // there is /proc
		rows = append(rows, r.costs()...)
	}
	return rows
}

// costs returns the rows about processor time and memory.
func (r *report) costs() (rows []row) {
	add := func(name, now, before, goal string) { rows = append(rows, row{name, now, before, goal}) }
	if r.runs > 0 {
		add("processor time of a run in our functions", perRun(functions(r.processor), r.runs), "7–9 ms", "3 ms")
		for _, name := range slices.Sorted(maps.Keys(r.processor)) {
			if used := r.processor[name]; used/time.Duration(r.runs) >= worthARow {
				add("… "+name, perRun(used, r.runs), "", "")
			}
		}
	}
	if r.busyRuns > 0 {
		add("… our functions, several at a time", perRun(functions(r.busy), r.busyRuns), "9 ms", "")
		add("… emulator, several at a time", perRun(r.busy[emulator], r.busyRuns), "23 ms", "")
	}
	add("memory (PSS) at the beginning", r.idle.String(), "113 MB", "100 MB")
	if r.flood > 0 {
		add("memory (PSS) after the burst", r.flooded.String(), "5 GB", "1 GB")
	}
	return rows
}

// worthARow is the processor time of a run for which a process gets a row.
const worthARow = 100 * time.Microsecond

func perRun(used time.Duration, runs int) string {
	return milliseconds(used/time.Duration(runs)) + " ms"
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }

func (t times) String() string {
	return fmt.Sprintf("%s / %s / %s ms", milliseconds(t.quantile(0.5)), milliseconds(t.quantile(0.99)), milliseconds(t.quantile(1)))
}

func (s snapshot) String() string {
	n, bytes := s.functions()
	return fmt.Sprintf("%d MB of %d functions, %d MB in all", bytes>>20, n, s.all()>>20)
}

// print prints the table, in Markdown.
func (r *report) print(out io.Writer) error {
	var b strings.Builder
	b.WriteString("| measured | now | 0.2 | goal |\n|---|---:|---:|---:|\n")
	for _, row := range r.rows() {
		_, _ = fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", row.name, row.now, row.before, row.goal)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// into writes the table into a file, in the place of the one between two comments.
func (r *report) into(file string) error {
	const begin, end = "<!-- make bench -->\n", "<!-- end -->\n"
	text, err := os.ReadFile(file) //nolint:gosec // the operator's path.
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s has no lines %q and %q, between which the table would be", file, begin, end)
	}
	var table strings.Builder
	if err := r.print(&table); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(before+begin+table.String()+end+after), 0o600) //nolint:gosec // the operator's path.
}

// functions returns the processor time of our functions.
func functions(used map[string]time.Duration) (sum time.Duration) {
	for name, d := range used {
		if name != emulator && name != products {
			sum += d
		}
	}
	return sum
}
