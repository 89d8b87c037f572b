// Package nltest writes for tests what the kernel would send: attributes, messages, and
// the values of package object as messages.
//
//	attribute.go  Attr and the numbers in it: NE, BE, Str, Labels
//	numbers.go    the kernel's numbers of attributes
//	route.go      AppendRoute, AppendMultipath, AppendRouteMetrics
//	objects.go    AppendLink, AppendLinkConfig, AppendNetconf, AppendNexthop
//	message.go    whole messages: Route4, Route6, LinkMessage, NexthopMessage, Done, Failed
//	runs.go       Runs: messages as a snapshot has them
//	sample.go     routes to begin with: V4, V6, ECMP, Mroute, ViaObject
//	match.go      Matches: what a filter must say of a route
//	chance.go     Chance: random values
//	bytes.go      ExactCopy, Inside: where bytes are in memory
//	seed.go       WriteSeed: the corpus of a fuzz target
package nltest
