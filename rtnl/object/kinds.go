package object

// Kinds are the kinds that are read, each after those that it refers to.
var Kinds = []*Kind{Links.Kind, Netconfs.Kind, NexthopObjects.Kind, Rules.Kind, Routes.Kind}

func init() {
	if len(Kinds) > maxKinds {
		panic("maxKinds is too small")
	}
	for i, k := range Kinds {
		k.ordinal = i
	}
}
