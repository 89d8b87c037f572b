//go:build !linux

package conn

import (
	"context"
	"errors"
	"testing"
)

// TestUnsupported: where there is no RTNetlink the error says so, and what to do.
func TestUnsupported(t *testing.T) {
	_, open := Dialer(Dial).Open(context.Background(), "", 0)
	_, _, hold := Namespace("/run/netns/blue").Hold()
	for err, want := range map[error]string{
		open: "open a netlink socket: ",
		hold: "enter network namespace /run/netns/blue: ",
	} {
		want += "unsupported operation: only Linux has RTNetlink; make a capture on Linux, and read that"
		var read *ReadError
		if !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &read) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
