// Package collector stands in for a collector of traces: it takes spans by OTLP over
// HTTP with JSON, keeps them in a file, and finds those of a run.
package collector

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"theoneagents.app/agents/localstack/products/reply"
	"theoneagents.app/agents/shared/otlp"
	"theoneagents.app/agents/shared/span"
)

// Limits, in bytes: of one export, and of the file. A full file becomes the old one, in
// place of the old one before it.
const (
	maxExport = 4 << 20
	MaxFile   = 16 << 20
)

// maxFound limits the spans of an answer.
const maxFound = 5000

// A Span is a span as the file has it, one a line.
type Span struct {
	Trace      string         `json:"trace_id"`
	ID         string         `json:"span_id"`
	Parent     string         `json:"parent_span_id,omitempty"`
	Service    string         `json:"service"`
	Name       string         `json:"name"`
	Start      time.Time      `json:"start"`
	End        time.Time      `json:"end"`
	Failed     bool           `json:"failed,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
}

// A Collector keeps spans in a file. It is safe for concurrent use.
type Collector struct {
	mu   sync.Mutex
	file string // "" keeps nothing
	most int64
}

// New returns a collector with this file, of which it keeps at most twice most bytes.
// Without a name it takes spans and keeps none.
func New(file string, most int64) *Collector { return &Collector{file: file, most: most} }

// Mount adds the collector's routes to mux.
func (c *Collector) Mount(mux *http.ServeMux) {
	mux.HandleFunc("POST "+otlp.Path, c.take)
	mux.HandleFunc("GET /_traces", c.list)
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	var in otlp.Traces
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxExport)).Decode(&in); err != nil {
		reply.Error(w, http.StatusBadRequest, "not an export of traces in OTLP's JSON: "+err.Error())
		return
	}
	spans, err := read(in)
	if err == nil {
		err = c.append(spans)
	}
	if err != nil {
		reply.Error(w, http.StatusBadRequest, err.Error())
		return
	}
	reply.JSON(w, http.StatusOK, map[string]any{"partialSuccess": map[string]any{}})
}

// read returns the spans of an export.
func read(in otlp.Traces) ([]Span, error) {
	var out []Span
	for _, function := range in.ResourceSpans {
		service, _ := values(function.Resource.Attributes)["service.name"].(string)
		for _, scope := range function.ScopeSpans {
			for _, s := range scope.Spans {
				start, err := moment(s.Start)
				end, failed := moment(s.End)
				if err := errors.Join(err, failed); err != nil {
					return nil, fmt.Errorf("span %s: %w", s.SpanID, err)
				}
				out = append(out, Span{
					Trace: s.TraceID, ID: s.SpanID, Parent: s.Parent, Service: service, Name: s.Name, Start: start, End: end,
					Failed: s.Status != nil && s.Status.Code == otlp.StatusFailed, Attributes: values(s.Attributes),
				})
			}
		}
	}
	return out, nil
}

func moment(nanoseconds string) (time.Time, error) {
	n, err := strconv.ParseInt(nanoseconds, 10, 64)
	return time.Unix(0, n).UTC(), err
}

func values(list []otlp.KeyValue) map[string]any {
	out := map[string]any{}
	for _, a := range list {
		switch v := a.Value; {
		case v.String != nil:
			out[a.Key] = *v.String
		case v.Int != nil:
			out[a.Key] = json.Number(*v.Int)
		case v.Bool != nil:
			out[a.Key] = *v.Bool
		}
	}
	return out
}

// append writes the spans to the end of the file.
func (c *Collector) append(spans []Span) error {
	if c.file == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var text []byte
	for _, s := range spans {
		line, err := json.Marshal(s)
		if err != nil {
			return err
		}
		text = append(append(text, line...), '\n')
	}
	if info, err := os.Stat(c.file); err == nil && info.Size()+int64(len(text)) > c.most {
		if err := os.Rename(c.file, c.old()); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(c.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

func (c *Collector) old() string { return c.file + ".old" }

// list answers with the spans of the trace of a run, in the order of their arrival.
func (c *Collector) list(w http.ResponseWriter, r *http.Request) {
	run := r.URL.Query().Get("run")
	spans, err := c.find(run)
	switch {
	case run == "":
		reply.Error(w, http.StatusBadRequest, "want the parameter run, such as run=exec_…")
	case err != nil:
		reply.Error(w, http.StatusInternalServerError, err.Error())
	default:
		reply.JSON(w, http.StatusOK, map[string]any{"spans": spans})
	}
}

// find returns the spans of every trace that has a span of the run.
func (c *Collector) find(run string) ([]Span, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	traces := map[string]bool{}
	if err := c.each(func(s Span) {
		if s.Attributes[span.Execution] == run {
			traces[s.Trace] = true
		}
	}); err != nil {
		return nil, err
	}
	found := []Span{}
	err := c.each(func(s Span) {
		if traces[s.Trace] && len(found) < maxFound {
			found = append(found, s)
		}
	})
	return found, err
}

// each calls f for every span. It passes over a line that a crash cut.
func (c *Collector) each(f func(Span)) error {
	if c.file == "" {
		return nil
	}
	for _, name := range []string{c.old(), c.file} {
		file, err := os.Open(name) //nolint:gosec // the name is a flag of this program.
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = lines(file, f)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}

func lines(from io.Reader, f func(Span)) error {
	all := bufio.NewScanner(from)
	all.Buffer(nil, maxExport)
	for all.Scan() {
		var s Span
		if json.Unmarshal(all.Bytes(), &s) == nil {
			f(s)
		}
	}
	return all.Err()
}
