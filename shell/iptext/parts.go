package iptext

import (
	"slices"
	"strings"
)

// Others returns the parts of what was replaced that are others now. Of nexthops these are those
// that went, also where the only one that is left is written otherwise, as "via 192.0.2.1" and
// "dev eth0".
func Others(old, now []string) (others []string) {
	only := strings.Join(slices.DeleteFunc(slices.Clone(now), func(part string) bool { return !isWay(part) }), " ")
	for _, part := range old {
		if !slices.Contains(now, part) && (only == "" || !strings.HasPrefix(part, NexthopWord+only+" weight ")) {
			others = append(others, part)
		}
	}
	return others
}

// isWay reports whether a part is one of a single nexthop.
func isWay(part string) bool {
	word, _, _ := strings.Cut(part, " ")
	return slices.Contains([]string{"encap", "as", "via", "dev"}, word)
}
