package object_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// declared returns all kinds: those that are read, and those that are listened to for
// their sake.
func declared() []*Kind {
	all := slices.Clone(Kinds)
	for _, k := range Kinds {
		for _, other := range k.StaleWith {
			if !slices.Contains(all, other) {
				all = append(all, other)
			}
		}
	}
	return all
}

// TestKinds checks that every kind is declared wholly: who reads and listens goes by the
// declaration alone.
func TestKinds(t *testing.T) {
	types, groups := map[uint16]string{}, map[uint]string{}
	names := map[string]bool{}
	for _, k := range declared() {
		for _, typ := range []uint16{k.Get, k.New, k.Del} {
			if before := types[typ]; before != "" {
				t.Errorf("%s and %s have one type %d", before, k.Plural, typ)
			}
			if typ != 0 {
				types[typ] = k.Plural
			}
		}
		// Messages of one thing are numbered so: NEW, DEL, GET, SET (linux/rtnetlink.h).
		if k.New < RTM_BASE || k.New%4 != 0 || k.Del != k.New+1 || k.Get != 0 && k.Get != k.New+2 {
			t.Errorf("%s: types %d, %d, %d", k.Plural, k.New, k.Del, k.Get)
		}
		if len(k.Groups) == 0 {
			t.Errorf("%s: no group tells of changes", k.Plural)
		}
		for _, g := range k.Groups {
			if g < 1 || g > 32 || groups[g] != "" {
				t.Errorf("%s: group %d, which is of %q", k.Plural, g, groups[g])
			}
			groups[g] = k.Plural
		}
		if k.Name == "" || k.Plural == "" || k.Struct == "" || names[k.Name] || names[k.Plural] {
			t.Errorf("%q, %q, %q", k.Name, k.Plural, k.Struct)
		}
		names[k.Name], names[k.Plural] = true, true
		if k.Header < 4 || k.Header%4 != 0 {
			t.Errorf("%s: a header of %d bytes", k.Plural, k.Header)
		}
		checkShort(t, k)
		if k.Get != 0 != slices.Contains(Kinds, k) {
			t.Errorf("%s: asked for by %d", k.Plural, k.Get)
		}
	}
	for i, k := range Kinds {
		if k.Ordinal() != i {
			t.Errorf("%s: %d, not %d", k.Plural, k.Ordinal(), i)
		}
		checkRead(t, k)
	}
}

// checkShort checks that a message must be as long as the header, and that one is enough.
func checkShort(t *testing.T, k *Kind) {
	t.Helper()
	_, err := check(k, make([]byte, k.Header-1))
	if !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), k.Name) ||
		!strings.Contains(err.Error(), k.Struct) {
		t.Errorf("%s: %v", k.Plural, err)
	}
	m, err := check(k, make([]byte, k.Header))
	if err != nil || m.Kind() != k || len(m.Attributes()) != 0 {
		t.Errorf("%s: %v", k.Plural, err)
	}
	if _, err := check(k, append(make([]byte, k.Header), 3, 0, 0, 0)); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("%s: %v of an attribute that does not fit", k.Plural, err)
	}
}

// checkRead checks what reading a kind relies on.
func checkRead(t *testing.T, k *Kind) {
	t.Helper()
	tabled := k.Dump != nil
	if k.Table != nil != tabled || k.Position != nil != tabled || k.Order != nil != tabled ||
		k.Request != nil == tabled {
		t.Errorf("%s: dumped by table %v, but not all or none of Table, Position, Order, or Request", k.Plural, tabled)
	}
	if k.Filtered && !tabled || k.Entries != nil && !tabled || (k.Grows != nil) != (k.Within != nil) || k.Asked == nil {
		t.Errorf("%s: Filtered %v, and a part of it is missing", k.Plural, k.Filtered)
	}
	if (k.Number != nil) != (k.Lacked != "") || k.Lookup && (k.Number == nil || k.Request == nil) {
		t.Errorf("%s: Number, and what Lacked says, or Lookup", k.Plural)
	}
	empty, err := check(k, make([]byte, k.Header))
	if err != nil {
		t.Fatal(err)
	}
	if k.Number != nil && k.Number(empty) != 0 {
		t.Errorf("%s: number %d of none", k.Plural, k.Number(empty))
	}
	if tabled {
		if b := k.Dump(DumpRequest{}); len(b) < k.Header {
			t.Errorf("%s: a request of %d bytes", k.Plural, len(b))
		} else if r, more := k.Asked(b); r != (DumpRequest{}) || more {
			t.Errorf("%s: the request for all of them asks for %+v, %v", k.Plural, r, more)
		}
		for f := range Family(255) {
			// What is not exact is proved by the order.
			if w := k.Order(f); w.Compare == nil && w.Resume != ByCount {
				t.Errorf("%s of %v: resumed by %d, in no order", k.Plural, f, w.Resume)
			}
		}
		return
	}
	all := k.Request(0)
	if r, more := k.Asked(all); len(all) < k.Header || r != (DumpRequest{}) || more {
		t.Errorf("%s: the request for all of them is %x", k.Plural, all)
	}
	if slices.Equal(all, k.Request(7)) == (k.Lookup || k.LookupSince != nil) {
		t.Errorf("%s: the request for one is %x", k.Plural, k.Request(7))
	}
	if k.Details != nil {
		if r, more := k.Asked(k.Details(0)); slices.Equal(all, k.Details(0)) || r != (DumpRequest{}) || more ||
			slices.Equal(k.Details(7), k.Request(7)) {
			t.Errorf("%s: the request for all of them and more is %x", k.Plural, k.Details(0))
		}
	}
}

// TestKindsOrder checks that each kind comes after those that it refers to.
func TestKindsOrder(t *testing.T) {
	for _, c := range []struct {
		kind    *Kind
		payload []byte
		want    []*Kind // that it refers to, itself not among them
	}{
		{Links.Kind, AppendLink(nil, &Link{Index: 3, Name: "v0"}), nil},
		{NexthopObjects.Kind, AppendNexthop(nil, &NexthopObject{ID: 5, OIF: 3}), []*Kind{Links.Kind}},
		{Routes.Kind, AppendRoute(nil, V4()), []*Kind{Links.Kind}},
		{Routes.Kind, AppendRoute(nil, ViaObject(IPv6)), []*Kind{NexthopObjects.Kind}},
	} {
		m, err := check(c.kind, c.payload)
		if err != nil {
			t.Fatal(err)
		}
		var refs References
		if c.kind.Refer != nil {
			c.kind.Refer(m, &refs)
		}
		for _, k := range Kinds {
			if refers := len(refs.Of(k)) > 0; refers != slices.Contains(c.want, k) {
				t.Errorf("%s refer to %s: %v", c.kind.Plural, k.Plural, refers)
			} else if refers && (k.Ordinal() >= c.kind.Ordinal() || k.Number == nil ||
				!slices.Contains(c.kind.StaleWith, k)) {
				t.Errorf("%s refer to %s, which is not ready for it", c.kind.Plural, k.Plural)
			}
		}
	}
	// A group refers to objects of its own kind.
	m, err := check(NexthopObjects.Kind,
		AppendNexthop(nil, &NexthopObject{ID: 5, Group: []GroupMember{{6, 1}, {7, 2}}}))
	if err != nil {
		t.Fatal(err)
	}
	var refs References
	NexthopObjects.Refer(m, &refs)
	if got := refs.Of(NexthopObjects.Kind); len(got) != 2 || !got[6] || !got[7] {
		t.Errorf("a group refers to %v", got)
	}
}
