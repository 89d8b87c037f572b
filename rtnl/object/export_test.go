package object

// KindRequest is VRFRequest for another kind of interface.
func KindRequest(kind string, large bool) []byte { return kindRequest(kind, large) }

// Set sets a metric that is no algorithm of congestion control.
func (m *Metrics) Set(n uint8, v uint32) { m.has, m.values[n] = m.has|1<<n, v }

// CheckMultipath and DecodeMultipath are of a payload of RTA_MULTIPATH.
func CheckMultipath(b []byte) error { return checkMultipath(0, b) }

// DecodeMultipath checks first.
func (r *Route) DecodeMultipath(b []byte) error {
	err := checkMultipath(0, b)
	if err == nil {
		r.decodeMultipath(b)
	}
	return err
}

// Decode decodes a payload of RTA_METRICS, and checks it first.
func (m *Metrics) Decode(b []byte) (understood bool, err error) {
	if err = checkMetrics(0, b); err != nil {
		return false, err
	}
	return m.decode(b), nil
}

// Outputs returns the output interfaces in RTA_MULTIPATH.
var Outputs = outputs
