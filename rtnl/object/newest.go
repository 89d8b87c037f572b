package object

import (
	"cmp"
	"slices"
)

// Newest returns of routes, nexthop objects, policy rules and settings of interfaces the
// attribute with the highest number that is decoded. The kernel only ever adds at the end,
// and what comes after it is shown as not understood. Links are not among them: of what
// there is to say of a link few attributes are looked at.
func Newest() []Attribute {
	var newest []Attribute
	byNumber := func(a, b Attribute) int { return cmp.Compare(a.Number, b.Number) }
	for _, list := range [][]Attribute{
		routeFields.list, nexthopObjectFields.list, ruleFields.list, netconfFields.list,
	} {
		newest = append(newest, slices.MaxFunc(list, byNumber))
	}
	return newest
}
