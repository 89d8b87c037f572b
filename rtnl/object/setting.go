package object

import (
	"cmp"
	"math"
	"strings"

	"kernelroutes/rtnl/wire"
)

// A Setting is one of those that the kernel keeps for each interface, and for all and
// default, in /proc/sys/net/ipv4/conf and /proc/sys/net/ipv6/conf. Settings has them.
type Setting struct {
	Name string // of the file, which both families have in common; mtu6 for IPv6's mtu
	Doc  string // what the values mean
	Unit string // of the value, "": it has none

	v4, v6  place
	ordinal int // place in Settings
}

// A place is where a family's settings have one, and how it holds. The zero place is that
// of a setting that the family does not have.
type place struct {
	has     bool
	number  int  // index into IFLA_INET_CONF or IFLA_INET6_CONF
	form    form // of the number there
	file    string
	name    string   // of the kernel's constant, behind DEVCONF_; "": that of the setting
	release string   // the first Linux that has the setting; "": all that Go runs on
	holding *holding // nil: what the interface has, whatever all has
}

// A form is how a number of the array is what /proc/sys shows.
type form uint8

const (
	signed   form = iota
	unsigned      // where the file is one of proc_douintvec
	// milliseconds are sent as the file of proc_dointvec_ms_jiffies shows them, but without a sign.
	milliseconds
	// seconds are sent in milliseconds (jiffies_to_msecs in ipv6_store_devconf) and shown by
	// proc_dointvec_jiffies.
	seconds
)

// secondsOf returns seconds that were sent in milliseconds. More than 2147483 of them, 24 days, do
// not fit and wrap around, which shows: what is sent is no whole number of seconds then, until it
// has been set right by 2^32 as often as it wrapped. It can 21 times, where HZ is 24.
func secondsOf(milliseconds uint32) int64 {
	sent := int64(int32(milliseconds))
	for n := range int64(22) {
		for _, whole := range [...]int64{sent + n<<32, sent - n<<32} {
			if whole%1000 == 0 {
				return whole / 1000
			}
		}
	}
	return sent / 1000
}

// millisecondsOf returns milliseconds that were sent without a sign. None above 2147483647 can be
// written, which the kernel rounds up to whole jiffies (42 ms, where HZ is 24); what is more than
// that is below 0, which Linux 7.2 takes and 6.18 does not.
func millisecondsOf(sent uint32) int64 {
	if sent > math.MaxInt32+42 {
		return int64(int32(sent))
	}
	return int64(sent)
}

// v4 and v6 are places of a family, by the number of the kernel's constant.
func v4(ipv4Devconf int) place { return place{has: true, number: ipv4Devconf - 1} }
func v6(devconf int) place     { return place{has: true, number: devconf} }

func (p place) as(f form) place          { p.form = f; return p }
func (p place) by(h *holding) place      { p.holding = h; return p }
func (p place) called(file string) place { p.file = file; return p }

// constant says what the kernel's constant is called, where not as the setting, and since which
// Linux has it.
func (p place) constant(name string) place { p.name = name; return p }
func (p place) since(linux string) place   { p.release = linux; return p }

func (s *Setting) place(f Family) *place {
	if f == IPv4 {
		return &s.v4
	}
	return &s.v6
}

// Has reports whether a family has the setting: IPv4 or IPv6.
func (s *Setting) Has(f Family) bool { return s.place(f).has }

// Unsigned reports whether values may exceed 31 bits.
func (s *Setting) Unsigned() bool {
	exceeds := func(f form) bool { return f == unsigned || f == milliseconds }
	return exceeds(s.v4.form) || exceeds(s.v6.form)
}

// File is the name of a family's file.
func (s *Setting) File(f Family) string {
	if file := s.place(f).file; file != "" {
		return file
	}
	return s.Name
}

// Constant is the name of the kernel's constant for a family's setting, of linux/ip.h or
// linux/ipv6.h.
func (s *Setting) Constant(f Family) string {
	prefix, name := "DEVCONF_", s.place(f).name
	if f == IPv4 {
		prefix = "IPV4_DEVCONF_"
	}
	if name == "" {
		name = strings.ToUpper(s.Name)
	}
	return prefix + name
}

