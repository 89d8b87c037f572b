package iptext

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// AppendJSON appends a value as JSON, in one line that is safe for a terminal: the encoder leaves DEL and the
// control characters from U+0080 on as they are, which are commands for some terminals.
func AppendJSON(b []byte, value any) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return b, err
	}
	line := bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	for {
		at := bytes.IndexFunc(line, func(r rune) bool { return r >= 0x7f && r < 0xa0 })
		if at < 0 {
			return append(b, line...), nil
		}
		r, size := utf8.DecodeRune(line[at:])
		b = fmt.Appendf(append(b, line[:at]...), "\\u%04x", r)
		line = line[at+size:]
	}
}
