package conn_test

import (
	"context"
	"io"

	"github.com/mdlayher/netlink"

	"kernelroutes/rtnl/conn"
)

// A sized socket has answers in store, and notes how large the buffers are that it is given.
type sized struct {
	answers [][]byte
	sent    uint16 // type of the last request
	size    int    // of the last buffer
}

func (s *sized) dial(context.Context, conn.Namespace, uint32) (conn.Socket, bool, error) {
	return s, true, nil
}

func (s *sized) Send(m netlink.Message) (netlink.Message, error) {
	s.sent, m.Header.Sequence = uint16(m.Header.Type), 1
	return m, nil
}

func (s *sized) Receive(buf []byte, _ bool) (int, error) {
	if len(s.answers) == 0 {
		return 0, io.EOF
	}
	n := copy(buf, s.answers[0])
	s.size, s.answers = len(buf), s.answers[1:]
	return n, nil
}

func (s *sized) Close() {}
