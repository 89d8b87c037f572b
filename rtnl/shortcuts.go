package rtnl

import (
	"net/netip"

	"kernelroutes/rtnl/object"
)

// shortcut returns why no rule is tried for a packet, "" if rules are.
func (f *flow) shortcut(found *Lookup, s *Snapshot) Shortcut {
	switch {
	case f.family == object.IPv6:
		linkScope := f.dst.IsMulticast() || f.dst.IsLinkLocalUnicast()
		if linkScope && !f.cameIn() && f.vrf.Index != 0 {
			return LinkScope
		}
		return ""
	case f.cameIn():
		return f.shortcutIn(found)
	}
	forAll := f.dst.IsMulticast() || f.dst == broadcast4
	local := f.dst.IsLinkLocalMulticast() || f.dst == broadcast4
	switch {
	case f.src.IsMulticast(), f.src == broadcast4:
		return SourceRefused
	case f.src.IsValid() && !f.hasSource(s):
		if found.Error == NoRoute {
			return SourceNotOwn
		}
	case f.src.IsValid() && forAll && f.asked() == 0:
		return OutOfSource
	}
	switch {
	case f.asked() != 0 && found.Error == NoRoute && (!f.asksUp() || local):
		return OutDown
	case f.asked() != 0 && local:
		return OutAsAsked
	case f.dst.IsUnspecified():
		return ToThisHost
	}
	return ""
}

// asked returns the interface that the packet is to leave through, 0 for any.
func (f *flow) asked() uint32 {
	if f.redirected {
		return f.vrf.Index
	}
	return f.out.Index
}

func (f *flow) asksUp() bool {
	if f.redirected {
		return f.vrf.up
	}
	return f.out.up
}

// shortcutIn is for an IPv4 packet that came in. Whether one to or from a loopback address is
// refused is a setting (route_localnet).
func (f *flow) shortcutIn(found *Lookup) Shortcut {
	// All of 0.0.0.0/8 before Linux 5.3 (ipv4_is_zeronet).
	zero := func(a netip.Addr) bool {
		return a.IsUnspecified() || a.As4()[0] == 0 && hostRelease().Before(5, 3, 0)
	}
	src := f.src
	switch {
	case src.IsMulticast(), src == broadcast4:
		return SourceRefused
	case f.dst.IsMulticast():
		if found.Error == "" {
			return InForAll
		}
		return NotJoined
	case f.dst == broadcast4, !src.IsValid() && f.dst.IsUnspecified():
		if found.Error == "" {
			return InForAll
		}
		return SourceRefused
	case !src.IsValid(), zero(src), zero(f.dst):
		return SourceRefused
	case found.Error == Invalid && (src.IsLoopback() || f.dst.IsLoopback()):
		return SourceRefused
	}
	return ""
}

// hasSource reports whether this host has the packet's source, as far as routes tell.
func (f *flow) hasSource(s *Snapshot) bool {
	for r := range s.Routes(object.FieldDst | object.FieldTable) {
		if r.Family == f.family && r.Type == object.Local && r.Dst.Contains(f.src) {
			return true
		}
	}
	return false
}

// fits reports whether a shortcut leads to the kernel's answer.
func (f *flow) fits(s Shortcut, found *Lookup) bool {
	switch s {
	case SourceRefused, NotJoined:
		return found.Error == Invalid || found.Error == Blackhole // both are EINVAL
	case SourceNotOwn, OutDown:
		return found.Error == NoRoute
	case LinkScope:
		return found.Error == NoRoute || found.Answer != nil && found.Answer.Table == f.vrf.VRFTable
	}
	return found.Error == "" && found.Match == nil
}
