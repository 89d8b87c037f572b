package nltest

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
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

// appendAdded encodes the numbers that were declared after the attributes which are named
// here.
func appendAdded(b []byte, r *object.Route) []byte {
	for _, a := range object.RouteAttributes() {
		v, ok := uint64(0), false
		if a.Number > RTA_DEL_REASON && a.IsNumber() && !Requested(a.Number) {
			v, ok = a.Of(r)
		}
		if !ok {
			continue
		}
		data := binary.BigEndian.AppendUint64(nil, v)[8-a.Size:]
		tag := reflect.TypeFor[object.Route]().Field(FieldOf(a.Number)).Tag.Get("rta")
		if NE(uint16(1))[0] == 1 && !strings.HasSuffix(tag, " be") {
			slices.Reverse(data)
		}
		b = append(b, Attr(a.Number, data)...)
	}
	return b
}
