package main

import (
	"errors"
	"fmt"
)

// A misuse says what is wrong with what was typed.
type misuse struct{ text string }

func (m *misuse) Error() string { return m.text }

func misusef(format string, args ...any) error { return &misuse{fmt.Sprintf(format, args...)} }

// errHelp says that only help was asked for.
var errHelp = errors.New("help was asked for")

// The exit codes.
const (
	exitFailed      = 1
	exitMisuse      = 2
	exitInterrupted = 130
)
