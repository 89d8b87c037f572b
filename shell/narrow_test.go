package shell

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestNarrowOneByOne compares with taking one column of the terminal at a time.
func TestNarrowOneByOne(t *testing.T) {
	oneByOne := func(widths, least []int, short int) (left int) {
		for ; short > 0; short-- {
			widest := -1
			for i, w := range widths {
				if w > least[i] && (widest < 0 || w > widths[widest]) {
					widest = i
				}
			}
			if widest < 0 {
				return short
			}
			widths[widest]--
		}
		return 0
	}
	for range 20_000 {
		widths, least, sum := make([]int, rand.IntN(8)), make([]int, 8), 0
		for i := range widths {
			widths[i] = rand.IntN(30)
			least[i] = rand.IntN(widths[i] + 1)
			sum += widths[i]
		}
		got, want, short := slices.Clone(widths), slices.Clone(widths), rand.IntN(sum+3)
		if left, l := narrow(got, least, short), oneByOne(want, least, short); left != l || !slices.Equal(got, want) {
			t.Fatalf("%v, at least %v, %d less: %v and %d, want %v and %d", widths, least, short, got, left, want, l)
		}
	}
	wide := make([]int, 2000)
	for i := range wide {
		wide[i] = 1000
	}
	if left := narrow(wide, make([]int, 2000), 1_900_000); left != 0 || wide[0] != 50 || wide[1999] != 50 {
		t.Errorf("%d left, %d", left, wide[0])
	}
}
