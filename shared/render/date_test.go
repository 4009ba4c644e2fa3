package render_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

func TestADateIsReadInEveryUnambiguousForm(t *testing.T) {
	t.Parallel()

	const refused = ""
	for _, tc := range []struct {
		in   any
		want string // as %FT%T.%N%:z
	}{
		{"2026-03-09T14:23:01Z", "2026-03-09T14:23:01.000000000+00:00"},
		{"2026-03-09t14:23:01z", "2026-03-09T14:23:01.000000000+00:00"},
		{"2026-03-09T14:23:01", "2026-03-09T14:23:01.000000000+00:00"},
		{"2026-03-09T14:23:01.1234567", "2026-03-09T14:23:01.123456700+00:00"},
		{"2026-03-09T14:23:01,5Z", "2026-03-09T14:23:01.500000000+00:00"},
		{"2026-03-09T14:23:01." + strings.Repeat("9", 300) + "Z", "2026-03-09T14:23:01.999999999+00:00"},
		{"2026-03-09T14:23:01+05:45", "2026-03-09T14:23:01.000000000+05:45"},
		{"2026-03-09T14:23:01-0330", "2026-03-09T14:23:01.000000000-03:30"},
		{"2026-03-09T14:23:01+02", "2026-03-09T14:23:01.000000000+02:00"},
		{"2026-03-09 14:23:01 +0000", "2026-03-09T14:23:01.000000000+00:00"},
		{"2026-03-09 14:23:01 UTC", "2026-03-09T14:23:01.000000000+00:00"},
		{"2026-03-09 14:23", "2026-03-09T14:23:00.000000000+00:00"},
		{" 2026-03-09\n", "2026-03-09T00:00:00.000000000+00:00"},
		{"2026/03/09", "2026-03-09T00:00:00.000000000+00:00"},
		{"20260309T142301Z", "2026-03-09T14:23:01.000000000+00:00"},
		{"2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000000+00:00"},
		{"2024-02-29", "2024-02-29T00:00:00.000000000+00:00"},
		{int64(1741530181), "2025-03-09T14:23:01.000000000+00:00"},
		{int64(1741530181123), "2025-03-09T14:23:01.123000000+00:00"},
		{"1741530181123", "2025-03-09T14:23:01.123000000+00:00"},
		{"1741530181.25", "2025-03-09T14:23:01.250000000+00:00"},
		{jsonvalue.Number("1741530181.123456789123"), "2025-03-09T14:23:01.123456789+00:00"},
		{jsonvalue.Number("1741530181123.5"), "2025-03-09T14:23:01.123500000+00:00"},
		{int64(0), "1970-01-01T00:00:00.000000000+00:00"},
		{int64(-1), "1969-12-31T23:59:59.000000000+00:00"},
		{jsonvalue.Number("-0.25"), "1969-12-31T23:59:59.750000000+00:00"},
		{"/Date(1741530181123)/", "2025-03-09T14:23:01.123000000+00:00"},
		{"/Date(1741530181123+0100)/", "2025-03-09T15:23:01.123000000+01:00"},
		{"/Date(-1)/", "1969-12-31T23:59:59.999000000+00:00"},
		{"March 9, 2026", "2026-03-09T00:00:00.000000000+00:00"},
		{"9 Mar 2026", "2026-03-09T00:00:00.000000000+00:00"},
		{"9 Mar 2026 2:23:01 PM", "2026-03-09T14:23:01.000000000+00:00"},
		{"Mon, 09 Mar 2026 14:23:01 GMT", "2026-03-09T14:23:01.000000000+00:00"},
		{"Mon, 9 Mar 2026 14:23:01 +0100", "2026-03-09T14:23:01.000000000+01:00"},
		{"09-Mar-2026 14:23", "2026-03-09T14:23:00.000000000+00:00"},
		{"now", "2026-03-09T14:23:01.000000000+00:00"},
		{"today", "2026-03-09T14:23:01.000000000+00:00"},

		{"3/9/2026 2:23:01 PM", refused},
		{"03-09-2026", refused},
		{"09.03.2026", refused},
		{"Mon, 09 Mar 2026 14:23:01 PST", refused}, // the abbreviation is ambiguous
		{"2026-02-30", refused},
		{"2026-13-01", refused},
		{"2026-00-10", refused},
		{"2026-03-09T24:00:00Z", refused},
		{"2026-03-09T14:60:00Z", refused},
		{"2026-03-09T14:23:01+25:00", refused},
		{"0000-01-01", refused},
		{"tomorrow", refused},
		{"", refused},
		{"/Date(x)/", refused},
		{"/Date(999999999999999999)/", refused},
		{int64(1741530181123456), refused}, // microseconds
		{int64(9223372036854775807), refused},
		{jsonvalue.Number("1" + strings.Repeat("0", 300)), refused},
		{strings.Repeat("1", 250_000), refused},
		{"1e400", refused},
		{true, refused},
		{[]any{"2026-03-09"}, refused},
		{map[string]any{}, refused},
	} {
		s := render.Scope{"v": tc.in}.At(time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC))
		got, err := render.Text(`{{ v | date: "%FT%T.%N%:z" }}`, s)
		if got != tc.want || errors.Is(err, render.ErrTemplate) != (tc.want == refused) {
			t.Errorf("%.60v is %q, %v; want %q", tc.in, got, err, tc.want)
		}
		if err != nil && !strings.Contains(err.Error(), " is not a date such as ") {
			t.Error(err)
		}
	}
	if got, err := render.Text(`{{ v | date: "%Y" }}`, render.Scope{"v": nil}); got != "" || err != nil {
		t.Errorf("null is %q, %v", got, err)
	}
	if _, err := render.Text(`{{ "now" | date: "%Y" }}`, render.Scope{}); !errors.Is(err, render.ErrTemplate) {
		t.Errorf("without a clock now is %v", err)
	}
}

