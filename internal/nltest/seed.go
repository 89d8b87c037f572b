package nltest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// WriteSeed writes a file of the corpus of the package's fuzz target: values of the types
// []byte and uint32. The corpora are of little-endian hosts.
func WriteSeed(t testing.TB, target, name string, values ...any) {
	t.Helper()
	if !LittleEndian {
		t.Fatal("the corpus is little-endian")
	}
	text := "go test fuzz v1\n"
	for _, v := range values {
		switch v := v.(type) {
		case []byte:
			text += fmt.Sprintf("[]byte(%q)\n", v)
		case uint32:
			text += fmt.Sprintf("uint32(%d)\n", v)
		default:
			t.Fatalf("a value of type %T", v)
		}
	}
	folder := filepath.Join("testdata", "fuzz", target)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
