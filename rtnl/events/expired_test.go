package events

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/needtest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// TestExpired has a route whose lifetime runs out: it is deleted by the kernel, which says why since
// Linux 7.3.
func TestExpired(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	expired := make(chan *Event, 1)
	done := testFollower(t).inBackground(ctx, func(e *Event, err error) bool {
		if err == nil && strings.HasPrefix(textOf(e), "deleted route 254 fd20::/32") {
			expired <- e
			return false
		}
		return err == nil
	})
	nstest.IP(t, "-6 route add fd20::/32 dev v0 expires 1")
	var e *Event
	for n := 0; e == nil; n++ {
		// ndisc_netdev_event looks for what has expired, which is done every 30 s otherwise.
		nstest.IP(t, fmt.Sprintf("link set v0p address 02:00:00:00:%02x:%02x", n>>8&255, n&255))
		select {
		case e = <-expired:
		case <-ctx.Done():
			t.Fatal("nobody tells that the route has gone")
		case <-time.After(20 * time.Millisecond):
		}
	}
	<-done
	if e.Port != 0 {
		t.Errorf("port %d has asked for it", e.Port)
	}
	t.Run("reason", func(t *testing.T) {
		var r object.Route
		object.Decode(e.Object, object.Routes, &r)
		if want := object.Some[uint32](1); r.DelReason != want { // RT_DEL_REASON_EXPIRED
			err := fmt.Errorf("the reason is %v", r.DelReason)
			needtest.Kernel(t, "reasons for which routes are deleted", "7.3", err)
		}
	})
}
