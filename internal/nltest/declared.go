package nltest

import (
	"fmt"
	"reflect"
	"strings"

	"kernelroutes/rtnl/object"
)

// RTA_END and RTAX_END are the first numbers of attributes and of metrics after those that
// are declared.
var RTA_END, RTAX_END = func() (attribute uint16, metric uint8) {
	for _, a := range object.RouteAttributes() {
		attribute = max(attribute, a.Number+1)
	}
	for _, m := range object.RouteMetrics {
		metric = max(metric, m.Number+1)
	}
	return attribute, metric
}()

// FieldOf returns which field of a route is declared as an attribute; -1: none is.
func FieldOf(number uint16) int {
	route := reflect.TypeFor[object.Route]()
	for i := range route.NumField() {
		if strings.HasPrefix(route.Field(i).Tag.Get("rta"), fmt.Sprint(number, " ")) {
			return i
		}
	}
	return -1
}

// Requested reports whether an attribute is declared as one that no dump has: see
// object.Attribute.
func Requested(number uint16) bool {
	i := FieldOf(number)
	return i >= 0 && strings.HasSuffix(reflect.TypeFor[object.Route]().Field(i).Tag.Get("rta"), " request")
}
