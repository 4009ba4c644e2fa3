// Package events holds the catalogue as files: one for each event type that a
// product publishes (<product>/<event type>.json), one for each action that it
// takes (<product>/actions/<action>.json). A new one is a new file; no code
// changes. Package catalog reads and checks them.
package events

import "embed"

// Files holds the catalogue.
//
//go:embed */*.json */actions/*.json
var Files embed.FS
