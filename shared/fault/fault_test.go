package fault_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/fault"
)

var errGone = fault.New(fault.Missing, "thing_not_found", "No such thing.")

func TestACopyMatchesTheDeclaredFault(t *testing.T) {
	t.Parallel()

	other := fault.New(fault.Missing, "other_not_found", "No such thing.")
	for name, err := range map[string]error{
		"itself":         errGone,
		"said":           errGone.Sayf("No thing %d.", 5),
		"with a cause":   errGone.Because(io.EOF),
		"naming details": errGone.Naming([]fault.Detail{{Path: "a", Message: "b"}}),
		"wrapped":        fmt.Errorf("look: %w", errGone.Sayf("No.").Because(io.EOF)),
		"joined":         errors.Join(io.EOF, errGone),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if !errors.Is(err, errGone) {
				t.Errorf("%v is not the fault", err)
			}
			if errors.Is(err, other) {
				t.Errorf("%v is another fault", err)
			}
			if got := fault.From(err).Code; got != "thing_not_found" {
				t.Errorf("From has the code %q", got)
			}
		})
	}
	if errGone.Is(io.EOF) {
		t.Error("a plain error matches a fault")
	}
	if !errors.Is(errGone.Because(io.EOF), io.EOF) {
		t.Error("the cause is not found")
	}
}

func TestChangingACopyLeavesTheDeclaredFault(t *testing.T) {
	t.Parallel()

	e := fault.New(fault.Invalid, "bad", "Bad.")
	_ = e.Sayf("Worse: %d.", 1).Because(io.EOF).Naming([]fault.Detail{{Path: "a"}})
	if e.Message != "Bad." || e.Details != nil || errors.Unwrap(e) != nil || e.Error() != "bad: Bad." {
		t.Errorf("it became %#v", e)
	}
}

func TestOnlyTheTextForTheLogHasTheCause(t *testing.T) {
	t.Parallel()

	e := errGone.Sayf("No thing %s.", "x").Because(errors.New("secret"))
	if got := e.Error(); got != "thing_not_found: No thing x.: secret" {
		t.Errorf("Error = %q", got)
	}
	if strings.Contains(e.Message, "secret") {
		t.Errorf("Message = %q", e.Message)
	}
}

func TestAPlainErrorBecomesInternalAndHidesItsText(t *testing.T) {
	t.Parallel()

	f := fault.From(errors.New("password is hunter2"))
	if f.Class != fault.Internal || f.Code != "internal_error" || strings.Contains(f.Message, "hunter2") {
		t.Errorf("From = %+v", f)
	}
	if !strings.Contains(f.Error(), "hunter2") {
		t.Errorf("the log has no cause: %v", f)
	}
}

func TestFromReturnsTheFirstFaultOfAChain(t *testing.T) {
	t.Parallel()

	inner := fault.New(fault.Conflict, "inner", "Inner.")
	f := fault.From(fmt.Errorf("x: %w", errGone.Because(inner)))
	if diff := cmp.Diff("thing_not_found", f.Code); diff != "" {
		t.Error(diff)
	}
	if !errors.Is(f, inner) {
		t.Error("its cause is not found")
	}
}

func TestAMessageIsCutInWholeCharacters(t *testing.T) {
	t.Parallel()

	for _, text := range []string{"", "short", strings.Repeat("x", fault.MaxMessage), strings.Repeat("x", 1<<20), strings.Repeat("äöü€", 1<<18)} {
		got := errGone.Sayf("%s", text).Message
		begun, cut := strings.CutSuffix(got, "…")
		if len(got) > fault.MaxMessage || cut != (len(text) > fault.MaxMessage) || !strings.HasPrefix(text, begun) || !utf8.ValidString(got) {
			t.Errorf("%d bytes became %d: %.40q…", len(text), len(got), got)
		}
		if cut && len(got) < fault.MaxMessage-3 {
			t.Errorf("%d bytes were cut to %d", len(text), len(got))
		}
	}
}
