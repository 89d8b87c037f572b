// Package capture keeps what the kernel said in a file, and answers from the file as the
// kernel would have.
//
//	Kernel ─ Write, Follow ─> file ─ Read ─> Capture ─ Read, Count ─> Snapshot
//	                           ^                  └─ Events
//	nlmon ─ tcpdump ───────────┘
//
// From the ground up:
//
//	errors.go, message.go    why a file cannot be read; what there is to know of any message
//	pcap.go                  packets of pcap and pcapng files, whoever wrote them
//	format.go, host*.go      the format of a capture; Host: where and when it was made
//	write.go, coverage.go    Write; what a recording covers, and lacks
//	event_write.go           events in a capture
//	follow.go                Follow: Write, and then what changes
//	event_read.go            reads events; Capture.Events
//	recording_requests.go    the requests in a recording, so that answers are told apart
//	recording_dumps.go       its dumps: which are whole, and of what they are
//	recording.go             reads a recording
//	contents.go, *_contents  what a file holds; what a recording holds
//	read.go                  reads a capture, or else a recording
//	capture.go               Read; Capture: a source of snapshots
//
// It knows no kind of objects: whatever is in object.Kinds is captured and recorded.
package capture
