package render

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxWidth limits the width of a directive.
const maxWidth = 100

// A directive is a part of a format, such as %-d or %3N.
type directive struct {
	letter byte
	flags  string // of - 0 ^ _ # and :
	width  int    // 0: the default
}

// strftime formats a time like Ruby's strftime.
func strftime(t time.Time, format string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(format, "%")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		d, after, ok := cutDirective(rest)
		if ok {
			var text string
			if text, ok = d.write(t); ok {
				b.WriteString(text)
			}
		}
		if !ok {
			return "", fmt.Errorf("%q is not a directive of a date's format; there are %s", "%"+cut(rest[:len(rest)-len(after)], maxShown), directives)
		}
		format = after
	}
}

const directives = "%Y %C %y %m %B %b %h %d %e %j %H %k %I %l %M %S %L %N %z %Z %A %a %u %w %G %g %V %U %W %s %p %P " +
	"%c %D %F %v %x %X %r %R %T %n %t %%"

// cutDirective reads a directive after its %. If it is invalid, after is the
// text behind the part that was read.
func cutDirective(s string) (d directive, after string, ok bool) {
	n := len(s) - len(strings.TrimLeft(s, "-0^_#:"))
	d.flags, s = s[:n], s[n:]
	n = len(s) - len(strings.TrimLeft(s, "0123456789"))
	if n > 0 {
		d.width, _ = strconv.Atoi(s[:min(n, 4)])
	}
	if s = s[n:]; s == "" {
		return d, s, false
	}
	d.letter = s[0]
	_, size := utf8.DecodeRuneInString(s)
	return d, s[size:], d.width <= maxWidth && (!d.has(":") || d.letter == 'z')
}

func (d directive) has(flag string) bool { return strings.Contains(d.flags, flag) }

// write writes the directive, and reports whether it is known.
func (d directive) write(t time.Time) (string, bool) {
	if n, width, blank, ok := d.number(t); ok {
		return d.padNumber(n, width, blank), true
	}
	if text, ok := d.name(t); ok {
		return d.padText(text), true
	}
	switch d.letter {
	case 'N', 'L':
		digits := d.width
		if digits == 0 {
			digits = map[byte]int{'N': 9, 'L': 3}[d.letter]
		}
		return (fmt.Sprintf("%09d", t.Nanosecond()) + strings.Repeat("0", maxWidth))[:digits], true
	case 'z':
		return d.offset(t), true
	}
	if format, ok := d.combined(); ok {
		text, err := strftime(t, format)
		return d.padText(text), err == nil
	}
	return "", false
}

// number returns the number of the directive, its width and whether it is
// padded with spaces.
func (d directive) number(t time.Time) (n int64, width int, blank, ok bool) {
	year, week := t.ISOWeek()
	hour12 := (t.Hour()+11)%12 + 1
	switch d.letter {
	case 'Y':
		return int64(t.Year()), 4, false, true
	case 'C':
		return int64(t.Year() / 100), 2, false, true
	case 'y':
		return int64(t.Year() % 100), 2, false, true
	case 'm':
		return int64(t.Month()), 2, false, true
	case 'd':
		return int64(t.Day()), 2, false, true
	case 'e':
		return int64(t.Day()), 2, true, true
	case 'j':
		return int64(t.YearDay()), 3, false, true
	case 'H':
		return int64(t.Hour()), 2, false, true
	case 'k':
		return int64(t.Hour()), 2, true, true
	case 'I':
		return int64(hour12), 2, false, true
	case 'l':
		return int64(hour12), 2, true, true
	case 'M':
		return int64(t.Minute()), 2, false, true
	case 'S':
		return int64(t.Second()), 2, false, true
	case 's':
		return t.Unix(), 1, false, true
	case 'u':
		return int64((t.Weekday()+6)%7 + 1), 1, false, true
	case 'w':
		return int64(t.Weekday()), 1, false, true
	case 'G':
		return int64(year), 4, false, true
	case 'g':
		return int64(year % 100), 2, false, true
	case 'V':
		return int64(week), 2, false, true
	case 'U':
		return int64((t.YearDay() + 6 - int(t.Weekday())) / 7), 2, false, true
	case 'W':
		return int64((t.YearDay() + 6 - int(t.Weekday()+6)%7) / 7), 2, false, true
	}
	return 0, 0, false, false
}

func (d directive) name(t time.Time) (string, bool) {
	switch d.letter {
	case 'B':
		return t.Month().String(), true
	case 'b', 'h':
		return t.Month().String()[:3], true
	case 'A':
		return t.Weekday().String(), true
	case 'a':
		return t.Weekday().String()[:3], true
	case 'p':
		if d.has("#") {
			return strings.ToLower(t.Format("PM")), true
		}
		return t.Format("PM"), true
	case 'P':
		return strings.ToLower(t.Format("PM")), true
	case 'Z':
		name, _ := t.Zone()
		return name, true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case '%':
		return "%", true
	}
	return "", false
}

// combined returns the format that the directive abbreviates.
func (d directive) combined() (string, bool) {
	switch d.letter {
	case 'c':
		return "%a %b %e %T %Y", true
	case 'D', 'x':
		return "%m/%d/%y", true
	case 'F':
		return "%Y-%m-%d", true
	case 'v':
		return "%e-%^b-%Y", true
	case 'X', 'T':
		return "%H:%M:%S", true
	case 'r':
		return "%I:%M:%S %p", true
	case 'R':
		return "%H:%M", true
	}
	return "", false
}

func (d directive) padNumber(n int64, width int, blank bool) string {
	text := strconv.FormatInt(n, 10)
	if d.has("-") {
		return text
	}
	fill := "0"
	if d.has("_") || blank && !d.has("0") {
		fill = " "
	}
	return pad(text, cmp.Or(d.width, width), fill)
}

func (d directive) padText(text string) string {
	if d.has("^") || d.has("#") && d.letter != 'p' {
		text = strings.ToUpper(text)
	}
	fill := " "
	if d.has("0") {
		fill = "0"
	}
	if d.has("-") {
		return text
	}
	return pad(text, d.width, fill)
}

// offset writes the offset from UTC: +0100, +01:00 or +01:00:00.
func (d directive) offset(t time.Time) string {
	_, apart := t.Zone()
	sign := "+"
	if apart < 0 {
		sign, apart = "-", -apart
	}
	text := fmt.Sprintf("%02d%02d", apart/3600, apart/60%60)
	switch strings.Count(d.flags, ":") {
	case 1:
		text = text[:2] + ":" + text[2:]
	case 2:
		text = fmt.Sprintf("%s:%s:%02d", text[:2], text[2:], apart%60)
	}
	return sign + pad(text, d.width-1, "0")
}

func pad(text string, width int, fill string) string {
	return strings.Repeat(fill, max(width-len(text), 0)) + text
}
