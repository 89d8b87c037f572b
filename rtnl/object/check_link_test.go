package object_test

import (
	"reflect"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
)

func checkLink(t testing.TB, b []byte) {
	t.Helper()
	b = ExactCopy(b)
	var l, again Link
	if err := l.UnmarshalBinary(b); err != nil {
		checkError(t, b, err)
		return
	}
	split(t, b[IfinfomsgLen:])
	encoded := ExactCopy(AppendLink(nil, &l))
	l.Name, l.Kind = escaped(l.Name), escaped(l.Kind)
	if err := again.UnmarshalBinary(encoded); err != nil || again != l {
		t.Fatalf("%x: %v\n was %+v\n  is %+v", b, err, l, again)
	}
	l.OperStateName()
	checkLinkConfig(t, b)
}

// checkLinkConfig looks at every setting of a link, whose array has no more of them than its
// length says.
func checkLinkConfig(t testing.TB, b []byte) {
	t.Helper()
	var l Link
	var c LinkConfig
	if err := c.UnmarshalBinary(b); err != nil || l.UnmarshalBinary(b) != nil || l != c.Link {
		t.Fatalf("%x: %v\n  link is %+v\nconfig is %+v", b, err, l, c)
	}
	for _, f := range []Family{IPv4, IPv6} {
		conf := c.Conf(f)
		n := 0
		for i := range Settings {
			own, ok := conf.Value(&Settings[i])
			if ok {
				n++
			}
			held, known := conf.Effective(&Settings[i], conf)
			if known && !ok || ok && !known || known && !Settings[i].Combined() && held != own {
				t.Fatalf("%x: %s of %s is %d, %v; %d, %v holds", b, Settings[i].Name, f, own, ok, held, known)
			}
		}
		if (n > 0 || len(conf.Unknown()) > 0) && !conf.Known() {
			t.Fatalf("%x: %d settings of %s where none are known", b, n, f)
		}
		for _, a := range conf.Unknown() {
			Inside(t, b, a.Data)
		}
	}
}

func checkNetconf(t testing.TB, b []byte) {
	t.Helper()
	b = ExactCopy(b)
	var n, again Netconf
	if err := n.UnmarshalBinary(b); err != nil {
		checkError(t, b, err)
		return
	}
	Inside(t, b, attrData(n.Unknown)...)
	for i := range Settings {
		n.Value(&Settings[i])
	}
	if err := again.UnmarshalBinary(ExactCopy(AppendNetconf(nil, &n))); err != nil || !reflect.DeepEqual(again, n) {
		t.Fatalf("%x: %v\n was %+v\n  is %+v", b, err, n, again)
	}
}
