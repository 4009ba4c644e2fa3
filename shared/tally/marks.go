package tally

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"time"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

const (
	// Kept is how long a counted contribution is remembered after its write. The stream
	// keeps a record for 24 hours, so no delivery is that late.
	Kept = 48 * time.Hour
	// PageSpan limits the time between the oldest and the newest mark of a page.
	PageSpan = 6 * time.Hour

	// most limits the marks beside the counters; rest stay there when the others are
	// filed. The newest stay: a repeat is most often about them.
	most = 32
	rest = 8

	idSize   = 10 // 80 bits: two of a million marks are equal once in 10^12 times
	markSize = 4 + idSize
)

// A Mark names a counted contribution.
type Mark struct {
	At int64 // of the write, in seconds since 1970
	ID [idSize]byte
}

// MarkOf returns the mark of a contribution.
func MarkOf(c execution.Contribution) Mark {
	hash := id.Hash(string(c.Run), strconv.FormatInt(c.Revision, 10))
	return Mark{At: c.At.Unix(), ID: [idSize]byte(hash[:idSize])}
}

// Marks name the counted contributions that statistics remember beside their counters.
// Older ones are filed in pages, and forgotten after Kept.
type Marks struct {
	List  []Mark
	Filed int64 // the time of the newest mark in a page; 0 before the first page
}

// newest returns the time of the newest contribution that was counted.
func (m Marks) newest() int64 {
	newest := m.Filed
	for _, one := range m.List {
		newest = max(newest, one.At)
	}
	return newest
}

// InPages returns the contributions about which only the pages can tell whether they
// are counted: they were written when a mark of some page was, or before.
func (m Marks) InPages(all []execution.Contribution) []execution.Contribution {
	var unsure []execution.Contribution
	for _, c := range all {
		if mark := MarkOf(c); mark.At <= m.Filed && !m.forgot(mark) && !slices.Contains(m.List, mark) {
			unsure = append(unsure, c)
		}
	}
	return unsure
}

// forgot reports whether the mark of a contribution may be forgotten: then it is
// a repeat, because no first delivery is that late.
func (m Marks) forgot(one Mark) bool { return one.At < m.newest()-int64(Kept/time.Second) }

// New returns the contributions that are not counted yet, each once; paged are the
// marks of the pages that may name them.
func (m Marks) New(all []execution.Contribution, paged map[Mark]bool) []execution.Contribution {
	var fresh []execution.Contribution
	seen := map[Mark]bool{}
	for _, c := range all {
		mark := MarkOf(c)
		if seen[mark] || paged[mark] || m.forgot(mark) || slices.Contains(m.List, mark) {
			continue
		}
		seen[mark] = true
		fresh = append(fresh, c)
	}
	return fresh
}

// A Page is a part of the filed marks, the oldest first.
type Page []Mark

// File returns the marks that stay when there are too many, and pages for the others.
// All of them are counted, so that a page may be stored before the statistics forget its
// marks. Equal marks are filed in equal pages.
func (m Marks) File() (Marks, []Page) {
	if len(m.List) <= most {
		return m, nil
	}
	list := slices.Clone(m.List)
	slices.SortFunc(list, func(a, b Mark) int {
		if a.At != b.At {
			return int(a.At - b.At)
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	var pages []Page
	for _, one := range list[:len(list)-rest] {
		if m.forgot(one) {
			continue
		}
		last := len(pages) - 1
		if last < 0 || one.At-pages[last][0].At > int64(PageSpan/time.Second) {
			pages = append(pages, nil)
			last++
		}
		pages[last] = append(pages[last], one)
		m.Filed = max(m.Filed, one.At)
	}
	m.List = list[len(list)-rest:]
	return m, pages
}

// With returns the marks with those of contributions that are now counted.
func (m Marks) With(counted []execution.Contribution) Marks {
	m.List = slices.Clone(m.List)
	for _, c := range counted {
		m.List = append(m.List, MarkOf(c))
	}
	return m
}

// Newest returns the time of the newest mark of the page.
func (p Page) Newest() time.Time { return time.Unix(p[len(p)-1].At, 0).UTC() }

// Packed returns marks in 14 bytes each.
func Packed(marks []Mark) []byte {
	packed := make([]byte, 0, len(marks)*markSize)
	for _, one := range marks {
		packed = binary.BigEndian.AppendUint32(packed, uint32(one.At)) //nolint:gosec // until the year 2106.
		packed = append(packed, one.ID[:]...)
	}
	return packed
}

// Unpacked is the reverse of Packed.
func Unpacked(packed []byte) []Mark {
	marks := make([]Mark, 0, len(packed)/markSize)
	for ; len(packed) >= markSize; packed = packed[markSize:] {
		marks = append(marks, Mark{At: int64(binary.BigEndian.Uint32(packed)), ID: [idSize]byte(packed[4:markSize])})
	}
	return marks
}
