package render_test

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// payload returns the scope with a decoded event payload.
func payload(t testing.TB, text string) render.Scope {
	t.Helper()
	doc, err := jsonvalue.Object([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return render.Scope{"event_payload": doc}.At(time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC))
}

// documented is the payload of the filters' examples.
const documented = `{"tags": ["vpn", "mail", null, "vpn"], "owner": null, "closed": false,
	"devices": [{"name": "PC-1", "online": true, "free_gb": 12.5}, {"name": "pc-2", "online": false, "free_gb": 4}]}`

func TestEveryFilterDoesWhatItsDocumentationShows(t *testing.T) {
	t.Parallel()

	for _, f := range render.Filters() {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()

			if _, err := render.Paths(f.Example); err != nil {
				t.Error(err)
			}
			if got, err := render.Text(f.Example, payload(t, documented)); err != nil || got != f.Shows {
				t.Errorf("%s shows %q, %v; documented is %q", f.Example, got, err, f.Shows)
			}
			if !regexp.MustCompile(`\| ` + f.Name + `\b`).MatchString(f.Example) {
				t.Errorf("%s is not used in its example", f.Name)
			}
			if !strings.HasSuffix(f.Does, ".") || strings.HasSuffix(f.Does, "..") || !strings.HasPrefix(f.Usage(), f.Name) {
				t.Errorf("%q, %q", f.Does, f.Usage())
			}
		})
	}
}

