// Package releases tests that this code continues the work of earlier releases. It
// holds tests only.
//
// A folder of testdata is the fixture of a release, recorded on a system that ran it:
//
//	items.jsonl    the items of an organization, as DynamoDB JSON
//	answers.json   the answers of the API about them, with the cursors of every list
//	machines.json  the definitions of the state machines
//	fixture.json   the waiting executions with their input, a message of the queue, an
//	               integration key, and the secret of the cursors
//
// # Promises
//
// Upgrade: this code reads every record of every release, follows their cursors, accepts
// their keys, handles their messages, and continues their waiting runs, whose executions
// keep the definition of the machine with which they started.
//
// Rollback: a record may have attributes, members of JSON texts and values of
// enumerations that a newer release has added. This code ignores the attributes and the
// members; an update keeps the attributes, and a write of the whole record drops them. A
// value that it does not know fails no list and no record beside it: a step of an unknown
// kind fails its run, an unknown operator matches nothing, a key with an unknown right may
// only read.
//
// An older release cannot know that a new part of a definition narrows what an agent may
// do: it would ignore a new client scope or a new rule for approvers. So such a part
// takes two releases: the first reads and obeys it, the second accepts it from users.
//
// An older release also changes what it knows without leaving what a newer one has
// learned to look at. A release before 0.2 does not count its changes of listening agents
// in the record of the organization, so a dispatcher keeps listeners in memory for five
// seconds at most, and for as long it may miss a change that such a release made during
// a roll-out or after a rollback.
//
// make fixture records the fixture of a release, before its tag is set.
package releases
