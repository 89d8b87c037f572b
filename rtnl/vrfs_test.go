package rtnl

import (
	"context"
	"errors"
	"syscall"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// TestLookupVRF has VRF devices: they are read once, and only for a table that can be a VRF's.
func TestLookupVRF(t *testing.T) {
	links := func(seq uint32, flags uint16, tail []byte, all ...object.Link) []event {
		var dump [][]byte
		for _, l := range all {
			dump = append(dump, nltest.Padded(object.RTM_NEWLINK, wire.NLM_F_MULTI|flags, seq, nltest.AppendLink(nil,
				&l)))
		}
		return []event{datagram(append(dump, tail)...)}
	}
	const filtered = wire.NLM_F_DUMP_FILTERED
	red := object.Link{Index: 9, Name: "red", Kind: "vrf", VRFTable: 500}
	blue := object.Link{Index: 8, Name: "blue", Kind: "vrf", VRFTable: 500}
	lo := object.Link{Index: 1, Name: "lo"}
	for _, c := range []struct {
		name   string
		lax    bool
		answer func(fakeRequest) []event
		want   string
		read   int
	}{
		{"one", false, func(r fakeRequest) []event { return links(r.Seq, filtered, done(r.Seq, 0), red) }, "red", 1},
		{"two of a table", false,
			func(r fakeRequest) []event { return links(r.Seq, filtered, done(r.Seq, 0), red, blue) }, "blue", 1},
		{"none", false, func(r fakeRequest) []event { return []event{datagram(done(r.Seq, 0))} }, "", 1},
		// No kernel shows the second one in such an answer: it shows that the rest is not read.
		{"no driver", false, func(r fakeRequest) []event { return links(r.Seq, 0, nil, lo, red) }, "", 1},
		{"no filter", true, func(r fakeRequest) []event { return links(r.Seq, 0, done(r.Seq, 0), lo, red) }, "red", 1},
		{"interrupted", false, func(r fakeRequest) []event {
			if r.Conn < 4 {
				return links(r.Seq, filtered|wire.NLM_F_DUMP_INTR, done(r.Seq, 0), blue)
			}
			return links(r.Seq, filtered, done(r.Seq, 0), red)
		}, "red", 3},
		{"too large", false, func(r fakeRequest) []event {
			if r.Conn == 2 {
				return []event{datagram(nltest.Failed(r.Seq, uint32(syscall.EMSGSIZE)))}
			}
			return links(r.Seq, filtered, done(r.Seq, 0), red)
		}, "red", 2},
	} {
		k := &fakeKernel{fake: fake{T: t, Lax: c.lax, Answer: c.answer}}
		l, err := k.kernel().Lookups(context.Background(), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, of := range []struct {
			table uint32
			name  string
			read  int
		}{{0, "", 0}, {254, "", 0}, {255, "", 0}, {500, c.want, c.read}, {600, "", c.read}, {500, c.want, c.read}} {
			if name, err := l.VRF(of.table); err != nil || name != of.name || len(k.Requests) != of.read {
				t.Errorf("%s: table %d: %q, %v after %d requests", c.name, of.table, name, err, len(k.Requests))
			}
		}
		if l.Close(); k.Open != 0 {
			t.Errorf("%s: %d sockets are still open", c.name, k.Open)
		}
	}
	k := &fakeKernel{fake: fake{T: t, Answer: func(r fakeRequest) []event {
		return []event{datagram(nltest.Failed(r.Seq, uint32(syscall.EPERM)))}
	}}}
	l, err := k.kernel().Lookups(context.Background(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if name, err := l.VRF(500); !errors.Is(err, ErrPermission) {
		t.Errorf("got %q, %v", name, err)
	}
}
