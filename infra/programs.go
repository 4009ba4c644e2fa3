package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// A processor is the machine of a program, and the name that Go and make dist have for
// it.
type processor struct {
	machine elf.Machine
	arch    string
}

// processors returns those of Lambda by the setting architecture.
func processors() map[string]processor {
	return map[string]processor{arm64: {elf.EM_AARCH64, "arm64"}, x8664: {elf.EM_X86_64, "amd64"}}
}

// checkPrograms refuses programs of another processor than that of the setting
// architecture: on AWS every invocation of them would fail.
func checkPrograms(s settings) error {
	if s.Programs == hostPrograms {
		return nil
	}
	want := processors()[s.Architecture]
	mend := "type make dist ARCH=" + want.arch
	for _, f := range plan() {
		name := filepath.Join(s.Dist, f.name, "bootstrap")
		program, err := elf.Open(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("there is no program %s: %s", name, mend)
		case err != nil:
			return fmt.Errorf("%s is not a program for linux/%s (%w): %s", name, want.arch, err, mend)
		}
		machine := program.Machine
		_ = program.Close() // it was only read
		if machine == want.machine {
			continue
		}
		for architecture, other := range processors() {
			if machine == other.machine {
				return fmt.Errorf("%s is a program for linux/%s, but the setting architecture is %s: %s, or set architecture to %s",
					name, other.arch, s.Architecture, mend, architecture)
			}
		}
		return fmt.Errorf("%s is a program for the machine %v, but the setting architecture is %s: %s", name, machine, s.Architecture, mend)
	}
	return nil
}
