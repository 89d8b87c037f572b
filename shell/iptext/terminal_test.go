package iptext

import "testing"

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain text \\ \" | ~":      "plain text \\ \" | ~",
		"größe 日本 e\u0301 ½":        "größe 日本 e\u0301 ½",
		"\x1b[31mred":               `\x1b[31mred`,
		"a\nb\r\tc\x00\x07\x7f":     `a\nb\r\tc\x00\a\x7f`,
		"\u009b31m":                 `\u009b31m`, // CSI in one character
		"\x9b31m\xff":               `\x9b31m\xff`,
		"\u202egnp.exe\u2066":       `\u202egnp.exe\u2066`, // turns the direction of writing
		"zero\u200bwidth\ufeff":     `zero\u200bwidth\ufeff`,
		"line\u2028paragraph":       `line\u2028paragraph`,
		"private \ue000 \U000e0001": `private \ue000 \U000e0001`,
		"\u00a0 no-break space":     "\u00a0 no-break space",
	} {
		if got := string(Visible([]byte("\x1b"+text), 1)); got != "\x1b"+want {
			t.Errorf("%q is shown as %q, want %q", text, got[1:], want)
		}
	}
}
