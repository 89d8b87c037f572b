package needtest

import "testing"

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		release, than string
		want          bool
	}{
		{"5.10.0-32-amd64", "5.13", true}, {"6.1.0-50-amd64", "5.13", false}, {"6.12.117+deb13-amd64", "6.9", false},
		{"6.1.0-50-amd64", "6.12", true}, {"7.2.13", "7.2", false}, {"7.2.13", "7.3", true}, {"", "4.3", true},
	} {
		if got := Older(c.release, c.than); got != c.want {
			t.Errorf("%q comes before %s: %v", c.release, c.than, got)
		}
	}
}

// TestExpected: nothing is expected of a kernel that is any machine's.
func TestExpected(t *testing.T) {
	t.Setenv(Machine, "")
	if release, ok := expected("1.0"); ok {
		t.Errorf("expected of %s", release)
	}
	t.Setenv(Machine, "1")
	for since, want := range map[string]bool{"1.0": true, "999.0": false, "": false} {
		if release, ok := expected(since); ok != want {
			t.Errorf("what there is since %q is expected of Linux %s: %v", since, release, ok)
		}
	}
}
