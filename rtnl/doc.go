// Package rtnl reads the routing state of the Linux kernel over RTNetlink: routes of all
// tables and families, policy rules, nexthop objects, links. It is for these things:
//
//   - to read it as it is at one moment, nothing missing and nothing twice, however much
//     changes meanwhile: [Kernel.Read], [Kernel.Count], in any network namespace; or to count
//     it by what it is, without keeping it: [Request.CountBy];
//   - to ask many times, cheaply: [Cache], [Instant];
//   - to ask what the kernel would do with a packet: [Kernel.Lookups];
//   - to be told that something changes: [Kernel.Watch]; of each change, what was there before
//     and who made it, by package events.
//
// No privilege is needed, but for namespaces other than one's own. It is for Linux; on
// other systems it is built too, but reading is [ErrUnsupported], and only captures can be
// read. What is read are the kernel's own messages; package object says what they mean. The
// packages, each of which uses only those further down:
//
//	capture      a snapshot in a file, with changes or without, and recordings of netlink
//	shadow       which routes are never used, because of which others
//	events       each change in order: what was there before, what went silently, what was lost
//	rtnl         Kernel, Request, Snapshot, Cache, Instant, Watch
//	author       which process has asked for a change
//	consistency  what several dumps and the changes meanwhile prove
//	conn         sockets, and one exchange with the kernel
//	iproute2     names and texts as ip has them
//	object       routes and all else as Go values; kinds of objects
//	wire         bytes of messages and attributes
//
// And the files of this one, from the top:
//
//	cache.go, recall.go     Cache: what is held for look-ups; what was given out by identity
//	kernel.go, watch.go     Kernel: Read, Count; Watch
//	counters.go, progress.go   how often the kernel was asked, and in vain; how far a reading is
//	lookups.go, deciding.go what the kernel would do with a packet, and which route decides
//	ruling.go, vrfs.go      which rules are for it, and lead to which tables; which of them are of VRFs
//	explaining.go, tracing.go, shortcuts.go, neighbours.go   how the kernel comes to what it would do: rule by rule
//	reading.go              the work on one snapshot: tries, until all is of one time
//	table_reader.go         kinds that are dumped by table
//	whole_reader.go         kinds of which a dump brings all
//	parallel.go             a dump of IPv6 in parallel to one that is busy with IPv4
//	session.go              what these share: connection, listener, references
//	sysctls.go              the settings of all and default, of which RTNetlink tells a few
//	rt6_stats.go, release*.go   what the kernel counts of IPv6, and which kernel it is
//	tally.go                routes that are counted by class instead of read
//	instant.go, split.go    indexes of a snapshot; parts of it for several goroutines
//	snapshot.go, request.go, errors.go   what is returned; what is asked for; what can fail
package rtnl
