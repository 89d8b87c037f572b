package nltest

import (
	"testing"

	"kernelroutes/rtnl/object"
)

// Runs makes messages about objects of one kind of what they are made of, as AppendRoute and the like have it.
func Runs(t testing.TB, k *object.Kind, payloads ...[]byte) []object.Run {
	t.Helper()
	var log object.Messages
	var m object.Message
	for _, p := range payloads {
		if err := k.Check(&m, Padded(k.New, 0, 0, p)); err != nil {
			t.Fatal(err)
		}
		log.Add(&m)
	}
	return log.Runs
}
