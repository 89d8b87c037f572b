// Package consistency decides what is certain of what the kernel sent. The kernel does
// not say that a dump of routes lost some or brought some twice because others came and
// went meanwhile. A listener that was there before the dump began hears of every change;
// from the changes and the places where datagrams end follows what each dump vouches for,
// and several dumps together make one list in which nothing is missing and nothing twice.
//
//	changes.go   Listener, Changes: what was told while dumps ran
//	dump.go      Sink, Dump: what a dump brought, datagram by datagram
//	gaps.go      Dump.FindGaps: what a dump may have passed over, once it is known what changed
//	merge.go     Merge: one list from several dumps
//	splice.go    the same of objects in an order that no position tells
//	complete.go  Complete: objects that a dump saw while the kernel was adding to them
//	arena.go     the memory that datagrams are received into
package consistency