// Since is the first Linux in which a family has the setting, as "4.12"; "" for one that had it
// before 3.2, the oldest that Go runs on.
func (s *Setting) Since(f Family) string { return s.place(f).release }

// Combined reports whether what holds is for any family not just what the interface has,
// and Holds says how that is worked out, for each family that has the setting.
func (s *Setting) Combined() bool { return s.v4.holding != nil || s.v6.holding != nil }

// Holds says how a family works out what holds.
func (s *Setting) Holds(f Family) string {
	if h := s.place(f).holding; h != nil {
		return h.text
	}
	return "the interface's own"
}

// Takes returns the other setting that what holds depends on for a family, "" for none.
func (s *Setting) Takes(f Family) string {
	if h := s.place(f).holding; h != nil {
		return h.takes
	}
	return ""
}

// A Conf is the settings of one interface, or those of all or default, for one family.
type Conf struct {
	array  []byte       // as the kernel sends them
	values []Opt[int64] // by Setting.ordinal, where they are known otherwise
	lacks  *Lacking     // settings that this kernel does not have; nil: that is not known
	family Family
}

// Lacking are settings that a kernel does not have, as it was built without what they are
// for. It sends 0 for them all the same.
type Lacking map[*Setting]bool

// ConfOf returns settings whose values a function knows.
func ConfOf(f Family, value func(*Setting) (int64, bool)) *Conf {
	c := &Conf{family: f, values: make([]Opt[int64], len(Settings))}
	for i := range Settings {
		if s := &Settings[i]; s.Has(f) {
			if v, ok := value(s); ok {
				c.values[i] = Some(v)
			}
		}
	}
	return c
}

// Without returns the settings but those that the kernel does not have.
func (c Conf) Without(l *Lacking) Conf { c.lacks = l; return c }

// Known reports whether there is any setting.
func (c *Conf) Known() bool { return len(c.array) > 0 || c.values != nil }

// Value returns the value of a setting, none of nil, as /proc/sys shows it; false: the family has no such
// setting, or the kernel sent none.
func (c *Conf) Value(s *Setting) (int64, bool) {
	if c == nil {
		return 0, false
	}
	if c.array == nil {
		if c.values == nil {
			return 0, false
		}
		return c.values[s.ordinal].Get()
	}
	p := s.place(c.family)
	if !p.has || len(c.array) < 4*(p.number+1) || c.lacks != nil && (*c.lacks)[s] {
		return 0, false
	}
	v := wire.U32(c.array[4*p.number:])
	switch p.form {
	case unsigned:
		return int64(v), true
	case milliseconds:
		return millisecondsOf(v), true
	case seconds:
		return secondsOf(v), true
	}
	return int64(int32(v)), true
}

// Effective returns what holds on the interface, worked out with the settings of all as the
// kernel does; false: the family does not have the setting, or what it takes is not known.
func (c *Conf) Effective(s *Setting, all *Conf) (int64, bool) {
	own, ok := c.Value(s)
	if !ok {
		return 0, false
	}
	h := s.place(c.family).holding
	if h == nil {
		return own, true
	}
	return h.of(work{c, all, s}, own)
}

// Unknown returns the values that the kernel sent beyond those in Settings, by their index:
// type is that of the array from 0 on.
func (c *Conf) Unknown() (list []wire.Attr) {
	known := 0
	for i := range Settings {
		if p := Settings[i].place(c.family); p.has {
			known = max(known, p.number+1)
		}
	}
	for n := known; n < len(c.array)/4; n++ {
		number := n
		if c.family == IPv4 {
			number++ // IPV4_DEVCONF_* count from 1
		}
		list = append(list, wire.Attr{Type: uint16(number), Data: c.array[4*n : 4*n+4]})
	}
	return list
}

// A holding is how the kernel works out what holds.
type holding struct {
	text  string // as a description has it
	of    func(w work, own int64) (v int64, known bool)
	takes string // another setting that it depends on; "": none
}

// A work is the working out of what holds: with the settings of the interface, and with those
// of all.
type work struct {
	own, all *Conf
	setting  *Setting
}

// ofAll returns the setting of all.
func (w work) ofAll() (int64, bool) { return w.all.Value(w.setting) }

