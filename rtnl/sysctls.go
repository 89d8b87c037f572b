package rtnl

import (
	"maps"
	"strconv"
	"strings"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

// Sysctls are values of /proc/sys/net by the name that sysctl has for them, as
// "net.ipv4.conf.all.rp_filter", in the kernel's words. RTNetlink tells of an interface's
// settings, but of all's and default's only a few (object.Netconf).
type Sysctls map[string]string

// The two that are no interfaces, and have settings.
const (
	ConfAll     = "all"
	ConfDefault = "default"
)

// sysctlPath is of the network namespace of the thread that opens a file below it.
const sysctlPath = "/proc/sys"

// confSysctl returns the name of a setting of all or default.
func confSysctl(f object.Family, conf string, s *object.Setting) string {
	return "net." + f.String() + ".conf." + conf + "." + s.File(f)
}

// A confFolder is a folder of settings.
type confFolder struct {
	name  string   // of the settings in it, up to the last point
	files []string // those that are read
}

// confFolders are those of all and default.
var confFolders = func() (folders []confFolder) {
	for _, f := range []object.Family{object.IPv4, object.IPv6} {
		for _, conf := range []string{ConfAll, ConfDefault} {
			folder := confFolder{name: "net." + f.String() + ".conf." + conf + "."}
			for i := range object.Settings {
				if s := &object.Settings[i]; s.Has(f) {
					folder.files = append(folder.files, s.File(f))
				}
			}
			folders = append(folders, folder)
		}
	}
	return folders
}()

// wantsSysctls reports whether those of all and default are wanted: with the few that
// RTNetlink tells of.
func (r *Request) wantsSysctls() bool { return r.All(object.Netconfs.Kind) }

// readSysctls reads the settings of all and default in a namespace. One that is not there is left
// out, one that may not be read or has no number is "": a kernel that does not have a setting is told by that.
func readSysctls(path string, ns Namespace) (Sysctls, error) {
	all := Sysctls{}
	err := ns.Do(func() error {
		for _, folder := range confFolders {
			err := readFiles(path+"/"+strings.ReplaceAll(folder.name, ".", "/"), folder.files,
				func(file string, value []byte) {
					text := strings.TrimSuffix(string(value), "\n")
					if _, err := strconv.ParseInt(text, 10, 64); err != nil {
						text = "" // what a container has there instead
					}
					all[folder.name+file] = text
				})
			if err != nil {
				return conn.NewReadError("read the settings "+folder.name+"*", err)
			}
		}
		return nil
	})
	return all, err
}

// A sysctlReader reads them before what they are shown with, and after: no message tells of
// most of their changes.
type sysctlReader struct {
	before, after Sysctls // nil: yet to be read
}

// begin reads them before anything else is.
func (r *sysctlReader) begin(s *session) (err error) {
	if r.before == nil && s.sysctls != "" && s.asked.wantsSysctls() {
		r.before, err = readSysctls(s.sysctls, s.asked.Namespace)
	}
	return err
}

// end reads them when all else is read.
func (r *sysctlReader) end(s *session) (err error) {
	if r.before != nil {
		r.after, err = readSysctls(s.sysctls, s.asked.Namespace)
	}
	return err
}

// changed reports whether they changed meanwhile. What changes and changes back between two
// readings is not seen.
func (r *sysctlReader) changed() bool { return !maps.Equal(r.before, r.after) }

// A ConfKey says whose settings they are.
type ConfKey struct {
	Conf   string // ConfAll, ConfDefault
	Family object.Family
}

// Confs returns the settings of all and default for IPv4 and IPv6 of which any is known: those
// in Sysctls, and where these lack one what RTNetlink tells.
func (s *Snapshot) Confs() map[ConfKey]*object.Conf {
	told := map[ConfKey]object.Netconf{}
	for n := range All(s, object.Netconfs) {
		switch n.Index {
		case object.Some[uint32](object.NetconfAll):
			told[ConfKey{ConfAll, n.Family}] = *n
		case object.Some[uint32](object.NetconfDefault):
			told[ConfKey{ConfDefault, n.Family}] = *n
		}
	}
	confs := map[ConfKey]*object.Conf{}
	for _, conf := range []string{ConfAll, ConfDefault} {
		for _, f := range []object.Family{object.IPv4, object.IPv6} {
			netconf, known := told[ConfKey{conf, f}]
			c := object.ConfOf(f, func(setting *object.Setting) (int64, bool) {
				if v, err := strconv.ParseInt(s.Sysctls[confSysctl(f, conf, setting)], 10, 64); err == nil {
					known = true
					return v, true
				}
				return netconf.Value(setting)
			})
			if known {
				confs[ConfKey{conf, f}] = c
			}
		}
	}
	return confs
}

// LackedSettings returns the settings of a family that this kernel was built without, for which
// it sends zeros: there is no file of them where there are others. nil: that is not known.
func (s *Snapshot) LackedSettings(f object.Family) *object.Lacking {
	lacks, some := object.Lacking{}, false
	for i := range object.Settings {
		setting := &object.Settings[i]
		if _, ok := s.Sysctls[confSysctl(f, ConfAll, setting)]; ok {
			some = true
		} else if setting.Has(f) {
			lacks[setting] = true
		}
	}
	if !some {
		return nil
	}
	return &lacks
}
