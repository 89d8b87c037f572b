// Package thousands writes large numbers for people.
package thousands

import "strconv"

// Of writes a number, which is not negative, with a comma between thousands.
func Of[N int | int64](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