// forwards reports whether the interface's own setting is to forward.
func (w work) forwards() (is, known bool) {
	v, ok := w.own.Value(settingOf("forwarding"))
	return v != 0, ok
}

func truth(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

// alone is how what takes nothing else is worked out.
func alone(text string, of func(own int64) int64) *holding {
	return &holding{text: text, of: func(_ work, own int64) (int64, bool) { return of(own), true }}
}

// with is how what takes the same setting of all is worked out.
func with(text string, of func(own, all int64) int64) *holding {
	return &holding{text: text, of: func(w work, own int64) (int64, bool) {
		all, ok := w.ofAll()
		if !ok {
			return 0, false
		}
		return of(own, all), true
	}}
}

// What several settings have in common.
var (
	// itself: whether the interface has it, as IN_DEV_CONF_GET asks.
	itself = alone("1 if the interface has it", func(own int64) int64 { return truth(own != 0) })
	// ored: IN_DEV_ORCONF.
	ored = with("1 if the interface or all has it", func(own, all int64) int64 { return truth(own|all != 0) })
	// anded: IN_DEV_ANDCONF.
	anded = with("1 if the interface and all have it",
		func(own, all int64) int64 { return truth(own != 0 && all != 0) })
	// highest: IN_DEV_MAXCONF.
	highest = with("the higher of the interface's and of all's", func(own, all int64) int64 { return max(own, all) })
	lowest  = with("the lower of the interface's and of all's", func(own, all int64) int64 { return min(own, all) })
)

// What one setting has alone.
var (
	// ip6_forward asks all, and since Linux 6.17 the input's force_forwarding.
	forwards6 = &holding{text: "1 if all has forwarding or the interface has force_forwarding",
		of: func(w work, _ int64) (int64, bool) {
			all, ok := w.ofAll()
			forced, _ := w.own.Value(settingOf("force_forwarding")) // 0 before
			return truth(all|forced != 0), ok
		}, takes: "force_forwarding"}
	// IN_DEV_RX_REDIRECTS
	redirects4 = &holding{text: "1 if the interface and all have it, or either where the interface does not forward",
		of: func(w work, own int64) (int64, bool) {
			all, ok := w.ofAll()
			forwards, known := w.forwards()
			return truth(own != 0 && all != 0 || !forwards && own|all != 0), ok && known
		}, takes: "forwarding"}
	// rt6_do_redirect
	redirects6 = &holding{text: "1 if the interface has it and not forwarding",
		of: func(w work, own int64) (int64, bool) {
			forwards, known := w.forwards()
			return truth(!forwards && own != 0), known
		}, takes: "forwarding"}
	// ipv6_accept_ra
	advertised = &holding{text: "1 if it is 2, or not 0 and the interface has no forwarding",
		of: func(w work, own int64) (int64, bool) {
			forwards, known := w.forwards()
			return truth(own == 2 || !forwards && own != 0), known
		}, takes: "forwarding"}
	// ipv6_use_optimistic_addr
	optimistic = &holding{text: "1 if the interface or all has it, and either optimistic_dad",
		of: func(w work, own int64) (int64, bool) {
			all, ok := w.ofAll()
			dad := settingOf("optimistic_dad")
			ownDAD, known := w.own.Value(dad)
			allDAD, knownOfAll := w.all.Value(dad)
			return truth(own|all != 0 && ownDAD|allDAD != 0), ok && known && knownOfAll
		}, takes: "optimistic_dad"}
	// IGMP_V1_SEEN, IGMP_V2_SEEN: 3 forces nothing.
	igmp = with("1 if the interface or all has 1, else 2 if either has 2, else 0", func(own, all int64) int64 {
		for v := int64(1); v <= 2; v++ {
			if own == v || all == v {
				return v
			}
		}
		return 0
	})
	// mld_force_mld_version
	mld = with("all's unless that is 0, else the interface's", func(own, all int64) int64 { return cmp.Or(all, own) })
	// addrconf_ifdown
	kept = with("1 if all's, or where that is 0 the interface's, is above 0",
		func(own, all int64) int64 { return truth(cmp.Or(all, own) > 0) })
)
