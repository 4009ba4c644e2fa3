package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"theoneagents.app/agents/localstack/local/proc"
)

// Names of processes that are no function.
const (
	emulator = "emulator"
	products = "products"
)

// A snapshot is the state of the system's processes at one moment. It is empty without
// /proc.
type snapshot struct {
	cpu   map[int]time.Duration // by process
	names map[int]string
	bytes map[string]int // proportional set size, by name
}

// processes returns the processes of the system by id: the functions that its emulator
// runs, the emulator, the products.
func (b *bench) processes() map[int]string {
	names := map[int]string{}
	for output, function := range b.Outputs.Stack {
		short, isFunction := strings.CutSuffix(output, "FunctionName")
		if !isFunction {
			continue
		}
		for _, id := range proc.With("bootstrap", "AWS_LAMBDA_FUNCTION_NAME="+function, "AWS_ENDPOINT_URL="+b.Outputs.Endpoint) {
			names[id] = strings.ToLower(short)
		}
	}
	for _, name := range []string{emulator, products} {
		if p, runs := proc.Find(filepath.Join(b.State, name+".json")); runs {
			names[p.PID] = name
		}
	}
	return names
}

// processor returns the state of the processes without their memory.
func (b *bench) processor() snapshot {
	s := snapshot{cpu: map[int]time.Duration{}, names: b.processes()}
	for id := range s.names {
		s.cpu[id] = processorTime(id)
	}
	return s
}

// memory returns the memory of the processes.
func (b *bench) memory() snapshot {
	s := snapshot{names: b.processes(), bytes: map[string]int{}}
	for id, name := range s.names {
		s.bytes[name] += memoryOf(id)
	}
	return s
}

// since returns the processor time between two snapshots by name. That of a process
// which ended in between is missing.
func (s snapshot) since(before snapshot) map[string]time.Duration {
	used := map[string]time.Duration{}
	for id, name := range s.names {
		used[name] += s.cpu[id] - before.cpu[id]
	}
	return used
}

// functions returns the number of processes that are functions, and their memory.
func (s snapshot) functions() (n, bytes int) {
	for _, name := range s.names {
		if name != emulator && name != products {
			n++
		}
	}
	for name, b := range s.bytes {
		if name != emulator && name != products {
			bytes += b
		}
	}
	return n, bytes
}

// all returns the memory of all processes.
func (s snapshot) all() (bytes int) {
	for _, name := range slices.Sorted(maps.Keys(s.bytes)) {
		bytes += s.bytes[name]
	}
	return bytes
}

// processorTime returns how long the threads of a process have run.
func processorTime(id int) (sum time.Duration) {
	threads, err := filepath.Glob("/proc/" + strconv.Itoa(id) + "/task/*/schedstat")
	if err != nil {
		return 0
	}
	for _, file := range threads {
		text, err := os.ReadFile(file) //nolint:gosec // of a process.
		if err != nil {
			continue // the thread has ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err == nil {
			sum += time.Duration(n)
		}
	}
	return sum
}

// memoryOf returns the proportional set size of a process in bytes: its own pages, and
// its part of those that it shares.
func memoryOf(id int) int {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(id) + "/smaps_rollup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Pss:" {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}
