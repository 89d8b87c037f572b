package iptext

import (
	"encoding/json"
	"testing"
	"unicode"
)

// TestAppendJSON: nothing that a terminal takes for a command is in it, and a reader gets the text that it was.
func TestAppendJSON(t *testing.T) {
	for r := range rune(0x200) {
		text := "<a" + string(r) + "b>" + string(r)
		b, err := AppendJSON([]byte("x"), map[string]string{"n": text})
		if err != nil || b[0] != 'x' {
			t.Fatalf("%q: %q, %v", text, b, err)
		}
		var got map[string]string
		if err := json.Unmarshal(b[1:], &got); err != nil || got["n"] != text {
			t.Errorf("%q is %q: %v", text, b, err)
		}
		for _, r := range string(b) {
			if unicode.IsControl(r) {
				t.Errorf("%q has %q", b, r)
			}
		}
	}
	if b, err := AppendJSON(nil, func() {}); err == nil {
		t.Errorf("of a function: %q", b)
	}
}
