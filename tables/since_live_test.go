package tables_test

import (
	"os"
	"slices"
	"testing"

	"kernelroutes/internal/needtest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// backported are settings that stable releases of older kernels have too.
var backported = []string{"accept_ra_min_lft"} // 5.10.195, 6.1.53

// TestSinceOfSettings sees that this kernel sends the settings that it has by its release, and,
// where it is one that nobody has added anything to, no others.
func TestSinceOfSettings(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	release, err := needtest.Release()
	if err != nil {
		t.Fatal(err)
	}
	rows := configs(t, &rtnl.Kernel{})
	has, lacks := 0, 0
	for _, family := range []object.Family{object.IPv4, object.IPv6} {
		r := rows[configKey{family.String(), "v0"}]
		for i := range object.Settings {
			s := &object.Settings[i]
			value := r[s.Name]
			switch {
			case !s.Has(family):
				if value != "" {
					t.Errorf("%s is %s for %v, which has no such setting", s.Name, value, family)
				}
			case !needtest.Older(release, s.Since(family)):
				if has++; value == "" {
					t.Errorf("Linux %s does not send %s of %v, which there is since %q", release, s.Name, family,
						s.Since(family))
				}
			default:
				alien := value != "" && !slices.Contains(backported, s.Name)
				if lacks++; alien && os.Getenv(needtest.Machine) != "" {
					t.Errorf("Linux %s sends %s = %s of %v, which there should be since %s", release, s.Name, value,
						family, s.Since(family))
				}
			}
		}
	}
	if t.Logf("Linux %s has %d settings, and lacks %d", release, has, lacks); has < 70 {
		t.Errorf("only %d settings", has)
	}
}
