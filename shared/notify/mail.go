package notify

import (
	_ "embed"
	"fmt"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"theoneagents.app/agents/shared/step"
)

// mailSource is the page of an e-mail. An element with the attribute data-slot gets the
// text of that name, or is left out without one.
//
//go:embed mail.html
var mailSource string

// pageOf returns the HTML of an e-mail. The texts become text nodes of the page, and the
// link an attribute, which the renderer escapes: the message's own link is the only one.
//
// It does not use html/template. That calls methods by names that the linker cannot know,
// so the linker would keep every exported method of every package: a function that sends
// e-mail would be twice as large, and start later.
func pageOf(subject string, m step.Message) (string, error) {
	page, err := html.Parse(strings.NewReader(mailSource))
	if err != nil {
		return "", fmt.Errorf("parse the page of e-mails: %w", err)
	}
	texts := map[string][]string{"title": {subject}, "subject": {subject}, "body": lines(m.Body)}
	if subject == "" {
		delete(texts, "subject")
	}
	if strings.HasPrefix(m.Link.URL, "https://") || strings.HasPrefix(m.Link.URL, "http://") {
		texts["link"] = []string{m.Link.Text}
	}
	for _, n := range slots(page) {
		text, ok := texts[n.name]
		if !ok {
			n.node.Parent.RemoveChild(n.node.NextSibling) // the end of its line
			n.node.Parent.RemoveChild(n.node)
			continue
		}
		if n.name == "link" { // a paragraph around the link
			n.node = n.node.FirstChild
			n.node.Attr = append([]html.Attribute{{Key: "href", Val: m.Link.URL}}, n.node.Attr...)
		}
		write(n.node, text)
	}
	var b strings.Builder
	err = html.Render(&b, page)
	return b.String(), err
}

// A slot is an element that gets a text.
type slot struct {
	name string
	node *html.Node
}

const slotAttribute = "data-slot"

// slots returns the slots of a page, and takes the attributes that name them out.
func slots(page *html.Node) []slot {
	var found []slot
	for n := range page.Descendants() {
		for i, a := range n.Attr {
			if a.Key == slotAttribute {
				found = append(found, slot{a.Val, n})
				n.Attr = append(n.Attr[:i:i], n.Attr[i+1:]...)
				break
			}
		}
	}
	return found
}

// write appends lines to an element, with a break between them.
func write(n *html.Node, lines []string) {
	for i, line := range lines {
		if i > 0 {
			n.AppendChild(&html.Node{Type: html.ElementNode, Data: "br", DataAtom: atom.Br})
		}
		n.AppendChild(&html.Node{Type: html.TextNode, Data: line})
	}
}