// The list of filters is part of the API's contract.
func TestTheFilterTableIsComplete(t *testing.T) {
	t.Parallel()

	promised := strings.Fields(`append prepend upcase downcase capitalize strip lstrip rstrip strip_html strip_newlines newline_to_br
		truncate truncatewords replace replace_first remove remove_first split join slice size first last reverse sort sort_natural
		uniq compact map where concat plus minus times divided_by modulo abs round floor ceil at_least at_most date default escape
		url_encode json`)
	kept := strings.Fields(`escape_once remove_last replace_last sum url_decode`) // stored definitions may use these
	ours := []string{render.StripLinks}                                           // not among Liquid's
	var got []string
	for _, f := range render.Filters() {
		got = append(got, f.Name)
	}
	want := slices.Sorted(slices.Values(slices.Concat(promised, kept, ours)))
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

const long = "x" // a text of 250,000 characters, in the tables

func TestFilters(t *testing.T) {
	t.Parallel()

	const data = `{"null": null, "false": false, "text": "Tom & Co", "empty": "", "lines": "a\r\nb\nc\rd", "family": "👨‍👩‍👧 and 🇬🇧",
		"accent": "e\u0301cole", "list": ["b", null, "a", "B", 10, 9.5, true, ["x"], {"k": 1}, "a"], "none": [], "object": {"b": "<", "a": [1]},
		"mixed": [{"n": 2, "l": {"s": "x"}}, {"n": 1.5}, {"n": null}, 7, null, "t", {"n": "1"}],
		"big": 12345678901234567, "huge": 123456789012345678901234567890, "tiny": 0.00000000000000000000000000000001, "exp": 1.5e30, "number": -2.5,
		"html": "<p\nclass=MsoNormal>Hi</p><style>p{color:red}</style>&nbsp;Tom &amp; Co"}`
	scope := payload(t, data)
	scope["long"] = strings.Repeat(long, 250_000)
	scope["words"] = strings.Repeat("wörter \n", 30_000)
	for _, tc := range []struct{ in, want string }{
		// text
		{`event_payload.text | append: event_payload.object`, `Tom & Co{"a":[1],"b":"<"}`},
		{`event_payload.text | append: event_payload.null`, `Tom & Co`},
		{`event_payload.huge | append: "!"`, `123456789012345678901234567890!`},
		{`event_payload.list | prepend: "> "`, `> ["b",null,"a","B",10,9.5,true,["x"],{"k":1},"a"]`},
		{`"straße ŉ ﬁ ς" | upcase`, "STRASSE ʼN FI Σ"},
		{`"ÀÉ ΣΑΣ" | downcase`, "àé σας"},
		{`event_payload.false | upcase`, "FALSE"},
		{`"éCOLE Ünique" | capitalize`, "École ünique"},
		{`"ßX" | capitalize`, "Ssx"},
		{`"" | capitalize`, ""},
		{"'\u00a0\u2003 a b\r\n\t' | strip", "a b"},
		{"'\n a \n' | lstrip", "a \n"},
		{"'\n a \n' | rstrip", "\n a"},
		{`event_payload.html | strip_html`, "Hi Tom & Co"},
		{`"a < b, b > c and a<b" | strip_html`, "a < b, b > c and a<b"},
		{`"<!-- <b>no</b> -->1<br/>2<img alt='>'>3<script>if (a < b) {}</script>4<script/>5" | strip_html`, "12345"},
		{`"<title>A <b>b</b></title><textarea>&lt;x&gt;</textarea><plaintext><i>c" | strip_html`, "A b<x>c"},
		{`"a &#8364; &eacute; &unknown; &" | strip_html`, "a € é &unknown; &"},
		{`"x<STYLE type=a>p{}</STYLE >y" | strip_html`, "xy"},
		{`event_payload.lines | strip_newlines`, "abcd"},
		{`event_payload.lines | newline_to_br`, "a<br />\nb<br />\nc<br />\nd"},
		{`'"<&amp;>' | escape`, "&quot;&lt;&amp;amp;&gt;"},
		{`"it's" | escape`, "it&#39;s"},
		{`'&amp; & &#39; &#x2F; &frac12; &#; &1; <' | escape_once`, "&amp; &amp; &#39; &#x2F; &frac12; &amp;#; &amp;1; &lt;"},
		{`"é /?&=+~*" | url_encode`, "%C3%A9+%2F%3F%26%3D%2B~%2A"},
		{`"%C3%A9+%zz%4" | url_decode`, "é %zz%4"},
		{`"%ff" | url_decode`, "\ufffd"},
		{`event_payload.object | json`, `{"a":[1],"b":"<"}`},
		{`event_payload.null | json`, `null`},
		{`event_payload.exp | json`, `1500000000000000000000000000000`},
		{`'a"b' | json`, `"a\"b"`},

		// cutting
		{`long | truncate: 1004 | size`, "1004"},
		{`long | truncate: 99999999999999999999999 | size`, "250000"},
		{`long | truncate | size`, "50"},
		{"'line one\nline two' | truncate: 12", "line one\n..."},
		{`"Überlänge" | truncate: 7`, "Über..."},
		{`"abcdef" | truncate: 2`, "..."},
		{`"abc" | truncate: 0, ""`, ""},
		{`"abcdef" | truncate: "4"`, "a..."},
		{`"abcdef" | truncate: 4.0, "…"`, "abc…"},
		{`"abc" | truncate: 3`, "abc"},
		{`event_payload.family | truncate: 5, ""`, "👨‍👩‍👧"},
		{`event_payload.family | truncate: 4, ""`, ""},
		{`event_payload.family | truncate: 11, ""`, "👨‍👩‍👧 and "},
		{`event_payload.family | truncate: 12, ""`, "👨‍👩‍👧 and 🇬🇧"},
		{`event_payload.accent | truncate: 1, ""`, ""},
		{`event_payload.accent | truncate: 2, ""`, "e\u0301"},
		{`event_payload.huge | truncate: 8`, "12345..."},
		{`event_payload.object | truncate: 9`, `{"a":[...`},
		{"'a b\n c d' | truncatewords: 3", "a b c..."},
		{"'a b\n c ' | truncatewords: 3", "a b\n c "},
		{`words | truncatewords: 2, ""`, "wörter wörter"},
		{`words | truncatewords: 0`, "wörter..."},
		{`"a b" | truncatewords: 1, event_payload.null`, "a..."},
		{`"größe" | slice: 2`, "ö"},
		{`"größe" | slice: 2, 100`, "öße"},
		{`"größe" | slice: -2, 1`, "ß"},
		{`"größe" | slice: 5, 1`, ""},
		{`"größe" | slice: 6, 1`, ""},
		{`"größe" | slice: -6, 3`, ""},
		{`"größe" | slice: 0, -1`, ""},
		{`"größe" | slice: 1, 99999999999999999999`, "röße"},
		{`event_payload.list | slice: 0, 3`, `["b",null,"a"]`},
		{`event_payload.none | slice: 0`, `[]`},
		{`event_payload.big | slice: 0, 3`, "123"},
		{`"a.b.c" | replace: ".", ""`, "abc"},
		{`"abc" | replace: "", "-"`, "-a-b-c-"},
		{`"äöü" | replace: "ö", event_payload.null`, "äü"},
		{`'a.c' | replace: ".", '\1$0'`, `a\1$0c`},
		{`"abab" | replace_first: "b", "x"`, "axab"},
		{`"abab" | replace_last: "b", "x"`, "abax"},
		{`"abab" | replace_last: "z", "x"`, "abab"},
		{`"abab" | remove: "a"`, "bb"},
		{`"abab" | remove: ""`, "abab"},
		{`"abab" | remove_first: "a"`, "bab"},
		{`"abab" | remove_last: "a"`, "abb"},
		{`"a,b,,c,," | split: ","`, `["a","b","","c"]`},
		{"' a  b\nc ' | split: ' '", `["a","b","c"]`},
		{`"äü" | split: ""`, `["ä","ü"]`},
		{`"" | split: ","`, `[]`},
		{`event_payload.big | split: "5"`, `["1234","678901234","67"]`},
		{`long | split: "" | size`, "250000"},

		// lists
		{`event_payload.list | uniq | join: ","`, `b,,a,B,10,9.5,true,["x"],{"k":1}`},
		{`event_payload.list | compact | size`, "9"},
		{`event_payload.mixed | compact: "n" | size`, "3"},
		{`event_payload.mixed | map: "n"`, `[2,1.5,null,null,null,null,"1"]`},
		{`event_payload.mixed | map: "l.s" | compact`, `["x"]`},
		{`event_payload.object | map: "b"`, `["<"]`},
		{`event_payload.mixed | where: "n" | size`, "3"},
		{`event_payload.mixed | where: "n", 1.50`, `[{"n":1.5}]`},
		{`event_payload.mixed | where: "n", "1"`, `[{"n":"1"}]`},
		{`event_payload.mixed | where: "n", event_payload.null | size`, "3"},
		{`event_payload.mixed | sort: "n" | map: "n"`, `[1.5,2,"1",null,null,null,null]`},
		{`event_payload.mixed | uniq: "n" | size`, "4"},
		{`event_payload.list | sort`, `[9.5,10,"B","a","a","b",true,["x"],{"k":1},null]`},
		{`event_payload.list | sort_natural`, `[9.5,10,"a","a","b","B",true,["x"],{"k":1},null]`},
		{`event_payload.list | reverse | first`, "a"},
		{`event_payload.list | first`, "b"},
		{`event_payload.list | last`, "a"},
		{`event_payload.none | first`, ""},
		{`event_payload.none | last | default: "no"`, "no"},
		{`event_payload.text | first`, ""},
		{`event_payload.text | join: ","`, "Tom & Co"},
		{`event_payload.text | concat: event_payload.none | size`, "1"},
		{`event_payload.list | concat: event_payload.list | size`, "20"},
		{`event_payload.none | join`, ""},
		{`event_payload.mixed | sum: "n"`, "4.5"},
		{`event_payload.none | sum`, "0"},
		{`event_payload.object | size`, "2"},
		{`event_payload.family | size`, "12"},
		{`event_payload.big | size`, "17"},
		{`event_payload.tags | default: event_payload.none | size`, "0"},

		// numbers
		{`7.5 | divided_by: 2`, "3.75"},
		{`event_payload.big | round`, "12345678901234567"},
		{`event_payload.big | times: 1000`, "12345678901234567000"},
		{`event_payload.number | round`, "-3"},
		{`-0.4 | round`, "0"},
		{`0.5 | round`, "1"},
		{`1.005 | round: 2`, "1.01"},
		{`-1.005 | round: 2`, "-1.01"},
		{`12345 | round: -2`, "12300"},
		{`12355 | round: -1`, "12360"},
		{`5 | round: -400`, "0"},
		{`5 | round: -99999999999999999999`, "0"},
		{`1.5 | round: 99999999999999999999`, "1.5"},
		{`"2.50" | round: "1"`, "2.5"},
		{`-1.2 | floor`, "-2"},
		{`-1.2 | ceil`, "-1"},
		{`event_payload.huge | ceil`, "123456789012345678901234567890"},
		{`event_payload.exp | plus: 1`, "1500000000000000000000000000001"},
		{`event_payload.tiny | times: 10`, "0.0000000000000000000000000000001"},
		{`event_payload.tiny | plus: 1`, "1.00000000000000000000000000000001"},
		{`9223372036854775807 | plus: 1`, "9223372036854775808"},
		{`9223372036854775808 | minus: 1`, "9223372036854775807"},
		{`"3.5" | plus: 1`, "4.5"},
		{`" 3 " | plus: " 4 "`, "7"},
		{`0.1 | plus: 0.2`, "0.3"},
		{`7 | divided_by: 2`, "3"},
		{`-7 | divided_by: 2`, "-4"},
		{`7 | divided_by: -2`, "-4"},
		{`1 | divided_by: 3.0`, "0.3333333333333333333333333333333333"},
		{`2 | divided_by: 3.0`, "0.6666666666666666666666666666666667"},
		{`-2 | divided_by: 3.0`, "-0.6666666666666666666666666666666667"},
		{`"2" | divided_by: "3.0" | round: 3`, "0.667"},
		{`1000 | divided_by: 7.0`, "142.8571428571428571428571428571429"},
		{`0.001 | divided_by: 3`, "0.0003333333333333333333333333333333333"},
		{`event_payload.huge | times: event_payload.huge | divided_by: 3.0`, thirdOfTheSquare},
		{`20 | times: 1.0 | divided_by: 7 | round: 2`, "2.86"},
		{`1 | divided_by: 1024.0`, "0.0009765625"},
		{`0 | divided_by: 7.0`, "0"},
		{`7.0 | divided_by: 2`, "3.5"},
		{`8.0 | divided_by: 2`, "4"},
		{`7 | modulo: 3`, "1"},
		{`-7 | modulo: 3`, "2"},
		{`7 | modulo: -3`, "-2"},
		{`-7 | modulo: -3`, "-1"},
		{`-7.5 | modulo: 2`, "0.5"},
		{`6 | modulo: 3`, "0"},
		{`event_payload.number | abs`, "2.5"},
		{`event_payload.huge | at_least: 5`, "123456789012345678901234567890"},
		{`event_payload.huge | at_most: 5.50`, "5.5"},
		{`"4" | at_least: "3"`, "4"},

		// default
		{`event_payload.owner | default: "x"`, "x"},
		{`event_payload.text | default: event_payload.nope`, "Tom & Co"},
		{`event_payload.owner | default: event_payload.nope | default: "nobody"`, "nobody"},
		{`event_payload.null | default: event_payload.nope | default: 0`, "0"},
		{`event_payload.empty | default: "x"`, "x"},
		{`event_payload.none | default: "x"`, "x"},
		{`" " | default: "x"`, " "},
		{`0 | default: "x"`, "0"},
		{`event_payload.false | default: "n/a"`, "n/a"},
		{`event_payload.false | default: "n/a", allow_false: true`, "false"},
		{`event_payload.false | default: "n/a", allow_false: false`, "n/a"},
		{`event_payload.false | default: allow_false: true, "n/a"`, "false"},
		{`event_payload.null | default: "n/a", allow_false: true`, "n/a"},
		{`event_payload.text | default: "n/a", allow_false: event_payload.nope`, "Tom & Co"},
		{`event_payload.false`, "false"},
		{`event_payload.nope | upcase | truncate: 5 | default: "none"`, "none"},
		{`event_payload.text | append: event_payload.nope | default: "none"`, "none"},
		{`event_payload.null | plus: 1 | default: "n/a"`, "n/a"},
		{`event_payload.null | append: event_payload.nope`, ""},
		{`event_payload.owner | default: event_payload.null`, ""},
	} {
		t.Run(tc.in, func(t *testing.T) {
			t.Parallel()

			got, err := render.Text("{{ "+tc.in+" }}", scope)
			if err != nil || got != tc.want {
				t.Errorf("got %.200q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

// thirdOfTheSquare is 123456789012345678901234567890² / 3.
const thirdOfTheSquare = "5080526251079612250165117187512066262500635066625006350700"

// The examples of Shopify's Liquid documentation, filter by filter. A number
// shown there with a trailing zero (4.0) is in canonical form here (4); a
// quotient has 34 digits here, those of floating point there.
func TestTheExamplesOfLiquidsDocumentation(t *testing.T) {
	t.Parallel()

	const data = `{"beatles": ["John", "Paul", "George", "Ringo"], "animals": ["zebra", "octopus", "giraffe", "Sally Snake"],
		"products": [{"title": "Vacuum", "type": "electronics", "available": true}, {"title": "Spatula", "type": "kitchen", "available": false},
			{"title": "Television", "type": "electronics", "available": true}, {"title": "Garlic press", "type": "kitchen", "available": null}],
		"published": "2015-07-17T09:00:00Z"}`
	for _, tc := range []struct{ in, want string }{
		{`{{ -17 | abs }} {{ 4 | abs }} {{ "-19.86" | abs }}`, "17 4 19.86"},
		{`{{ "/my/fancy/url" | append: ".html" }}`, "/my/fancy/url.html"},
		{`{{ 4 | at_least: 5 }} {{ 4 | at_least: 3 }} {{ 4 | at_most: 5 }} {{ 4 | at_most: 3 }}`, "5 4 4 3"},
		{`{{ "title" | capitalize }} {{ "my GREAT title" | capitalize }}`, "Title My great title"},
		{`{{ 1.2 | ceil }} {{ 2.0 | ceil }} {{ 183.357 | ceil }} {{ "3.5" | ceil }}`, "2 2 184 4"},
		{`{{ "apples, oranges, peaches" | split: ", " | concat: event_payload.beatles | join: "-" }}`, "apples-oranges-peaches-John-Paul-George-Ringo"},
		{`{{ event_payload.published | date: "%a, %b %d, %y" }} {{ event_payload.published | date: "%Y" }}`, "Fri, Jul 17, 15 2015"},
		{`{{ "March 14, 2016" | date: "%b %d, %y" }}`, "Mar 14, 16"},
		{`{{ event_payload.product_price | default: 2.99 }} {{ 4.99 | default: 2.99 }} {{ "" | default: 2.99 }}`, "2.99 4.99 2.99"},
		{`{{ false | default: true, allow_false: true }}`, "false"},
		{`{{ 16 | divided_by: 4 }} {{ 5 | divided_by: 3 }} {{ 20 | divided_by: 7 }}`, "4 1 2"},
		{`{{ 20 | divided_by: 7.0 | round: 14 }}`, "2.85714285714286"},
		{`{{ "Parker Moore" | downcase }} {{ "apple" | downcase }}`, "parker moore apple"},
		{`{{ "Have you read 'James & the Giant Peach'?" | escape }}`, "Have you read &#39;James &amp; the Giant Peach&#39;?"},
		{`{{ "1 < 2 & 3" | escape_once }} {{ "1 &lt; 2 &amp; 3" | escape_once }}`, "1 &lt; 2 &amp; 3 1 &lt; 2 &amp; 3"},
		{`{{ "Ground control to Major Tom." | split: " " | first }} {{ "Ground control to Major Tom." | split: " " | last }}`, "Ground Tom."},
		{`{{ 1.2 | floor }} {{ 2.0 | floor }} {{ 183.357 | floor }} {{ "3.5" | floor }}`, "1 2 183 3"},
		{`{{ event_payload.beatles | join: " and " }}`, "John and Paul and George and Ringo"},
		{`{{ "          So much room for activities          " | lstrip }}!`, "So much room for activities          !"},
		{`{{ "          So much room for activities          " | rstrip }}!`, "          So much room for activities!"},
		{`{{ "          So much room for activities          " | strip }}!`, "So much room for activities!"},
		{`{{ event_payload.products | map: "type" | uniq | join: " " }}`, "electronics kitchen"},
		{`{{ 4 | minus: 2 }} {{ 16 | minus: 4 }} {{ 183.357 | minus: 12 }}`, "2 12 171.357"},
		{`{{ 3 | modulo: 2 }} {{ 24 | modulo: 7 }} {{ 183.357 | modulo: 12 }}`, "1 3 3.357"},
		{"{{ '\nHello\nthere\n' | newline_to_br }}", "<br />\nHello<br />\nthere<br />\n"},
		{`{{ 4 | plus: 2 }} {{ 16 | plus: 4 }} {{ 183.357 | plus: 12 }}`, "6 20 195.357"},
		{`{{ "apples, oranges, and bananas" | prepend: "Some fruit: " }}`, "Some fruit: apples, oranges, and bananas"},
		{`{{ "I strained to see the train through the rain" | remove: "rain" }}`, "I sted to see the t through the "},
		{`{{ "I strained to see the train through the rain" | remove_first: "rain" }}`, "I sted to see the train through the rain"},
		{`{{ "I strained to see the train through the rain" | remove_last: "rain" }}`, "I strained to see the train through the "},
		{`{{ "Take my protein pills and put my helmet on" | replace: "my", "your" }}`, "Take your protein pills and put your helmet on"},
		{`{{ "Take my protein pills and put my helmet on" | replace_first: "my", "your" }}`, "Take your protein pills and put my helmet on"},
		{`{{ "Take my protein pills and put my helmet on" | replace_last: "my", "your" }}`, "Take my protein pills and put your helmet on"},
		{`{{ "apples, oranges, peaches, plums" | split: ", " | reverse | join: ", " }}`, "plums, peaches, oranges, apples"},
		{`{{ "Ground control to Major Tom." | split: "" | reverse | join: "" }}`, ".moT rojaM ot lortnoc dnuorG"},
		{`{{ 1.2 | round }} {{ 2.7 | round }} {{ 183.357 | round: 2 }}`, "1 3 183.36"},
		{`{{ "Ground control to Major Tom." | size }} {{ event_payload.beatles | size }} {{ event_payload.beatles.size }}`, "28 4 4"},
		{`{{ "Liquid" | slice: 0 }} {{ "Liquid" | slice: 2 }} {{ "Liquid" | slice: 2, 5 }} {{ "Liquid" | slice: -3, 2 }}`, "L q quid ui"},
		{`{{ event_payload.beatles | slice: 1, 2 | join: "" }} {{ event_payload.beatles | slice: -2, 2 | join: "" }}`, "PaulGeorge GeorgeRingo"},
		{`{{ event_payload.animals | sort | join: ", " }}`, "Sally Snake, giraffe, octopus, zebra"},
		{`{{ event_payload.animals | sort_natural | join: ", " }}`, "giraffe, octopus, Sally Snake, zebra"},
		{`{{ "Have <em>you</em> read <strong>Ulysses</strong>?" | strip_html }}`, "Have you read Ulysses?"},
		{"{{ '\nHello\nthere\n' | strip_newlines }}", "Hellothere"},
		{`{{ 3 | times: 2 }} {{ 24 | times: 7 }} {{ 183.357 | times: 12 }}`, "6 168 2200.284"},
		{`{{ "Ground control to Major Tom." | truncate: 20 }}`, "Ground control to..."},
		{`{{ "Ground control to Major Tom." | truncate: 25, ", and so on" }}`, "Ground control, and so on"},
		{`{{ "Ground control to Major Tom." | truncate: 20, "" }}`, "Ground control to Ma"},
		{`{{ "Ground control to Major Tom." | truncatewords: 3 }}`, "Ground control to..."},
		{`{{ "Ground control to Major Tom." | truncatewords: 3, "--" }}`, "Ground control to--"},
		{`{{ "Ground control to Major Tom." | truncatewords: 3, "" }}`, "Ground control to"},
		{`{{ "ants, bugs, bees, bugs, ants" | split: ", " | uniq | join: ", " }}`, "ants, bugs, bees"},
		{`{{ "Parker Moore" | upcase }} {{ "APPLE" | upcase }}`, "PARKER MOORE APPLE"},
		{`{{ "%27Stop%21%27+said+Fred" | url_decode }}`, "'Stop!' said Fred"},
		{`{{ "john@liquid.com" | url_encode }} {{ "Tetsuro Takara" | url_encode }}`, "john%40liquid.com Tetsuro+Takara"},
		{`{{ event_payload.products | where: "type", "kitchen" | map: "title" | join: ", " }}`, "Spatula, Garlic press"},
		{`{{ event_payload.products | where: "available" | map: "title" | join: ", " }}`, "Vacuum, Television"},
	} {
		t.Run(tc.in, func(t *testing.T) {
			t.Parallel()

			if got, err := render.Text(tc.in, payload(t, data)); err != nil || got != tc.want {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestAValueThatCannotBeFilledHasAPlainError(t *testing.T) {
	t.Parallel()

	scope := payload(t, `{"x": "3/9/2026 2:23:01 PM", "o": {"a": 1}, "l": [1, "2"], "n": 0, "s": "abc", "b": true, "neg": -1, "half": 1.5, "zone": "Mars/Base"}`)
	scope["long"] = strings.Repeat("y", 250_000)
	scope["many"] = slices.Repeat([]any{int64(1)}, 300_000)
	for in, want := range map[string]string{
		`event_payload.x | date: "%Y"`:                          `{{ event_payload.x | date: "%Y" }}: "3/9/2026 2:23:01 PM" is not a date such as "2026-03-09T14:23:01Z"`,
		`event_payload.nope`:                                    `There is no value at event_payload.nope.`,
		`event_payload.nope | default: event_payload.no["x y"]`: `There is no value at event_payload.nope or event_payload.no["x y"], which {{ event_payload.nope | default: event_payload.no["x y"] }} needs.`,
		`event_payload.s | append: event_payload.nope`:          `There is no value at event_payload.nope, which {{ event_payload.s | append: event_payload.nope }} needs.`,
		`event_payload.s | plus: 1`:                             `{{ event_payload.s | plus: 1 }}: "abc" is not a number.`,
		`event_payload.o | plus: 1`:                             `an object is not a number.`,
		`event_payload.l | times: 2`:                            `a list of 2 is not a number.`,
		`event_payload.b | round`:                               `true is not a number.`,
		`1 | plus: event_payload.s`:                             `the argument number of plus: "abc" is not a number.`,
		`1 | divided_by: event_payload.n`:                       `the argument number of divided_by: a number cannot be divided by zero.`,
		`1 | modulo: event_payload.n`:                           `a number cannot be divided by zero.`,
		`event_payload.s | truncate: event_payload.neg`:         `the argument length of truncate: -1 is less than 0.`,
		`event_payload.s | truncate: event_payload.half`:        `the argument length of truncate: 1.5 is not a whole number.`,
		`event_payload.l | concat: event_payload.s`:             `the argument list of concat: "abc" is not a list.`,
		`event_payload.l | map: event_payload.n`:                `the argument property of map: 0 is not the name of a property.`,
		`event_payload.l | sum | append: event_payload.o | sum`: `"3{\"a\":1}" is not a number.`,
		`event_payload.o | date: "%Y"`:                          `an object is not a date such as`,
		`event_payload.b | date: "%Y"`:                          `true is not a date such as`,
		`"2026-03-09" | date: event_payload.s | date: "%Y"`:     `"abc" is not a date such as`,
		`"2026-03-09" | date: "%Y", event_payload.zone`:         `the argument zone of date: "Mars/Base" is not a time zone such as "Europe/London"`,
		`false | default: "x", allow_false: event_payload.s`:    `the argument allow_false of default: "abc" is neither true nor false.`,
		`long`:                      `{{ long }}: its value has 250000 bytes; 65536 are allowed; the filter truncate shortens a text.`,
		`long | upcase`:             `{{ long | upcase }}: its value has 250000 bytes; 65536 are allowed;`,
		`long | replace: "y", long`: `the result of a filter would have 62500000000 bytes; 4194304 are allowed.`,
		`many | join: long`:         `bytes; 4194304 are allowed.`,
		`many | concat: many`:       `its result would have more than 524288 items.`,
		`long | escape | newline_to_br | replace: "y", "yyyyyyyyyy" | split: ""`: `its result would have more than 524288 items.`,
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()

			got, err := render.Text("{{ "+in+" }}", scope)
			if !errors.Is(err, render.ErrTemplate) || !strings.Contains(err.Error(), want) {
				t.Errorf("got %.80q, %v; want %s", got, err, want)
			} else if s := err.Error(); len(s) > 400 || strings.Contains(s, "..") {
				t.Errorf("%s", s)
			}
		})
	}
}

func TestATemplateThatCanNeverBeFilledIsRefusedOnSaving(t *testing.T) {
	t.Parallel()

	for in, want := range map[string]string{
		"{{ a | trunc: 5 }}": `There is no filter "trunc" in {{ a | trunc: 5 }}; there are truncate, `,

		"{{ a | uppcase }}": `there are upcase, `,

		"{{ a | strftime: '%Y' }}": `abs, append, at_least, at_most, capitalize`,

		"{{ a | sotr }}": `there are sort, `,

		"{{ a | | upcase }}": `{{ a | | upcase }}: a filter's name follows after |;`,

		"{{ a | upcase: 1 }}": `{{ a | upcase: 1 }}: upcase has too many arguments: upcase.`,

		"{{ a | truncate: 1, '', 2 }}": `truncate has too many arguments: truncate[: length][, ellipsis].`,

		"{{ a | append }}": `append needs its argument text: append: text.`,

		"{{ a | replace: 'x' }}": `replace needs its argument replacement: replace: search, replacement.`,

		"{{ a | default }}": `default needs its argument value: default: value[, allow_false: true].`,

		"{{ a | default: allow_false: true }}": `default needs its argument value`,

		"{{ a | default: 1, allow: true }}": `default has no argument with the name allow: default: value`,

		"{{ a | default: 1, allow_false: 1 }}": `the argument allow_false of default: 1 is neither true nor false.`,

		"{{ a | default: allow_false: true, allow_false: true, 1 }}": `default has its argument allow_false twice.`,

		"{{ a | truncate: length: 5 }}": `truncate has no argument with the name length`,

		"{{ a | append: }}": `append lacks an argument after its colon or comma: append: text.`,

		"{{ a | append: 'x', }}": `append lacks an argument`,

		"{{ a | truncate: 'x' }}": `the argument length of truncate: "x" is not a number.`,

		"{{ a | truncate: -5 }}": `the argument length of truncate: -5 is less than 0.`,

		"{{ a | truncate: 1.5 }}": `the argument length of truncate: 1.5 is not a whole number.`,

		"{{ a | slice: true }}": `the argument first of slice: true is not a number.`,

		"{{ a | slice: nil }}": `the argument first of slice: null is not a number.`,

		"{{ a | divided_by: 0 }}": `the argument number of divided_by: a number cannot be divided by zero.`,

		"{{ a | divided_by: 0.00 }}": `a number cannot be divided by zero.`,

		"{{ a | modulo: '0' }}": `a number cannot be divided by zero.`,

		"{{ a | plus: 'x' }}": `"x" is not a number.`,

		"{{ a | concat: 'x' }}": `the argument list of concat: "x" is not a list.`,

		"{{ a | map: 5 }}": `the argument property of map: 5 is not the name of a property.`,

		"{{ a | map: '' }}": `the argument property of map: "" is not the name of a property.`,

		"{{ a | date: '%Q' }}": `the argument format of date: "%Q" is not a directive of a date's format; there are %Y`,

		"{{ a | date: '%Y %' }}": `"%" is not a directive`,

		"{{ a | date: '%500d' }}": `"%500d" is not a directive`,

		"{{ a | date: '%é' }}": `"%é" is not a directive`,

		"{{ a | date: '%Y', 'Europ/London' }}": `the argument zone of date: "Europ/London" is not a time zone such as`,

		"{{ a | date: '%Y', 'Local' }}": `"Local" is not a time zone such as`,

		"{{ a | date: '%Y', '../etc/passwd' }}": `"../etc/passwd" is not a time zone such as`,

		"{{ 'x' | plus: 1 }}": `{{ 'x' | plus: 1 }}: "x" is not a number.`,

		"{{ '3/9/2026' | date: '%Y' }}": `"3/9/2026" is not a date such as`,

		"{{ 1 + 1 }}": `{{ 1 + 1 }}: "+" does not belong after 1; a filter follows after |.`,

		"{{ a == b }}": `"=" does not belong after a; a filter follows after |.`,

		"{{ a b }}": `"b" does not belong after a; a filter follows after |.`,

		"{{ }}": `{{  }}: the placeholder is empty; name a value such as event_payload.subject.`,

		"{{- a -}}": `a placeholder begins with {{ and ends with }}, without a dash.`,

		"{{ a.b": `A placeholder is not closed by }}: {{ a.b`,

		"{{ a | append: 'x }}": `a quoted text has no closing quote;`,

		"{{ a. }}": `{{ a. }}: " " is found where a name is expected`,

		"{{ a[x] }}": `is not an index`,

		"{{ 1.2.3 }}": `"1.2.3" is neither a number nor a path.`,

		"{{ 1e999 }}": `"1e999" is neither a number nor a path.`,

		"{% if a %}": `Tags ({% … %}) are not allowed; only outputs ({{ … }}) are.`,

		"{{ a" + strings.Repeat(" | upcase", 11) + "}}": `a placeholder may have at most 10 filters.`,

		"{{ a | append: '" + strings.Repeat("x", 2000) + "' }}": `a placeholder may have at most 2000 bytes.`,
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()

			_, err := render.Paths(in)
			if !errors.Is(err, render.ErrTemplate) || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v; want %s", err, want)
			}
			if err != nil && (strings.HasSuffix(err.Error(), "..") || !strings.Contains(in, "no filter") && len(err.Error()) > 900) {
				t.Errorf("%s", err)
			}
			if _, err := render.Text(in, payload(t, `{}`)); err == nil {
				t.Errorf("%s is filled all the same", in)
			}
		})
	}
	for _, in := range []string{
		`{{ "now" | date: "%s" | divided_by: 60 }}`, `{{ a | truncate: 99999999999999999999999999 }}`, `{{ a | default: b | default: "x" }}`,
		`{{ a["x | y"].b['z }} '] | append: "}}" }}`, `{{ a | default: false, allow_false: b.c }}`, `{{ nil | append: "x" }}`,
		`{{ a | date: "%-d.%-m. %^a %010Y %3N %:z %_H %% %e %l", "Asia/Kathmandu" }}`, `{{ a | date: "%Y", "+02:00" }}`, `{{ true.x }}`,
	} {
		if _, err := render.Paths(in); err != nil {
			t.Errorf("%s: %v", in, err)
		}
	}
}

// ours are traces of a library, of Go or of floating point in a text.
var ours = regexp.MustCompile(`map\[|float|interface|runtime|goroutine|panic|strconv|big\.|%!|0x|nil\b|reflect|\[\]any|time:|parsing|tokeniz|` +
	`cannot be filled|[0-9]e\+[0-9]|^-?[0-9.]+e-[0-9]+$|NaN|Inf\b|\\u00|<nil>`)

func TestEveryFilterTakesEveryKindOfValue(t *testing.T) {
	t.Parallel()

	values := map[string]any{
		"null": nil, "true": true, "false": false, "zero": int64(0), "one": int64(1), "minus": int64(-1), "big": int64(9223372036854775807),
		"least": int64(-9223372036854775808), "fraction": jsonvalue.Number("-0.5"), "tiny": jsonvalue.Number("0." + strings.Repeat("0", 399) + "1"),
		"huge": jsonvalue.Number("1" + strings.Repeat("0", 400)), "digits": "00123", "exponent": "1E5", "far": "1E400", "beyond": "1E99999999999", "empty": "",
		"blank": " ", "text": "R&D <b>", "lines": "a\r\n\r\nb\n", "emoji": "👨‍👩‍👧", "broken": "\xff\xfe", "control": "\x00\x1b", "time": "2026-03-09T14:23:01Z",
		"format": "%", "year": "%Y", "zone": "Europe/London", "list": []any{"a", nil, int64(2)}, "none": []any{}, "nested": []any{[]any{[]any{}}, map[string]any{"a": nil}},
		"object": map[string]any{"a": map[string]any{}, "<": "&"}, "nothing": map[string]any{}, "go": time.Unix(0, 0), "int": 7, "values": jsonvalue.Values{"a": int64(1)},
		"quotient": 1.5e300, "ms": int64(1741530181123), "cut": "<b <script>&#0;",
	}
	names := slices.Sorted(maps.Keys(values))
	scope := render.Scope{"values": values}.At(time.Unix(0, 0))
	for _, f := range render.Filters() {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()

			for _, v := range names {
				in := "{{ values['" + v + "'] | " + f.Name
				if len(f.Arguments) == 0 {
					look(t, in+" }}", scope)
				}
				for i := range f.Arguments {
					for _, varied := range names {
						for _, other := range []string{"one", "text", "year", "zone"} {
							args := make([]string, len(f.Arguments))
							for j, a := range f.Arguments {
								args[j] = "values['" + other + "']"
								if i == j {
									args[j] = "values['" + varied + "']"
								}
								if a.Named {
									args[j] = a.Name + ": " + args[j]
								}
							}
							look(t, in+": "+strings.Join(args, ", ")+" }}", scope)
							if len(f.Arguments) == 1 {
								break
							}
						}
					}
				}
			}
		})
	}
}

// look fails when a placeholder panics, or when its value or error shows
// internals.
func look(t *testing.T, in string, s render.Scope) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s: %v", in, p)
		}
	}()
	v, err := render.Unguarded(in, s)
	text := render.String(v)
	if err != nil {
		text = err.Error()
	}
	if found := ours.FindString(strings.NewReplacer(`\u0000`, "", `\u001b`, "").Replace(text)); found != "" {
		t.Errorf("%s shows %q: %.200q", in, found, text)
	}
}

func TestATemplateWithTruncateAcceptsEveryValidEvent(t *testing.T) {
	t.Parallel()

	const size = 256 << 10
	fill := func(unit string) string { return strings.Repeat(unit, size/len(unit)) }
	values := map[string]any{
		"letters": fill("x"), "quotes": fill(`"`), "tags": fill("<b>"), "open": fill("<"), "entities": fill("&amp;"), "lines": fill("\n"), "emoji": fill("👨‍👩‍👧"),
		"marks": "e" + fill("\u0301"), "sharp": fill("ß"), "words": fill("a "), "comments": fill("<!--"), "styles": fill("<style>"), "control": fill("\x01"),
		"digits": fill("7"), "number": jsonvalue.Number(fill("7")), "fraction": jsonvalue.Number("0." + fill("7")), "list": slices.Repeat([]any{"a"}, size/4),
		"numbers": slices.Repeat([]any{int64(7)}, size/2), "objects": slices.Repeat([]any{map[string]any{"a": "b"}}, size/10),
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			for _, before := range []string{
				"", "| upcase ", "| capitalize ", "| strip_html ", "| newline_to_br ", "| escape_once ",
				"| url_encode ", "| url_decode ", "| json ", "| append: '!' ", "| replace: 'x', 'yyyyyyyy' ", "| remove: 'x' ", "| split: ' ' ", "| split: '' ",
				"| split: '' | join: ', ' ", "| uniq ", "| sort ", "| sort_natural ", "| reverse ", "| compact ", "| map: 'a' | join: ',' ", "| where: 'a', 'b' ", "| size ", "| first ",
				"| default: 'none' | strip_html | strip | replace: '  ', ' ' | escape ", "| slice: 0, 200000 ", "| truncatewords: 100000 ",
			} {
				in := "{{ v " + before + "| truncate: 100 }}"
				got, err := render.Text(in, render.Scope{"v": v})
				if err != nil || len([]rune(got)) > 100 {
					t.Errorf("%s: %.100q, %v", in, got, err)
				}
			}
		})
	}
}

