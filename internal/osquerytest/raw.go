package osquerytest

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/apache/thrift/lib/go/thrift"
)

// Message is the bytes of a Thrift call.
func Message(name string, args thrift.TStruct) []byte {
	ctx := context.Background()
	buf := thrift.NewTMemoryBuffer()
	out := thrift.NewTBinaryProtocolConf(buf, nil)
	if err := errors.Join(out.WriteMessageBegin(ctx, name, thrift.CALL, 1), args.Write(ctx, out)); err != nil {
		panic(err) // it is memory
	}
	return buf.Bytes()
}

// Exchange sends a message on a connection of its own and reads what comes back
// without looking at it, so that a benchmark measures the server and not the
// client. It returns the number of bytes.
func Exchange(socket string, message []byte) (int64, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := conn.Write(message); err != nil {
		return 0, err
	}
	// A server of Thrift's that sees the end before it answers may give up.
	first, err := conn.Read(make([]byte, 1))
	if err != nil {
		return 0, err
	}
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, conn)
	return int64(first) + n, err
}
