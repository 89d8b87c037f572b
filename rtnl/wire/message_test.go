package wire

import (
	"errors"
	"slices"
	"testing"
)

func TestMessages(t *testing.T) {
	short := append(AppendHeader(nil, HeaderLen+1, 24, NLM_F_MULTI, 7), 5)
	bare := AppendHeader(nil, HeaderLen, NLMSG_DONE, NLM_F_MULTI|NLM_F_DUMP_INTR, 8)
	if Len(short) != 17 || Type(short) != 24 || Flags(short) != NLM_F_MULTI || Seq(short) != 7 || Port(short) != 0 ||
		!slices.Equal(Payload(short), []byte{5}) || len(Payload(bare)) != 0 {
		t.Errorf("a header of %x", short)
	}
	run := AppendMessage(AppendMessage(nil, short), bare)
	if len(run) != 36 {
		t.Errorf("%d bytes", len(run))
	}
	for _, c := range []struct {
		what string
		b    []byte
		want int
	}{
		{"two", run, 2},
		{"the last one without padding", append(slices.Clone(bare), short...), 2},
		{"nothing", nil, 0},
		{"cut off", run[:35], 1},
		{"less than a header", run[:15], 0},
		{"too short a length", AppendHeader(nil, HeaderLen-1, 24, 0, 0), 0},
		{"too long a length", AppendHeader(nil, HeaderLen+1, 24, 0, 0), 0},
	} {
		n := 0
		for msg := range Messages(slices.Clip(c.b)) {
			if len(msg) != Len(msg) {
				t.Errorf("%s: a message of %d bytes says %d", c.what, len(msg), Len(msg))
			}
			n++
		}
		if n != c.want {
			t.Errorf("%s: %d messages", c.what, n)
		}
	}
	for range Messages(run) {
		break
	}
	if msg, rest, ok := Cut(run); !ok || len(msg) != 17 || len(rest) != 16 {
		t.Errorf("%d bytes, %d left", len(msg), len(rest))
	}
}

func TestMalformed(t *testing.T) {
	err := Malformed("route", 12, "attribute does not fit")
	var m *MalformedError
	if !errors.Is(err, ErrMalformed) || !errors.As(err, &m) || m.Offset != 12 ||
		errors.Is(err, errors.ErrUnsupported) ||
		err.Error() != "malformed route at byte 12: attribute does not fit" {
		t.Error(err)
	}
}
