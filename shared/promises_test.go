package shared_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// entry matches the tests of one folder in a row of promises.
	entry = regexp.MustCompile("^`([a-z/-]+)` ((?:Test|Fuzz)[A-Za-z0-9]+(?:, (?:Test|Fuzz)[A-Za-z0-9]+)*)$")
	// sentence matches a story of a folder in a row of promises.
	sentence = regexp.MustCompile(`^\x60([a-z/-]+)\x60 "([^"]+)"$`)
	// declared matches the tests of a file, and told its stories.
	declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\(`)
	told     = regexp.MustCompile(`(?m)^story\(\s*"([^"]+)"`)
)

// testsOf returns the names of the tests and stories of a folder, which is relative to
// the project.
func testsOf(folder string) (map[string]bool, error) {
	names := map[string]bool{}
	for pattern, name := range map[string]*regexp.Regexp{"*_test.go": declared, "*.story.ts": told} {
		files, err := filepath.Glob(filepath.Join("..", folder, pattern))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			for _, m := range name.FindAllStringSubmatch(string(text), -1) {
				names[m[1]] = true
			}
		}
	}
	return names, nil
}

// promisesIn returns the number of promises of a page, and its faults: rows that
// are not whole, and tests that do not exist.
func promisesIn(page string, tests func(folder string) (map[string]bool, error)) (n int, faults []string) {
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| promise |") {
			continue
		}
		n++
		if len(cells) != 3 {
			faults = append(faults, fmt.Sprintf("%d cells, want a promise, its tests and what is not covered: %s", len(cells), line))
			continue
		}
		for part := range strings.SplitSeq(strings.TrimSpace(cells[1]), "<br>") {
			var wanted []string
			m := entry.FindStringSubmatch(part)
			if m != nil {
				wanted = strings.Split(m[2], ", ")
			} else if m = sentence.FindStringSubmatch(part); m != nil {
				wanted = m[2:]
			} else {
				faults = append(faults, fmt.Sprintf("%q is not a folder and its tests", part))
				continue
			}
			names, err := tests(m[1])
			if err != nil {
				faults = append(faults, err.Error())
			}
			for _, name := range wanted {
				if !names[name] {
					faults = append(faults, m[1]+" has no test "+name)
				}
			}
		}
	}
	return n, faults
}

func TestEveryPromiseNamesTestsThatExist(t *testing.T) {
	t.Parallel()

	page, err := os.ReadFile("PROMISES.md")
	if err != nil {
		t.Fatal(err)
	}
	n, faults := promisesIn(string(page), testsOf)
	for _, fault := range faults {
		t.Error(fault)
	}
	if n < 30 {
		t.Errorf("%d promises, want at least 30", n)
	}
}

func TestAPromiseWithoutATestIsFound(t *testing.T) {
	t.Parallel()

	tests := func(folder string) (map[string]bool, error) {
		return map[string]bool{"TestA": folder == "shared/x", "a is b, always": folder == "shared/x"}, nil
	}
	for row, want := range map[string]int{
		"| p | `shared/x` TestA | – |":                       0,
		"| p | `shared/x` TestA<br>`shared/x` TestA | – |":   0,
		"| p | `shared/x` \"a is b, always\" | – |":          0,
		"| p | `shared/x` \"a is c\" | – |":                  1,
		"| p | `shared/x` TestB | – |":                       1,
		"| p | `shared/y` TestA, TestB | – |":                2,
		"| p | TestA | – |":                                  1,
		"| p |  | – |":                                       1,
		"| p | by hand | – |":                                1,
		"| p | `shared/x` TestA and more | – |":              1,
		"| p | `shared/x` TestA |":                           1,
		"| promise | tests | not covered |\n|---|---|---|\n": 0,
		"text about | things\n":                              0,
	} {
		if _, faults := promisesIn(row+"\n", tests); len(faults) != want {
			t.Errorf("%s: %q, want %d faults", row, faults, want)
		}
	}
}