func TestADateIsShownInAZone(t *testing.T) {
	t.Parallel()

	for in, want := range map[string]string{
		`"2026-03-29T00:59:59Z" | date: "%T %Z %z", "Europe/London"`:     "00:59:59 GMT +0000",
		`"2026-03-29T01:00:00Z" | date: "%T %Z %z", "Europe/London"`:     "02:00:00 BST +0100",
		`"2026-03-09T14:23:01+02:00" | date: "%T %z", "America/Chicago"`: "07:23:01 -0500",
		`"2026-03-09T14:23:01Z" | date: "%F %T", "Pacific/Kiritimati"`:   "2026-03-10 04:23:01",
		`"2026-03-09T14:23:01Z" | date: "%T %z", "+05:30"`:               "19:53:01 +0530",
		`"2026-03-09T14:23:01Z" | date: "%T %Z", "UTC"`:                  "14:23:01 UTC",
		`"2026-03-09T14:23:01-07:00" | date: "%T %z"`:                    "14:23:01 -0700",
	} {
		if got, err := render.Text("{{ "+in+" }}", nil); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", in, got, err, want)
		}
	}
}

// The results are those of Ruby's Time#strftime.
func TestTheDirectivesOfADateAreThoseOfRuby(t *testing.T) {
	t.Parallel()

	times := []string{"2026-03-09T14:05:01.123456789+05:45", "2027-01-01T00:00:00Z", "2024-12-30T12:59:09Z"}
	for format, want := range map[string][3]string{
		"%Y %C %y": {"2026 20 26", "2027 20 27", "2024 20 24"}, "%m %B %b %h": {"03 March Mar Mar", "01 January Jan Jan", "12 December Dec Dec"},
		"%d %e %j": {"09  9 068", "01  1 001", "30 30 365"}, "%H %k %I %l": {"14 14 02  2", "00  0 12 12", "12 12 12 12"},
		"%M %S %L %N": {"05 01 123 123456789", "00 00 000 000000000", "59 09 000 000000000"}, "%3N %6N %9N %12N %1L": {"123 123456 123456789 123456789000 1", "000 000000 000000000 000000000000 0", "000 000000 000000000 000000000000 0"},
		"%p %P %#p": {"PM pm pm", "AM am am", "PM pm pm"}, "%A %a %u %w": {"Monday Mon 1 1", "Friday Fri 5 5", "Monday Mon 1 1"},
		"%G-W%V %g": {"2026-W11 26", "2026-W53 26", "2025-W01 25"}, "%U %W": {"10 10", "00 00", "52 53"},
		"%s": {"1773044401", "1798761600", "1735563549"}, "%z %:z %::z": {"+0545 +05:45 +05:45:00", "+0000 +00:00 +00:00:00", "+0000 +00:00 +00:00:00"},
		"%F %D %x": {"2026-03-09 03/09/26 03/09/26", "2027-01-01 01/01/27 01/01/27", "2024-12-30 12/30/24 12/30/24"}, "%T %X %R": {"14:05:01 14:05:01 14:05", "00:00:00 00:00:00 00:00", "12:59:09 12:59:09 12:59"},
		"%r": {"02:05:01 PM", "12:00:00 AM", "12:59:09 PM"}, "%c": {"Mon Mar  9 14:05:01 2026", "Fri Jan  1 00:00:00 2027", "Mon Dec 30 12:59:09 2024"}, "%v": {" 9-MAR-2026", " 1-JAN-2027", "30-DEC-2024"},
		"%-d %-m %-l %-I %-H %-j %-y": {"9 3 2 2 14 68 26", "1 1 12 12 0 1 27", "30 12 12 12 12 365 24"}, "%_d %_m %0e %0l": {" 9  3 09 02", " 1  1 01 12", "30 12 30 12"},
		"%^B %^a %10B %-10b %010Y %4d": {"MARCH MON      March Mar 0000002026 0009", "JANUARY FRI    January Jan 0000002027 0001", "DECEMBER MON   December Dec 0000002024 0030"},
		"100%% %n%t ü":                 {"100% \n\t ü", "100% \n\t ü", "100% \n\t ü"},
	} {
		for i, at := range times {
			got, err := render.Text(`{{ v | date: f }}`, render.Scope{"v": at, "f": format})
			if err != nil || got != want[i] {
				t.Errorf("%s of %s is %q, %v; want %q", format, at, got, err, want[i])
			}
		}
	}
}

func FuzzDate(f *testing.F) {
	f.Add("2026-03-09T14:23:01.5+02:00", "%10N%-d%^a%:z%c", "Europe/London")
	f.Add("/Date(1741530181123+0100)/", "%", "+01")
	f.Add("Mon, 9 Mar 2026 14:23:01 GMT", "%_100Y", "Local")
	f.Fuzz(func(t *testing.T, v, format, zone string) {
		_, err := render.Unguarded(`{{ v | date: f, z }}`, render.Scope{"v": v, "f": format, "z": zone})
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("%s", err)
		}
		// A time that is written out whole is read as the same time again.
		const whole = "%FT%T.%N%:z"
		one, err := render.Text(`{{ v | date: f }}`, render.Scope{"v": v, "f": whole})
		if err != nil || v == "" {
			return
		}
		two, err := render.Text(`{{ v | date: f }}`, render.Scope{"v": one, "f": whole})
		if err != nil || one != two {
			t.Errorf("%q is %q and then %q, %v", v, one, two, err)
		}
	})
}
