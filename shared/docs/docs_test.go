package docs

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/render"
)

var catalogue = sync.OnceValues(func() (catalog.Catalog, error) { return catalog.Load(events.Files) })

func everything(t *testing.T) catalog.Catalog {
	t.Helper()
	all, err := catalogue()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// packages stand for those that npm installs.
func packages() fstest.MapFS {
	return fstest.MapFS{fontFile: {Data: []byte("font")}, searchFile: {Data: []byte("export default class {}")}}
}

var once = sync.OnceValues(func() (map[string][]byte, error) {
	document, err := os.ReadFile("../httpapi/openapi.gen.json")
	if err != nil {
		return nil, err
	}
	all, err := catalogue()
	if err != nil {
		return nil, err
	}
	return Build(document, all, packages())
})

// built returns the files of the documentation.
func built(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := once()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// pagesOf returns the names of the pages.
func pagesOf(files map[string][]byte) []string {
	var names []string
	for name := range files {
		if page, ok := strings.CutSuffix(name, ".html"); ok {
			names = append(names, page)
		}
	}
	slices.Sort(names)
	return names
}

var (
	attribute = regexp.MustCompile(` (?:href|src)="([^"]*)"`)
	anchors   = regexp.MustCompile(` id="([^"]+)"`)
	inline    = regexp.MustCompile(`(?i)<style|<script(?: [^>]*)?>[^<]| style="| on[a-z]+="|javascript:`)
)

// A link of the first page begins with docs/, since its own path ends without a slash.
func TestEveryLinkLeadsToAPageAndAPlaceOnIt(t *testing.T) {
	t.Parallel()

	files := built(t)
	targets := map[string]bool{}
	for _, page := range pagesOf(files) {
		targets[page] = true
		for _, m := range anchors.FindAllStringSubmatch(string(files[page+".html"]), -1) {
			if targets[page+"#"+m[1]] {
				t.Errorf("%s has two places with the name %s", page, m[1])
			}
			targets[page+"#"+m[1]] = true
		}
	}
	checked := 0
	for _, page := range pagesOf(files) {
		for _, m := range attribute.FindAllStringSubmatch(string(files[page+".html"]), -1) {
			link := m[1]
			if strings.HasPrefix(link, "https://") {
				continue
			}
			checked++
			target := link
			switch {
			case link == "docs" && page == "index" || link == "../docs" && page != "index":
				target = "index"
			case strings.HasPrefix(link, "#"):
				target = page + link
			case page == "index":
				target = strings.TrimPrefix(link, "docs/")
				if target == link {
					t.Errorf("%s: the link %s leads out of the documentation", page, link)
				}
			}
			if !targets[target] && files[target] == nil {
				t.Errorf("%s: the link %s leads nowhere", page, link)
			}
		}
	}
	if checked < 500 {
		t.Errorf("only %d links were checked", checked)
	}
}

func TestNoPageNeedsAnInlineScriptOrAnotherHost(t *testing.T) {
	t.Parallel()

	files := built(t)
	for _, page := range pagesOf(files) {
		text := string(files[page+".html"])
		if found := inline.FindString(text); found != "" {
			t.Errorf("%s has %q, which the policy refuses", page, found)
		}
		if m := regexp.MustCompile(`<(?:link|script|img|iframe|form)[^>]*(?:https?:)?//[^>]*>`).FindString(text); m != "" {
			t.Errorf("%s loads from another host: %s", page, m)
		}
	}
}

func TestTheReferenceShowsEveryOperationAndSchema(t *testing.T) {
	t.Parallel()

	files := built(t)
	document, err := os.ReadFile("../httpapi/openapi.gen.json")
	if err != nil {
		t.Fatal(err)
	}
	o, err := outlineOf(document)
	if err != nil || len(o.Groups) < 10 || len(o.Schemas) < 100 {
		t.Fatalf("%d groups, %d schemas, %v", len(o.Groups), len(o.Schemas), err)
	}
	for _, g := range o.Groups {
		text := string(files[groupPage(g.Name)+".html"])
		for _, op := range g.Operations {
			for _, shown := range []string{`id="` + op.ID + `"`, ">" + op.Method + "</b> <code>" + op.Path + "</code>", op.Who.Sentence()} {
				if !strings.Contains(text, shown) {
					t.Errorf("%s %s: the page does not show %q", op.Method, op.Path, shown)
				}
			}
		}
	}
	for _, s := range o.Schemas {
		if !strings.Contains(string(files[schemas+".html"]), `id="`+s.Name+`"`) {
			t.Errorf("the schema %s is not shown", s.Name)
		}
	}
	for page, shown := range map[string]string{
		schemas: "<th>missing field</th>", "api-keys": "hmac.compare_digest", "api-approvals": "not for integration keys.",
		"api-agents": "P1 escalation: {{event_payload.ticket_id}}", basics: `id="rate-limits"`,
	} {
		if !strings.Contains(string(files[page+".html"]), shown) {
			t.Errorf("%s does not show %q", page, shown)
		}
	}
}

// The tables are made from the rows of the code; a row without an explanation fails the
// build.
func TestTheTablesOfGuidesHaveEveryRowOfTheCode(t *testing.T) {
	t.Parallel()

	files := built(t)
	all := everything(t)
	var rows []string
	for _, o := range condition.Operators() {
		rows = append(rows, "operators "+string(o))
	}
	for _, f := range render.Filters() {
		rows = append(rows, "templates "+f.Usage())
	}
	for _, k := range definition.Kinds() {
		rows = append(rows, "definitions "+string(k))
	}
	for _, o := range definition.Outcomes() {
		rows = append(rows, "definitions "+string(o))
	}
	for _, e := range all.Events() {
		rows = append(rows, "catalogue "+e.Name())
	}
	for _, a := range all.Actions() {
		rows = append(rows, "catalogue "+a.Name())
	}
	for _, q := range quotaRows() {
		rows = append(rows, "limits "+string(q.name))
	}
	for _, row := range rows {
		page, name, _ := strings.Cut(row, " ")
		if !strings.Contains(string(files[page+".html"]), "<code>"+name) {
			t.Errorf("%s does not show %s", page, name)
		}
	}
}

func TestEveryQuotaHasARow(t *testing.T) {
	t.Parallel()

	seen := map[int]bool{}
	limits := quota.Limits{}
	fields := reflect.ValueOf(&limits).Elem()
	for i := range fields.NumField() {
		fields.Field(i).SetInt(int64(i + 1))
	}
	for _, q := range quotaRows() {
		seen[q.of(limits)] = true
	}
	if len(seen) != fields.NumField() || len(quotaRows()) != fields.NumField() {
		t.Errorf("%d rows show %d of the %d quotas of a plan", len(quotaRows()), len(seen), fields.NumField())
	}
}

func TestNoOperatorIsExplainedThatThereIsNot(t *testing.T) {
	t.Parallel()

	if len(operators()) != len(condition.Operators()) {
		t.Errorf("%d operators are explained, and there are %d", len(operators()), len(condition.Operators()))
	}
}

func TestAPageIsMadeFromTheSameBytesTwice(t *testing.T) {
	t.Parallel()

	document, err := os.ReadFile("../httpapi/openapi.gen.json")
	if err != nil {
		t.Fatal(err)
	}
	again, err := Build(document, everything(t), packages())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(built(t), again) {
		t.Error("two builds from the same sources differ")
	}
}

func TestADocumentThatIsNoObjectIsRefused(t *testing.T) {
	t.Parallel()

	if _, err := Build([]byte("[]"), everything(t), packages()); err == nil {
		t.Error("a list became a documentation")
	}
	if _, err := Build([]byte("{}"), everything(t), fstest.MapFS{}); err == nil {
		t.Error("a documentation was made without its packages")
	}
}
