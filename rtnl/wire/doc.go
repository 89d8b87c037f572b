// Package wire reads and writes what netlink consists of, in the byte order of the
// host: messages (struct nlmsghdr) and attributes (struct nlattr). It knows nothing of
// what they mean.
//
//	attribute.go  attributes: Walk over them, whether they Fit, AppendAttr
//	message.go    headers of messages, runs of messages
//	name.go       strings that may hold any byte, as valid UTF-8
//	error.go      what is wrong with bytes, and where
//
// Names of constants are the kernel's (linux/netlink.h), so that it builds on every
// system: golang.org/x/sys/unix has them for Linux alone.
package wire
