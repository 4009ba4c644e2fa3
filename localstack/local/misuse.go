package main

import (
	"errors"
	"fmt"
)

// A misuse is an error in the command line.
type misuse struct{ text string }

func (m *misuse) Error() string { return m.text }

func misusef(format string, args ...any) error { return &misuse{fmt.Sprintf(format, args...)} }

// errHelp is the error of a command that was called with -h.
var errHelp = errors.New("help was asked for")

// The exit codes.
const (
	exitFailed      = 1
	exitMisuse      = 2
	exitInterrupted = 130
)