func TestCalculationsAcceptLongNumbers(t *testing.T) {
	t.Parallel()

	long := jsonvalue.Number(strings.Repeat("7", 256<<10))
	for in, want := range map[string]string{
		"{{ n | plus: 1 | truncate: 5 }}": "77...", "{{ n | modulo: 10 }}": "7", "{{ n | at_most: 5 }}": "5", "{{ n | round: -262143 | slice: 0, 3 }}": "800",
	} {
		if got, err := render.Text(in, render.Scope{"n": long}); err != nil || got != want {
			t.Errorf("%s is %.80q, %v", in, got, err)
		}
	}
}

func TestTheWorkOfATextIsBounded(t *testing.T) {
	t.Parallel()

	scope := render.Scope{
		"long": strings.Repeat("x", 256<<10), "number": jsonvalue.Number(strings.Repeat("7", 256<<10)), "one": jsonvalue.Number("0." + strings.Repeat("0", 260_000) + "1"),
	}
	for _, hole := range []string{
		"{{ long" + strings.Repeat(" | upcase", 9) + " | size }}",
		"{{ long | split: '' | sort | uniq | size }}",
		"{{ number | plus: 1 | modulo: 7 }}",
		"{{ number | divided_by: 7.0 | modulo: 7 }}",
	} {
		if _, err := render.Text(strings.Repeat(hole, 1000), scope); !errors.Is(err, render.ErrTemplate) || !strings.Contains(err.Error(), "process too much data") {
			t.Errorf("%s: %v", hole, err)
		}
	}
}

