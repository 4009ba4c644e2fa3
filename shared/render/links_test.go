package render_test

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/render"
)

func stripped(t interface{ Fatal(args ...any) }, text string) string {
	got, err := render.Text("{{ text | strip_links }}", render.Scope{"text": text})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestATextWithoutLinksReadsAsBefore(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		"Hello Jane,\n\nwe are looking at it now.":             "Hello Jane,\n\nwe are looking at it now.",
		"It takes 2.5 hours (until 10:30 or 11 a.m.), e.g. 3.": "It takes 2.5 hours (until 10:30 or 11 a.m.), e.g. 3.",
		"Windows 10.0.19045.3803 at 192.168.1.20 is v2.0.":     "Windows 10.0.19045.3803 at 192.168.1.20 is v2.0.",
		"Is drive D: full? Look at C:\\Users\\jane\\Desktop.":  "Is drive D: full? Look at C:\\Users\\jane\\Desktop.",
		"Tom & Jerry, and/or 5 < 6 > 4, 2*3, some_name":        "Tom & Jerry, and/or 5 < 6 > 4, 2*3, some_name",
		"The ticket #48213 is yours, @mark – ok?":              "The ticket #48213 is yours, @mark – ok?",
		"Grüße aus Köln. Ça va? 日本語。ありがとう。":                    "Grüße aus Köln. Ça va? 日本語。ありがとう。",
		"First.Second, report.pdf, wait...what":                "First. Second, report. pdf, wait... what",
		"Status:open":                                          "Status: open",
		"# Title\n> said **she** _here_ with `code`":           "Title\nsaid she here with code",
		"": "",
	} {
		if got := stripped(t, text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestALinkIsReplacedAndItsTextStays(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		"Sign in at https://evil.example/login now.":         "Sign in at (link removed) now.",
		"Sign in at [our portal](https://evil.example/a b)":  "Sign in at our portal (link removed)",
		"Sign in (https://evil.example).":                    "Sign in (link removed).",
		`<p>See <a href="https://evil.example">this</a></p>`: "See this",
		"Write to help@evil.example, please":                 "Write to (link removed), please",
		"Go to evil.com!":                                    "Go to (link removed)!",
	} {
		if got := stripped(t, text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// A program that looks for links in plain text, in Markdown or in HTML finds one
// by these.
var (
	linkMarks = regexp.MustCompile(`(?i)//|\]\s?\(|\]:|\[|\]|<[a-z/!?]|&[a-z#]|\bwww\.|@[a-z0-9-]+\.[a-z]|\\\\|` +
		`\b(?:mailto|tel|javascript|data|https?|file|vbscript):\S`)
	linkHost = regexp.MustCompile(`(?i)[\pL\pN-]\.(?:com|net|org|io|example|test|xn--[a-z0-9-]+|рф|zip)\b`)
)

func isClean(t interface {
	Errorf(format string, args ...any)
}, from, text string,
) {
	if found := linkMarks.FindString(text); found != "" {
		t.Errorf("%q becomes %q, which has %q", from, text, found)
	}
	if found := linkHost.FindString(text); found != "" && !regexp.MustCompile(`\.[A-Z][a-z]+$`).MatchString(found) {
		t.Errorf("%q becomes %q, which has the host %q", from, text, found)
	}
}

// Each text shows a link in some program.
func attacks() []string {
	return []string{
		"https://evil.com", "HTTPS://EVIL.COM/x?y=z#w", "hTTp://evil.com", "http:evil.com", "https:/evil.com", "//evil.com/x", `\\evil.com\share`, `\\server\share`,
		"ftp://evil.com", "hxxps://evil.com", "steam://run/1", "slack://open", "mailto:a@evil.com", "MAILTO:a@evil.com", "tel:+15551234567", "javascript:alert(1)",
		"JavaScript:alert(1)", "java\tscript:alert(1)", "data:text/html,<script>", "vbscript:x", "file:///etc/passwd", "ms-word:ofe|u|https://evil.com",
		"evil.com", "www.evil.com", "www.evil", "WWW.EVIL.COM", "sub.evil.co.uk", "evil.com/login", "evil.com:8080", "evil.com?x", "evil.com#x", "evil.com.", "(evil.com)",
		"'evil.com'", "\"evil.com\"", "evil.com,", "evil.com;x", "xn--80ak6aa92e.com", "пример.рф", "example.xn--p1ai", "аррӏе.com", "evil.zip", "evil.example", "eViL.cOm",
		"a@evil.com", "a@evil.com,b@evil.com", "user:pw@evil.com", "10.0.0.1/login", "10.0.0.1:8080/x", "http://3232235777/", "http://[::1]/", "http://0x7f.1/",
		"[x](https://evil.com)", "[x](evil.com)", "[x](/login)", "[x](<https://evil.com>)", "[x]( https://evil.com \"t\")", "![x](https://evil.com/p.png)", "[x][1]\n\n[1]: https://evil.com",
		"[x][1]\n\n[1]: /login", "[x]\n\n[x]: /login", "[[x]](/login)", "[x\ny](/login)", "[a [b](/c)](/d)", "<https://evil.com>", "<a@evil.com>", "[![x](/a)](/b)", `[x\](/y)`, `\[x](/y)`,
		`<a href="https://evil.com">x</a>`, `<a href=/login>x</a>`, "<a\nhref='//evil.com'>x</a>", `<A HREF=evil.com>x`, `<a href="https://evil.com`, "<img src=//evil.com/p>", "<svg/onload=x>",
		"&lt;a href=&quot;https://evil.com&quot;&gt;x&lt;/a&gt;", "&amp;lt;a href=//evil.com&amp;gt;x", strings.Repeat("&amp;", 1) + strings.Repeat("amp;", 20) + "lt;a href=x&gt;",
		"https&#58;//evil.com", "evil&#46;com", "evil&#x2e;com", "evil&period;com", "evil&amp;#46;com", "&#104;ttps://evil.com", "evil&" + strings.Repeat("amp;", 12) + "#46;com",
		"ｈｔｔｐｓ：／／ｅｖｉｌ．ｃｏｍ", "evil．com", "evil。com", "evil｡com", "evil․com", "evil﹒com", "https:∕∕evil.com", "https:⁄⁄evil.com", "https：//evil.com", "https∶//evil.com", "a＠evil.com",
		"ⓔⓥⓘⓛ.ⓒⓞⓜ", "𝐞𝐯𝐢𝐥.𝐜𝐨𝐦", "evil.ⅽom", "evil.co\u200bm", "evil\u200b.com", "evil.\u2060com", "ht\u00adtps://evil.com", "evil.com\u202e", "e\ufe0fvil.c\ufe0fom", "evil.\ufe0fcom", "evil\u034f.com",
		"evil\u180e.com", "evil.\u3164com", "evil.\ue0020com", "ev**il.c**om", "evil.**com**", "evil**.**com", "evil._com_", "evil`.`com", "evil.`com`", `evil\.com`, `https\://evil.com`, `https:\//evil.com`, "evil~~.~~com", "__evil__.com",
		"*[x](/y)*", "> [x](/y)", "# https://evil.com", "[url=https://evil.com]x[/url]", "[url]evil.com[/url]", "[[https://evil.com x]]", "[https://evil.com x]", "\"x\":https://evil.com", "\"x\":/login",
		"{link:https://evil.com}", "`x <https://evil.com>`_", "link:https://evil.com[x]", "请访问https://evil.com查看", "see:evil.com", "see-evil.com", "x/evil.com", "a|evil.com|b", "evil.com\u00a0x", "evil.com\u2003x",
		"evil<!-- x -->.com", "evil<wbr>.com", "e<b>vil.c</b>om", "<script>x</script>evil.com", "<style>", "<!--", "<![CDATA[ https://evil.com ]]>", "evil.com\x00", "evil\x00.com", "evil.c\u0007om", "evil.com…", "…evil.com",
		"C:\\evil.com", "C:\\\\evil\\share", "aa:bb:cc:evil.com", "www1.evil", "evil..com", "evil.\ncom", "ev\r\nil.com", "evil .com", "evil. com",
	}
}

func TestNoLinkPasses(t *testing.T) {
	t.Parallel()

	for _, attack := range attacks() {
		for _, text := range []string{attack, "Please use " + attack + " today.", "(" + attack + ")", "**" + attack + "**", "a\n" + attack + "\nb", "x," + attack, attack + attack} {
			isClean(t, text, stripped(t, text))
		}
	}
}

func TestNoMixtureOfLinksPasses(t *testing.T) {
	t.Parallel()

	pieces := append(attacks(), "*", "_", "`", "[", "]", "(", ")", "<", ">", "&", "amp;", "#46;", ".", ":", "/", "\\", "com", "evil", "http", "www", "@", " ", "\n",
		"\u200b", "\ufe0f", "。", "．", "“", "!", "~~", "|", "=", "a", "Z", "1", "lt;", "&#", "x2f;", "</a>", "<!--", "-->")
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 12).Draw(t, "pieces"), "")
		once := stripped(t, text)
		isClean(t, text, once)
		if !utf8.ValidString(once) {
			t.Errorf("%q becomes %q", text, once)
		}
		if twice := stripped(t, once); len(twice) > len(once)+100 {
			t.Errorf("%q grows: %q, %q", text, once, twice)
		}
	})
}

// Whatever a text has, stripping it takes time in proportion to its length.
//
//nolint:paralleltest // it measures time
func TestStrippingALongTextIsQuick(t *testing.T) {
	for _, piece := range []string{"a.", "[", "](", "<a ", "&amp;", "amp;", "evil.com ", ":a", "**", "\\", "://", "@a.", "x.com,", "`_*", "e.", "。a"} {
		text := strings.Repeat(piece, 60_000/len(piece))
		quickest := time.Hour
		for try := 0; try < 3 || try < 20 && quickest > time.Second; try++ { // other tests have the processor too
			began := time.Now()
			_, _ = render.Text("{{ text | strip_links }}", render.Scope{"text": text}) // the result may be too long
			quickest = min(quickest, time.Since(began))
		}
		t.Logf("%q: %s", piece, quickest)
		if quickest > time.Second {
			t.Errorf("60 KB of %q take %s", piece, quickest)
		}
	}
}
