package render

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a function's machine may have no time zones
	"unicode"

	"theoneagents.app/agents/shared/jsonvalue"
)

func date(w *work, v any, args []any) (any, error) {
	format := argument(args, 0, "")
	if format == "" {
		return v, nil
	}
	t, err := w.time(v)
	if err != nil {
		return nil, err
	}
	if zone := argument[*time.Location](args, 1, nil); zone != nil {
		t = t.In(zone)
	}
	text, err := strftime(t, format)
	if err != nil {
		return nil, err
	}
	return w.text(text)
}

// maxFormat limits the format of date, in bytes.
const maxFormat = 1000

// formatKind accepts a format for strftime.
func formatKind(v any) (any, error) {
	format := String(v)
	if len(format) > maxFormat {
		return nil, fmt.Errorf("%s has %d bytes; %d are allowed", shown(format), len(format), maxFormat)
	}
	_, err := strftime(time.Unix(0, 0).UTC(), format)
	return format, err
}

var offset = regexp.MustCompile(`^([+-])([0-9]{2}):?([0-9]{2})?$`)

// zoneKind accepts the name of a time zone, or an offset.
func zoneKind(v any) (any, error) {
	name := strings.TrimSpace(String(v))
	if zone, ok := offsetZone(name); ok {
		return zone, nil
	}
	if name != "" && name != "Local" && len(name) < 100 { // Local would be the machine's zone
		if zone, err := time.LoadLocation(name); err == nil {
			return zone, nil
		}
	}
	return nil, fmt.Errorf(`%s is not a time zone such as "Europe/London", "UTC" or "+01:00"`, shown(v))
}

// offsetZone returns the zone at an offset from UTC such as +02:00.
func offsetZone(text string) (*time.Location, bool) {
	if text == "Z" || text == "z" || text == "UTC" || text == "GMT" {
		return time.UTC, true
	}
	m := offset.FindStringSubmatch(text)
	if m == nil {
		return nil, false
	}
	hours, _ := strconv.Atoi(m[2])
	minutes, _ := strconv.Atoi("0" + m[3])
	if hours > 23 || minutes > 59 {
		return nil, false
	}
	seconds := hours*3600 + minutes*60
	if m[1] == "-" {
		seconds = -seconds
	}
	if seconds == 0 {
		return time.UTC, true
	}
	return time.FixedZone("", seconds), true
}

var (
	timestamp = regexp.MustCompile(`^([0-9]{4})[-/]([0-9]{2})[-/]([0-9]{2})` +
		`(?:(?:[Tt]| +)([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?\s*([Zz]|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?)?$`)
	basic   = regexp.MustCompile(`^([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})(?:([0-9]{2})(?:[.,]([0-9]+))?)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?$`)
	netDate = regexp.MustCompile(`^/Date\((-?[0-9]{1,18})([+-][0-9]{4})?\)/$`)
	seconds = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	padded  = regexp.MustCompile(`\b[0-9]\b`)
)

// time returns the time that a value denotes.
func (w *work) time(v any) (time.Time, error) {
	var t time.Time
	ok := false
	switch v := v.(type) {
	case int64, jsonvalue.Number, number:
		t, ok = since1970(v)
	case string:
		text := strings.TrimSpace(v)
		switch {
		case len(text) > maxDate:
		case text == "now" || text == "today":
			return w.clock()
		case seconds.MatchString(text):
			t, ok = since1970(text)
		default:
			t, ok = readTime(text)
		}
	}
	if !ok || t.Year() < 1 || t.Year() > 9999 {
		return t, fmt.Errorf(`%s is not a date such as "2026-03-09T14:23:01Z" or "2026-03-09", nor a number of seconds or milliseconds since 1970`, shown(v))
	}
	return t, nil
}

// maxDate is longer than every accepted date, in bytes.
const maxDate = 400

var errClock = errors.New("now is not available here")

// clock returns the value of "now".
func (w *work) clock() (time.Time, error) {
	text, _ := w.scope[clockKey].(string)
	now, err := time.Parse(time.RFC3339Nano, text)
	switch {
	case err == nil:
		return now, nil
	case w.timeless:
		return time.Unix(0, 0).UTC(), nil
	}
	return now, errClock
}