//nolint:paralleltest // it measures time
func TestWorkGrowsInProportionToSize(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures time")
	}
	const small, times = 8 << 10, 16
	for unit, chains := range map[string][]string{
		"x":        {"upcase", "truncate: 100", "replace: 'x', 'y'", "replace: 'xx', ''", "split: '' | uniq", "slice: -5, 5", "url_encode", "escape_once"},
		"<":        {"strip_html", "escape"},
		"<a <!-- ": {"strip_html"},
		"<script":  {"strip_html"},
		"</style>": {"strip_html"},
		"&":        {"escape_once", "strip_html"},
		"e\u0301":  {"truncate: 5000", "capitalize"},
		"a \n":     {"truncatewords: 5000", "strip_newlines", "split: ' ' | sort | join", "strip"},
		"👨‍👩‍👧":    {"truncate: 5000", "size"},
	} {
		for _, chain := range chains {
			in := "{{ v | " + chain + " | size }}"
			measure := func(n int) time.Duration {
				scope := render.Scope{"v": strings.Repeat(unit, n/len(unit))}
				best := time.Hour
				for range 3 {
					start := time.Now()
					if _, err := render.Text(in, scope); err != nil {
						t.Fatalf("%s: %v", in, err)
					}
					best = min(best, time.Since(start))
				}
				return best
			}
			if few, many := measure(small), measure(small*times); many > 300*time.Millisecond && many > few*times*6 {
				t.Errorf("%s of %q: %v for %d bytes, %v for %d times as many", in, unit, few, small, many, times)
			}
		}
	}
}

