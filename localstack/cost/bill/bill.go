package bill

import (
	_ "embed" // the prices
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

// A Price is the price of an amount of something.
type Price struct {
	USD  float64 `json:"usd"`
	Per  float64 `json:"per"`
	Page string  `json:"page"`
}

// Prices are the prices of AWS in one region.
type Prices struct {
	Region string           `json:"region"`
	Date   string           `json:"date"`
	Source string           `json:"source"`
	USD    map[string]Price `json:"usd"`
}

//go:embed prices.json
var priceList []byte

// ReadPrices returns the price list of the repository.
func ReadPrices() (Prices, error) {
	var p Prices
	if err := json.Unmarshal(priceList, &p); err != nil {
		return p, fmt.Errorf("read prices.json: %w", err)
	}
	return p, nil
}

// of returns the price of an amount for a million runs. An unknown name is a bug.
func (p Prices) of(name string, amount float64) float64 {
	price, ok := p.USD[name]
	if !ok {
		panic("bill: prices.json has no price of " + name)
	}
	return amount * price.USD / price.Per * 1e6
}

// A Line is a row of the table: what a million runs cost.
type Line struct {
	Name string
	USD  float64
}

// A Bill is what a million runs cost, in USD.
type Bill struct {
	Lines   []Line
	Month   float64 // of keeping the records
	Backups float64 // of keeping the daily backups of the records for a month
}

// Total returns the sum of the lines, without keeping.
func (b Bill) Total() (sum float64) {
	for _, l := range b.Lines {
		sum += l.USD
	}
	return sum
}

// Kept returns the total with keeping the records for some months.
func (b Bill) Kept(months float64) float64 { return b.Total() + months*b.Month }

// Functions with a line of their own.
const (
	dispatcher = "dispatcher"
	runner     = "runner"
	tally      = "tally"
)

// Charge computes the bill of a million times this usage, in a busy system.
func (p Prices) Charge(u Usage) Bill {
	read, write := u.Units()
	var lines []Line
	add := func(name string, usd float64) { lines = append(lines, Line{name, usd}) }
	size := float64(u.EventBytes)
	add("EventBridge", p.of("event", math.Ceil(size/(64<<10))))
	add("Archive, 30 days", p.of("archive", size)+p.of("archive_month", size))
	add("SQS", p.of("message", 1+2./batch))
	add("Dispatcher", p.function(u, dispatcher))
	add("Express machine", p.express(u))
	add("Runner", p.function(u, runner))
	add("Tally", p.function(u, tally))
	add("Watchdog", p.watchdog(u))
	add("Standard machine", p.of("transition", float64(u.Transitions)))
	others := p.of("request", float64(u.Requests))
	for _, name := range names(u.Functions, nil) {
		if name != dispatcher && name != runner && name != tally {
			others += p.function(u, name)
		}
	}
	add("API", others)
	add("Writes", p.of("write", write))
	add("Reads", p.of("read", read))
	logs := u.logs()
	add("Logs, 30 days", p.of("log", logs)+p.of("log_month", logs))
	add("X-Ray", p.of("trace", traced))
	stored := float64(u.StoredBytes)
	return Bill{
		Lines: lines, Month: p.of("table_month", stored) + p.of("recovery_month", stored),
		Backups: p.of("backup_month", copies*stored),
	}
}

// invocations returns the number of invocations in a busy system, where the dispatcher
// and the tally receive a batch.
func invocations(name string, f Function) float64 {
	if name == dispatcher || name == tally {
		return float64(f.Invocations) / batch
	}
	return float64(f.Invocations)
}

// function returns the price of a function.
func (p Prices) function(u Usage, name string) float64 {
	n := invocations(name, u.Functions[name])
	return p.of("invocation", n) + p.of("gigabyte_second", memory*u.seconds(name))
}

// watchdog returns the price of a run's part in a batch of new runs, and of the look at
// the runs that are under way when the batch ends. Each of them is read, and marked in the
// index of the sweeper, which its end removes again.
func (p Prices) watchdog(u Usage) float64 {
	if u.Starts == 0 {
		return 0
	}
	looks, n := min(u.seconds(runner)/watchWindow, 1), 1./newRuns
	seconds := n*invocationWork + looks*2*(callWork+tableCall)
	return p.of("invocation", n) + p.of("gigabyte_second", memory*seconds) + p.of("read", looks) + p.of("write", 3*looks)
}

// seconds returns the duration of a function for one event.
func (u Usage) seconds(name string) float64 {
	f := u.Functions[name]
	sum := invocations(name, f)*invocationWork + float64(f.calls())*callWork
	for call, n := range f.Calls {
		sum += float64(n) * latency(call)
	}
	if name == runner {
		sum += float64(u.Products) * (productCall + callWork)
	}
	return sum
}

// latency returns the seconds of a call of AWS.
func latency(call string) float64 {
	switch {
	case strings.HasPrefix(call, "DynamoDB.Transact"):
		return 2 * tableCall
	case strings.HasPrefix(call, "DynamoDB."):
		return tableCall
	case strings.HasPrefix(call, "Bedrock"):
		return modelCall
	}
	return otherCall
}

// express returns the price of the Express executions: the runner works in them, unless
// the run waits. Those of a run that waits are counted as if the runner worked only there.
func (p Prices) express(u Usage) float64 {
	if u.Starts == 0 {
		return 0
	}
	seconds := math.Ceil(u.seconds(runner)/expressStep) * expressStep
	return p.of("express", float64(u.Starts)) + p.of("express_gigabyte_second", expressMemory*seconds)
}

// logs returns the bytes of the logs. The dispatcher and the tally log once for a batch.
func (u Usage) logs() (sum float64) {
	for name, f := range u.Functions {
		n := invocations(name, f)
		sum += n * lambdaLines
		if f.Invocations > 0 {
			sum += float64(f.LogBytes) * n / float64(f.Invocations)
		}
	}
	return sum
}