// milliseconds separates seconds from milliseconds: read as seconds it is in
// the year 5138, as milliseconds in 1973.
const milliseconds = 100_000_000_000

// since1970 returns the time that v seconds or milliseconds after 1970 denote.
func since1970(v any) (time.Time, bool) {
	n, err := numberOf(v)
	if err != nil || n.digits()-n.scale > 18 || n.scale > maxDate {
		return time.Time{}, false
	}
	unit := int64(time.Second)
	if whole := quotient(n.coefficient, powerOf10(n.scale), down); new(big.Int).Abs(whole).Cmp(big.NewInt(milliseconds)) >= 0 {
		unit = int64(time.Millisecond)
	}
	nanos := rounded(multiply(n, whole(unit)), 0, down).coefficient
	s, rest := new(big.Int).DivMod(nanos, big.NewInt(int64(time.Second)), new(big.Int))
	if !s.IsInt64() || s.Int64() > 1<<40 || s.Int64() < -1<<40 {
		return time.Time{}, false
	}
	return time.Unix(s.Int64(), rest.Int64()).UTC(), true
}

func readTime(text string) (time.Time, bool) {
	if m := netDate.FindStringSubmatch(text); m != nil {
		ms, err := strconv.ParseInt(m[1], 10, 64)
		zone, ok := offsetZone("+00:00")
		if m[2] != "" {
			zone, ok = offsetZone(m[2])
		}
		if !ok || err != nil {
			return time.Time{}, false
		}
		return time.UnixMilli(ms).In(zone), true
	}
	for _, form := range []*regexp.Regexp{timestamp, basic} {
		if m := form.FindStringSubmatch(text); m != nil {
			return readTimestamp(m)
		}
	}
	return readNamed(text)
}

func readTimestamp(m []string) (time.Time, bool) {
	var n [7]int // by number of the group
	for i := 1; i <= 6; i++ {
		n[i], _ = strconv.Atoi("0" + m[i])
	}
	nanos, _ := strconv.Atoi((m[7] + "000000000")[:9])
	zone, ok := time.UTC, true
	if m[8] != "" {
		zone, ok = offsetZone(m[8])
	}
	if !ok {
		return time.Time{}, false
	}
	day := time.Date(n[1], time.Month(n[2]), n[3], 0, 0, 0, 0, zone)
	if day.Day() != n[3] || day.Month() != time.Month(n[2]) || n[4] > 23 || n[5] > 59 || n[6] > 60 { // 60 is a leap second
		return time.Time{}, false
	}
	return time.Date(n[1], time.Month(n[2]), n[3], n[4], n[5], n[6], nanos, zone), true
}

// readNamed reads a date with the name of a month that can be read in one way
// only.
func readNamed(text string) (time.Time, bool) {
	if !strings.ContainsFunc(text, unicode.IsLetter) {
		return time.Time{}, false
	}
	text = padded.ReplaceAllString(strings.Join(strings.Fields(strings.ReplaceAll(text, ",", " ")), " "), "0$0")
	for _, day := range []string{"Jan 02 2006", "02 Jan 2006", "02-Jan-2006", "January 02 2006", "02 January 2006"} {
		for _, weekday := range []string{"", "Mon ", "Monday "} {
			for _, clock := range []string{"", " 15:04", " 15:04:05", " 03:04 PM", " 03:04:05 PM", " 03:04PM"} {
				for _, zone := range []string{"", " -0700", " -07:00", " MST"} {
					if zone != "" && clock == "" {
						continue
					}
					t, err := time.ParseInLocation(weekday+day+clock+zone, text, time.UTC)
					if err != nil {
						continue
					}
					name, apart := t.Zone()
					if zone == " MST" && name != "UTC" && name != "GMT" {
						return t, false // a zone abbreviation is ambiguous
					}
					if apart == 0 {
						t = t.UTC()
					}
					return t, true
				}
			}
		}
	}
	return time.Time{}, false
}