//nolint:paralleltest // it counts allocations
func TestAPlaceholderWithoutFiltersIsCheap(t *testing.T) {
	scope := scope()
	for in, most := range map[string]float64{
		"no placeholder": 2, "{{ event_payload.priority }}": 12, "Ticket {{ event_payload.priority }} of {{ event_payload.subject }}": 24,
	} {
		if got := testing.AllocsPerRun(100, func() { _, _ = render.Text(in, scope) }); got > most {
			t.Errorf("%s takes %v allocations; %v are enough", in, got, most)
		}
	}
}

func BenchmarkText(b *testing.B) {
	for _, in := range []string{
		"Ticket {{ event_payload.priority }}", `Ticket {{ event_payload.priority | default: "none" | upcase }}`, `{{ event_payload.big | strip_html | truncate: 100 }}`,
		`{{ event_payload.count | times: 1.5 | round: 2 }}`,
	} {
		b.Run(in, func(b *testing.B) {
			scope := scope()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := render.Text(in, scope); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// positions returns the number of positional arguments.
func positions(f render.Filter) int {
	n := 0
	for _, a := range f.Arguments {
		if !a.Named {
			n++
		}
	}
	return n
}

func FuzzFilters(f *testing.F) {
	for _, filter := range render.Filters() {
		f.Add(filter.Name, "R&D\n<b>👨‍👩‍👧", "1.5", "x")
	}
	f.Add("date", "2026-03-09T14:23:01.5+02:00", "%10N%-d%^a%:z", "Europe/London")
	f.Add("replace", strings.Repeat("x", 1000), "x", strings.Repeat("y", 100_000))
	f.Fuzz(func(t *testing.T, name, v, a, b string) {
		i := slices.IndexFunc(render.Filters(), func(f render.Filter) bool { return f.Name == name })
		if i < 0 {
			t.Skip()
		}
		in := "{{ v | " + name + []string{"", ": a", ": a, b"}[positions(render.Filters()[i])]
		for _, value := range []any{v, []any{v, a, nil}, map[string]any{a: v}} {
			got, err := render.Unguarded(in+" }}", render.Scope{"v": value, "a": a, "b": b})
			if text, ok := got.(string); err == nil && ok && len(text) > render.MaxOutput {
				t.Errorf("%s: %d bytes", in, len(text))
			}
			if err != nil && strings.Contains(err.Error(), "panic") && !strings.Contains(fmt.Sprint(v, a, b), "panic") {
				t.Errorf("%s: %v", in, err)
			}
		}
	})
}
