package iproute2

import "testing"

func TestAppendFlags(t *testing.T) {
	for _, c := range []struct {
		flags uint32
		want  string
	}{
		{0, ""}, {1, "dead"}, {2, "pervasive"}, {4, "onlink"}, {8, "offload"}, {16, "linkdown"}, {32, "unresolved"},
		{64, "trap"}, {0x100, "notify"}, {0x200, "cloned"}, {0x400, "equalize"}, {0x800, "prefix"},
		{0x1000, "lookup_table"}, {0x2000, "fib_match"},
		{0x4000, "rt_offload"}, {0x8000, "rt_trap"}, {0x20000000, "rt_offload_failed"},
		{0x11, "dead,linkdown"}, {0x80, "0x80"}, {0x10000084, "onlink,0x10000080"}, {1 << 31, "0x80000000"},
		{0xffffffff, "dead,onlink,pervasive,offload,trap,notify,linkdown,unresolved,rt_offload,rt_trap," +
			"rt_offload_failed,cloned,equalize,prefix,lookup_table,fib_match,0xdfff0080"},
	} {
		if got := string(AppendFlags([]byte("x "), c.flags)); got != "x "+c.want {
			t.Errorf("%#x: got %q, want %q", c.flags, got, c.want)
		}
	}
}

func TestMetricNames(t *testing.T) {
	const lock, mtu, advmss, hoplimit, rtoMin, noCookie = 1, 2, 8, 10, 13, 17
	for _, c := range []struct {
		mask uint32
		want string
	}{
		{0, ""}, {1 << mtu, "mtu"}, {1<<mtu | 1<<advmss, "mtu,advmss"},
		{1<<hoplimit | 1<<rtoMin, "hoplimit,rto_min"}, {1 << lock, "lock"},
		{1, "0"}, {1<<31 | 1<<30 | 1<<noCookie, "fastopen_no_cookie,30,31"},
		{0x3fffe, "lock,mtu,window,rtt,rttvar,ssthresh,cwnd,advmss,reordering,hoplimit,initcwnd,features,rto_min," +
			"initrwnd,quickack,congctl,fastopen_no_cookie"},
	} {
		if got := string(AppendMetrics([]byte("x "), c.mask)); got != "x "+c.want {
			t.Errorf("lock %#x: got %q, want %q", c.mask, got, c.want)
		}
	}
	for _, c := range []struct {
		features uint32
		want     string
	}{
		{0, ""}, {1, "ecn"}, {1 | 4, "ecn,timestamp"}, {31, "ecn,sack,timestamp,allfrag,tcp_usec_ts"},
		{32 | 1<<31, "5,31"},
	} {
		if got := string(AppendFeatures([]byte("x "), c.features)); got != "x "+c.want {
			t.Errorf("features %#x: got %q, want %q", c.features, got, c.want)
		}
	}
}
