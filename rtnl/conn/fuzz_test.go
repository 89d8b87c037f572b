package conn

import (
	"reflect"
	"slices"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// checkDatagram checks what is made of a datagram in a dump.
func checkDatagram(t testing.TB, b []byte, seq uint32) {
	t.Helper()
	b = nltest.ExactCopy(b)
	c := &Conn{seq: seq}
	var got [][]byte
	var interrupted bool
	done, err := c.messages(b, &Sink{Want: object.RTM_NEWROUTE, Message: func(msg []byte) (bool, error) {
		nltest.Inside(t, b, msg)
		got = append(got, msg)
		return true, nil
	}}, &interrupted)

	// The same again, step by step.
	var want [][]byte
	var wantIntr, wantDone, wantErr bool
	for rest := b; len(rest) > 0 && !wantDone && !wantErr; {
		if wantErr = len(rest) < 16 || wire.U32(rest) < 16 || uint64(wire.U32(rest)) > uint64(len(rest)); wantErr {
			break
		}
		n := int(wire.U32(rest))
		msg := rest[:n]
		rest = rest[min(wire.Align(n), len(rest)):]
		if wire.Seq(msg) != seq {
			continue
		}
		wantIntr = wantIntr || wire.Flags(msg)&wire.NLM_F_DUMP_INTR != 0
		switch wire.Type(msg) {
		case object.RTM_NEWROUTE:
			want = append(want, msg)
		case wire.NLMSG_OVERRUN:
			wantErr = true
		case wire.NLMSG_ERROR:
			wantDone, wantErr = n >= 20, n < 20 || wire.U32(msg[16:]) != 0
		case wire.NLMSG_DONE:
			wantDone, wantErr = true, n >= 20 && wire.U32(msg[16:]) != 0
		}
	}
	if (err != nil) != wantErr || done != wantDone || interrupted != wantIntr || !reflect.DeepEqual(got, want) {
		t.Fatalf("%x: error %v, done %v, interrupted %v, messages %x;\n"+
			"want error %v, done %v, interrupted %v, messages %x",
			b, err, done, interrupted, got, wantErr, wantDone, wantIntr, want)
	}
}

func FuzzDatagram(f *testing.F) {
	for _, typ := range []uint16{object.RTM_NEWROUTE, object.RTM_NEWLINK, object.RTM_NEWNEXTHOP, object.RTM_DELADDR,
		wire.NLMSG_DONE, wire.NLMSG_ERROR, wire.NLMSG_OVERRUN} {
		msg := nltest.MessageOf(typ, wire.NLM_F_MULTI, 1, make([]byte, 20))
		f.Add(append(slices.Clone(msg), msg...), uint32(1))
		f.Add(msg[:35], uint32(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, seq uint32) { checkDatagram(t, b, seq) })
}
