package wire

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppendName(t *testing.T) {
	for name, want := range map[string]string{
		"":             "",
		"eth0":         "eth0",
		"größe":        "größe",
		"a\x01\x1b[1m": "a\x01\x1b[1m", // control characters are text
		"\uFFFD":       "\uFFFD",
		"\xff1":        `\xff1`,
		"a\xc3":        `a\xc3`,
		"\xed\xa0\x80": `\xed\xa0\x80`, // a surrogate
		`\xff`:         `\x5cxff`,      // so that it is not the byte
		`\xFF`:         `\x5cxFF`,      //
		`\x5cxff`:      `\x5cx5cxff`,   //
		`\xf`:          `\xf`,          // nothing to be taken for
		`\`:            `\`,            //
		`\\x41`:        `\\x5cx41`,     //
		"\\\xff":       `\\xff`,        //
		"\\x\xff":      `\x\xff`,       //
		"\\x4\xff":     `\x4\xff`,      //
		"wg\xe9\xe8":   `wg\xe9\xe8`,   // Latin-1
	} {
		if got := string(AppendName([]byte("x"), name)); got != "x"+want {
			t.Errorf("%q: %s, not %s", name, got, want)
		}
	}
}

// FuzzAppendName proves that names have different forms: each form gives its name back.
func FuzzAppendName(f *testing.F) {
	for _, s := range []string{"eth0", "\xff1", `\xff1`, `\x5cxff`, "\\x4\xff", "\\\\x41", "\xed\xa0\x80", `\x`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		form := string(AppendName(nil, name))
		if !utf8.ValidString(form) {
			t.Fatalf("%q: %q is no UTF-8", name, form)
		}
		if got := parseName(form); got != name {
			t.Fatalf("%q: %q, which is the form of %q", name, form, got)
		}
		if PlainName(name) && form != name {
			t.Fatalf("%q: %q", name, form)
		}
	})
}

// parseName is the inverse of AppendName.
func parseName(form string) string {
	var b strings.Builder
	for len(form) > 0 {
		if isEscape(form) {
			c, err := strconv.ParseUint(form[2:4], 16, 8)
			if err != nil {
				panic(err)
			}
			b.WriteByte(byte(c))
			form = form[4:]
			continue
		}
		b.WriteByte(form[0])
		form = form[1:]
	}
	return b.String()
}
