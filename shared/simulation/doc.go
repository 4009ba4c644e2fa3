// Package simulation tests the whole system in virtual time. It holds tests only.
//
// The services are real. They run over the store in memory; machines, queues,
// models, products and people are stand-ins. Everything that can fail in the
// cloud can fail at every call here. Virtual time comes from testing/synctest: a
// simulated day takes seconds.
//
//	harness, bus, sqs, wire   the system and its outside
//	ports, faults             every call that can fail, and each failure of it
//	witness, audit            the invariants: during a run, and after it
//	acts                      which entries of the audit log a story must leave
//	runner, gate, outcome, …  scenarios with an expected result
//	simulation                random scenarios with random faults, by seed
//	orders                    every interleaving of three actors
//	attacks, injection        a model that obeys the text of an attacker
//	words                     what may be done with the words of a model
//	shown                     messages that no text of an event can imitate
//
// An invariant shares no rule with the services that it checks.
package simulation
