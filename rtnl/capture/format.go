package capture

// A capture file is a pcap file of link type LINKTYPE_NETLINK, which Wireshark
// and tshark open, with one netlink message in each packet.
//
// First come messages of type NLMSG_NOOP, which any reader of netlink passes over,
// whose payload is text: the first one says what the file is and where and when it
// was made, see Host, and which kinds of objects were captured, so that a kind of which the
// host has nothing differs from one that the writer did not know; the others have the names of
// that host, each the name of a file of iproute2 (rt_tables, ...) and lines of that file. One
// that begins with "sysctl" has the settings of all and default as sysctl prints them
// (net.ipv4.conf.all.rp_filter = 1): RTNetlink does not tell of most. Text that is not known is
// passed over.
//
// Then come the messages as the kernel sent them, kind by kind in the order of
// object.Kinds: the links (RTM_NEWLINK), the netconf settings (RTM_NEWNETCONF), the nexthop
// objects (RTM_NEWNEXTHOP), the rules (RTM_NEWRULE), the routes (RTM_NEWROUTE). RTM_NEW
// messages of other types are passed over and told of. All that
// a snapshot holds more is in the file's last packet, an NLMSG_DONE without an error: its text,
// where the kernel's own words would be (NLMSGERR_ATTR_MSG), says how many messages came
// before, and NLM_F_DUMP_INTR is set if the snapshot is not consistent. Nothing follows it.
//
// A file that was followed is of format 3 and has events before that last packet, in their order.
// Each is a text whose first line is "event", then a line a field, the name and the value, without
// those that are zero, and then the messages: the object's, as "object 1" says how many, then
// that of what was replaced, as "old 1" says. Who did it and what it refers to is the same for many
// events and comes once, before the first of them, as a text "event author" with a line a field,
// and as a text "event referred" with the kind and the number of messages that follow; events name
// them by their numbers, from 1 in the order of the file, each of the two by itself. Lines that are
// not known are passed over. The time of these packets is the event's. A text "event end" says
// that there are no events after that although it was to be followed longer.
//
// Format 1 has no text before the links, format 2 no events. A change that a reader must know of to
// read the rest rightly raises the number of the format.
//
// The messages are in the byte order of the host that made the file. The headers of
// pcap are written so too, but are read in either order, as is pcapng, which
// Wireshark makes of a file that it saves.

const (
	snapshotFormat = 2 // of a file that was not followed, which versions without events read
	captureFormat  = 3
)

// The text of the first packet, before the number of the format, and of the last.
const (
	beginText           = "kernel_routes capture, format "
	endBefore, endAfter = "kernel_routes capture of ", " messages"
	maxText             = 128 << 10 // bytes of text in a packet
	maxNamesText        = 16 << 20  // bytes of names in a file
	sysctlText          = "sysctl"  // before the settings of all and default

	eventText    = "event"
	authorText   = "event author"
	referredText = "event referred"
	endText      = "event end"
)
