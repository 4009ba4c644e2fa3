package main

import (
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/definition"
)

// capable returns the capabilities of all definitions of a folder by file, and the
// faults of its invalid ones.
func capable(dir string) (map[string]definition.Capabilities, Report, error) {
	files := os.DirFS(dir)
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil, Report{}, err
	}
	c, err := catalog.Load(events.Files)
	if err != nil {
		return nil, Report{}, err
	}
	rules := definition.Rules{Catalog: c}
	all, invalid := map[string]definition.Capabilities{}, Report{}
	for _, name := range names {
		if strings.HasSuffix(name, suffix) {
			continue
		}
		d, err := read(files, name, rules)
		if err != nil {
			faults := details(err)
			invalid.Agents = append(invalid.Agents, Agent{File: dir + "/" + name, Faults: faults})
			invalid.Faults += len(faults)
			continue
		}
		all[name] = rules.Capabilities(d)
	}
	return all, invalid, nil
}

// capabilities writes what the definitions of a folder can do.
func capabilities(out, faults io.Writer, dir string) int {
	all, invalid, err := capable(dir)
	if err != nil || invalid.Faults > 0 {
		return refused(faults, err, invalid)
	}
	return written(out, faults, all)
}

// difference writes what the definitions of a folder can do that those of an older
// folder cannot, and the reverse. It returns exitFailed when there is anything wider.
func difference(out, faults io.Writer, older, newer string, asJSON bool) int {
	before, invalid, err := capable(older)
	if err != nil || invalid.Faults > 0 {
		return refused(faults, err, invalid)
	}
	after, invalid, err := capable(newer)
	if err != nil || invalid.Faults > 0 {
		return refused(faults, err, invalid)
	}
	names := make([]string, 0, len(before)+len(after))
	for name := range before {
		names = append(names, name)
	}
	for name := range after {
		names = append(names, name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	changes, code := map[string]definition.Change{}, exitOK
	for _, name := range names {
		c := after[name].After(before[name])
		if len(c.Wider)+len(c.Narrower) > 0 {
			changes[name] = c
		}
		if len(c.Wider) > 0 {
			code = exitFailed
		}
	}
	if asJSON {
		return max(code, written(out, faults, changes))
	}
	for _, name := range names {
		for _, d := range changes[name].Wider {
			say(out, "WIDER    %s: %s: %s, before: %s", name, d.What, d.Now, d.Was)
		}
		for _, d := range changes[name].Narrower {
			say(out, "narrower %s: %s: %s, before: %s", name, d.What, d.Now, d.Was)
		}
	}
	return code
}

func refused(faults io.Writer, err error, invalid Report) int {
	if err != nil {
		say(faults, "%v", err)
	}
	invalid.print(faults)
	return exitInvalid
}

func written(out, faults io.Writer, v any) int {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		say(faults, "%v", err)
		return exitInvalid
	}
	return exitOK
}
