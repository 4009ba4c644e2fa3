package bill

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// months is how long the table counts the keeping of records.
const months = 3

// Print prints the tables of the costs and of the hot keys, in Markdown.
func Print(out io.Writer, p Prices, all map[string]Usage) error {
	var b strings.Builder
	row := func(name string, cell func(string) string) {
		b.WriteString("| " + name + " |")
		for _, w := range Workloads() {
			b.WriteString(" " + cell(w) + " |")
		}
		b.WriteString("\n")
	}
	bills := map[string]Bill{}
	for _, w := range Workloads() {
		bills[w] = p.Charge(all[w])
	}
	head := func(first string) {
		row(first, func(w string) string { return w })
		b.WriteString("|---|" + strings.Repeat("---:|", len(Workloads())) + "\n")
	}
	head("USD for a million")
	for i, line := range bills[ThreeActions].Lines {
		row(line.Name, func(w string) string { return usd(bills[w].Lines[i].USD) })
	}
	row("**sum**", func(w string) string { return "**" + usd(bills[w].Total()) + "**" })
	row("each month kept", func(w string) string { return usd(bills[w].Month) })
	row("**kept 90 days**", func(w string) string { return "**" + usd(bills[w].Kept(months)) + "**" })
	row("35 daily backups, each month kept", func(w string) string { return usd(bills[w].Backups) })
	row("write units / read units", func(w string) string {
		read, write := all[w].Units()
		return fmt.Sprintf("%g / %g", write, read)
	})
	row("calls of AWS", func(w string) string { return strconv.Itoa(all[w].Calls()) })
	_, _ = fmt.Fprintf(&b, "\nPrices of %s, %s: %s.\n%s\n\n", p.Region, p.Date, p.Source, Assumptions)
	head("events a second that the keys take")
	for _, s := range Scopes() {
		row(string(s), func(w string) string { return all[w].BoundOf(s).String() })
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func usd(x float64) string {
	if x == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", x)
}

func (b Bound) String() string {
	if b.Key == "" {
		return "no bound"
	}
	return fmt.Sprintf("%s by `%s`", thousands(int(math.Floor(b.Runs))), b.Key)
}

// thousands returns a number with commas.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
