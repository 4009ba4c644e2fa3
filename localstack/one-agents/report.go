package main

import (
	"encoding/xml"
	"io"
	"os"
	"strings"

	"theoneagents.app/agents/shared/fault"
)

// exit returns the exit code for the report.
func (r Report) exit() int {
	switch {
	case r.Faults > 0:
		return exitInvalid
	case r.Failed > 0:
		return exitFailed
	}
	return exitOK
}

// print writes the report for people.
func (r Report) print(w io.Writer) {
	for _, a := range r.Agents {
		for _, f := range a.Faults {
			say(w, "INVALID %s: %s", a.File, line(f))
		}
		for _, t := range a.Tests {
			mark := "ok     "
			if !t.Passed {
				mark = "FAILED "
			}
			say(w, "%s %s: %s", mark, a.File, t.Name)
			for _, d := range t.Differences {
				say(w, "        %s", line(d))
			}
		}
	}
	say(w, "%d definitions, %d tests, %d failed, %d faults", len(r.Agents), r.Tests, r.Failed, r.Faults)
}

func line(d fault.Detail) string {
	if d.Path == "" {
		return d.Message
	}
	return d.Path + ": " + d.Message
}

// The elements of a JUnit report.
type (
	suites struct {
		XMLName xml.Name `xml:"testsuites"`
		Suites  []suite  `xml:"testsuite"`
	}
	suite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Cases    []suiteCase `xml:"testcase"`
	}
	suiteCase struct {
		Class   string   `xml:"classname,attr"`
		Name    string   `xml:"name,attr"`
		Failure *problem `xml:"failure,omitempty"`
		Error   *problem `xml:"error,omitempty"`
	}
	problem struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes the report to a file that CI systems show. A fault of a definition
// or a fixture is an error of its file.
func writeJUnit(file string, r Report) error {
	var all suites
	for _, a := range r.Agents {
		s := suite{Name: a.File, Cases: []suiteCase{}}
		if len(a.Faults) > 0 {
			s.Errors++
			s.Cases = append(s.Cases, suiteCase{Class: a.File, Name: "is valid", Error: problemOf("invalid", a.Faults)})
		}
		for _, t := range a.Tests {
			c := suiteCase{Class: a.File, Name: t.Name}
			if !t.Passed {
				s.Failures++
				c.Failure = problemOf("the result is not as expected", t.Differences)
			}
			s.Cases = append(s.Cases, c)
		}
		s.Tests = len(s.Cases)
		all.Suites = append(all.Suites, s)
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append([]byte(xml.Header), append(text, '\n')...), 0o600)
}

func problemOf(message string, details []fault.Detail) *problem {
	lines := make([]string, len(details))
	for i, d := range details {
		lines[i] = line(d)
	}
	return &problem{Message: message, Text: strings.Join(lines, "\n")}
}
