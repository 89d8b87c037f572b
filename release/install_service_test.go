//go:build linux

package main

import (
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/roottest"
)

// An initSystem is what runs services on a machine: files of a root directory, with programs that note in /calls
// how they were called.
type initSystem struct {
	name    string
	install func(r *roottest.Root)
	restart string // how an administrator restarts osqueryd
	call    string // how it is restarted by us
}

// note makes a program that notes its call and then does what else is given.
func note(r *roottest.Root, program, then string) {
	r.Script(program, `echo "${0##*/} $*" >>/calls`+"\n"+then)
}

// processes makes processes be seen below /proc.
func processes(r *roottest.Root, names ...string) {
	for n, name := range append([]string{"init"}, names...) {
		r.Write("proc/"+string(rune('1'+n))+"/comm", name+"\n")
	}
}

const isRunning = `grep -qsx "$service" /running`

var inits = []initSystem{
	{"systemd", func(r *roottest.Root) {
		r.Folder("run/systemd/system")
		note(r, "usr/bin/systemctl", `for service; do :; done; service=${service%.service}
case $1 in is-active) `+isRunning+` ;; esac`)
		note(r, "usr/bin/systemd-run", "")
	}, "systemctl restart osqueryd", "systemctl try-restart osqueryd.service"},
	{"OpenRC", func(r *roottest.Root) {
		r.Write("run/openrc/softlevel", "default\n")
		note(r, "usr/sbin/rc-service", `service=$1; case $2 in status) `+isRunning+` ;; esac`)
	}, "rc-service osqueryd restart", "rc-service osqueryd restart"},
	{"something else", func(r *roottest.Root) {}, "stop it, and start it", ""},
}

// serviceRoot returns a root directory where an init runs services.
func serviceRoot(t *testing.T, kind roottest.Kind, init initSystem, services ...string) *roottest.Root {
	t.Helper()
	r := registerRoot(t, kind)
	init.install(r)
	r.Write("running", strings.Join(services, "\n")+"\n")
	processes(r, services...)
	r.Folder("etc/osquery")
	return r
}

// restarts returns the calls but those that only ask.
func restarts(r *roottest.Root) (calls []string) {
	for line := range strings.Lines(strings.TrimPrefix(r.Read("calls"), none)) {
		if !strings.Contains(line, "is-active") && !strings.Contains(line, "status") {
			calls = append(calls, strings.TrimSpace(line))
		}
	}
	r.Remove("calls")
	return calls
}

// TestTold: who runs osqueryd is told how to take the extension up, and it is not restarted.
func TestTold(t *testing.T) {
	t.Parallel()
	if !roottest.Inside(t) {
		return
	}
	for _, kind := range kinds {
		for _, init := range inits {
			t.Run(string(kind)+"/"+init.name, func(t *testing.T) {
				r := serviceRoot(t, kind, init, "osqueryd")
				for _, step := range []struct{ job, arg, says string }{
					{"installed", "", "; to load the extension, restart it: " + init.restart},
					{"installed", "upgrade", "; to run this version, restart it: " + init.restart},
					{"installed", "later", ""},
					{"removing", "", "; to end the extension, restart it: " + init.restart},
				} {
					out := run(t, r, registerer, step.job, step.arg)
					if got := strings.Contains(out, "osqueryd is running; "); got != (step.says != "") ||
						!strings.Contains(out, step.says) {
						t.Errorf("%s %s says %q, expected %q", step.job, step.arg, out, step.says)
					}
					told := strings.Contains(out, "KERNEL_ROUTES_RESTART=1 in /etc/default/")
					if told != (step.says != "" && init.call != "") {
						t.Errorf("%s %s says of the variable: %s", step.job, step.arg, out)
					}
					if strings.Count(out, "\n") > 3 {
						t.Errorf("%s %s says much: %s", step.job, step.arg, out)
					}
				}
				if calls := restarts(r); calls != nil {
					t.Errorf("called: %q", calls)
				}
				r.Write(osqueryList, extension+"\n")
				if out := run(t, r, registerer, "installed"); !strings.Contains(out, "to load the extension, restart") {
					t.Errorf("the line was there before the extension: says %q", out)
				}
			})
			t.Run(string(kind)+"/"+init.name+", not running", func(t *testing.T) {
				r := serviceRoot(t, kind, init)
				for _, job := range []string{"installed", "removing"} {
					out, status := r.Run([]string{"KERNEL_ROUTES_RESTART=1"}, registerer, job)
					if status != 0 || strings.Contains(out, "start") || restarts(r) != nil {
						t.Errorf("%s: status %d: %s", job, status, out)
					}
				}
			})
		}
	}
}

// TestRestart: osqueryd is restarted where the administrator asked for it, by each way to ask.
func TestRestart(t *testing.T) {
	t.Parallel()
	if !roottest.Inside(t) {
		return
	}
	for _, kind := range kinds {
		for _, init := range inits {
			t.Run(string(kind)+"/"+init.name, func(t *testing.T) {
				r := serviceRoot(t, kind, init, "osqueryd")
				want := []string{init.call}
				if init.call == "" {
					want = nil
				}
				for _, step := range [][]string{{"installed"}, {"installed", "upgrade"}, {"removing"}} {
					out, status := r.Run([]string{"KERNEL_ROUTES_RESTART=1"}, registerer, step...)
					if calls := restarts(r); status != 0 || !slices.Equal(calls, want) {
						t.Errorf("%q: called %q, expected %q, status %d: %s", step, calls, want, status, out)
					}
					if done := strings.Contains(out, "has been restarted"); done != (init.call != "") {
						t.Errorf("%q says %s", step, out)
					}
				}
			})
		}
		for _, test := range []struct {
			name, env, file string
			want, odd       bool
		}{
			{"environment", "1", "", true, false},
			{"environment, yes", "Yes", "", true, false},
			{"environment, no", "0", "KERNEL_ROUTES_RESTART=1\n", false, false},
			{"file", "", "# asked for\nKERNEL_ROUTES_RESTART=1\n", true, false},
			{"file, quoted, CRLF", "", "KERNEL_ROUTES_RESTART=\"true\" \r\n", true, false},
			{"file, single quotes, no end", "", " KERNEL_ROUTES_RESTART='on'", true, false},
			{"file, last line holds", "", "KERNEL_ROUTES_RESTART=1\nKERNEL_ROUTES_RESTART=0\n", false, false},
			{"file, comment", "", "#KERNEL_ROUTES_RESTART=1\n", false, false},
			{"file, another name", "", "NO_KERNEL_ROUTES_RESTART=1\nKERNEL_ROUTES_RESTARTS=1\n", false, false},
			{"file, empty", "", "KERNEL_ROUTES_RESTART=\n", false, false},
			{"file is not run", "", "KERNEL_ROUTES_RESTART=$(touch /x; echo 1)\ntouch /x\n", false, true},
			{"odd", "2", "", false, true},
			{"odd, shell", "`touch /x`; echo 1", "", false, true},
		} {
			t.Run(string(kind)+"/"+test.name, func(t *testing.T) {
				r := serviceRoot(t, kind, inits[0], "osqueryd")
				if test.file != "" {
					r.Write("etc/default/kernel-routes", test.file)
				}
				out, status := r.Run([]string{"KERNEL_ROUTES_RESTART=" + test.env}, registerer, "installed")
				if calls := restarts(r); (calls != nil) != test.want || status != 0 {
					t.Errorf("called %q, status %d: %s", calls, status, out)
				}
				if odd := strings.Contains(out, "is to be 1 or 0"); odd != test.odd {
					t.Errorf("says %s", out)
				}
				if r.Read("x") != none {
					t.Error("the setting was run by the shell")
				}
			})
		}
	}
}

// TestOrbit: orbit is restarted later and by another, for it may be orbit that installs.
func TestOrbit(t *testing.T) {
	t.Parallel()
	if !roottest.Inside(t) {
		return
	}
	const call = "systemd-run --quiet --on-active=60 --working-directory=/ systemctl try-restart orbit.service"
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			r := serviceRoot(t, kind, inits[0], "orbit")
			processes(r, "orbit", "osqueryd") // which orbit has started
			r.Folder("opt/orbit")             // beside /etc/osquery, of an osqueryd that does not run
			if out := run(t, r, registerer, "installed"); !strings.Contains(out, "systemctl restart orbit") ||
				strings.Contains(out, "osqueryd") || restarts(r) != nil {
				t.Errorf("not asked for: %s", out)
			}
			run(t, r, registerer, "removing")
			r.Remove("etc/osquery")
			r.Script(ownOsqueryd, "exit 0\n")
			out := run(t, r, registerer, "installed")
			if r.Read(osqueryList) != extension+"\n" || r.Read(orbitList) != extension+"\n" ||
				strings.Count(out, "restart orbit") != 1 {
				t.Errorf("orbit's own osqueryd reads either: %q, %q: %s", r.Read(osqueryList), r.Read(orbitList), out)
			}
			r.Write(orbitList, "") // by orbit, where the server names no extensions
			out = run(t, r, registerer, "installed", "upgrade")
			if r.Read(orbitList) != "" || strings.Count(out, "restart orbit") != 1 ||
				strings.Contains(out, "osqueryd is") {
				t.Errorf("orbit has emptied its list, which then has %q: %s", r.Read(orbitList), out)
			}
			run(t, r, registerer, "removing")
			if r.Read(osqueryList) != none {
				t.Errorf("removed: %q", r.Read(osqueryList))
			}
			out, _ = r.Run([]string{"KERNEL_ROUTES_RESTART=1"}, registerer, "installed")
			if calls := restarts(r); !slices.Equal(calls, []string{call}) {
				t.Errorf("called %q: %s", calls, out)
			}
			if strings.Contains(out, "osqueryd") || !strings.Contains(out, "in a minute") {
				t.Errorf("says %s", out)
			}
			note(r, "usr/bin/systemd-run", "exit 1")
			out, status := r.Run([]string{"KERNEL_ROUTES_RESTART=1"}, registerer, "installed", "upgrade")
			if status != 0 || !strings.Contains(out, "cannot be restarted from here") {
				t.Errorf("systemd-run fails: status %d: %s", status, out)
			}
			r.Remove("usr/bin/systemd-run", "calls")
			out, status = r.Run([]string{"KERNEL_ROUTES_RESTART=1"}, registerer, "installed", "upgrade")
			if status != 0 || !strings.Contains(out, "systemctl restart orbit") || restarts(r) != nil {
				t.Errorf("no systemd-run: status %d: %s", status, out)
			}
		})
	}
}

// TestImages: nothing is restarted while an image is built, and nothing fails.
func TestImages(t *testing.T) {
	t.Parallel()
	if !roottest.Inside(t) {
		return
	}
	asked := []string{"KERNEL_ROUTES_RESTART=1"}
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			r := serviceRoot(t, kind, inits[0], "osqueryd")
			r.Script("usr/sbin/policy-rc.d", "exit 101\n")
			out, status := r.Run(asked, registerer, "installed")
			if status != 0 || restarts(r) != nil || !strings.Contains(out, "policy-rc.d") {
				t.Errorf("policy-rc.d: status %d: %s", status, out)
			}
			r.Script("usr/sbin/policy-rc.d", "exit 0\n")
			if _, _ = r.Run(asked, registerer, "installed", "upgrade"); restarts(r) == nil {
				t.Error("policy-rc.d allows it, and it was not restarted")
			}
			run(t, r, registerer, "removing")

			r.Remove("run", "proc", "calls") // systemctl is there, systemd does not run
			r.Folder("run")
			out, status = r.Run(asked, registerer, "installed")
			if status != 0 || restarts(r) != nil || strings.Contains(out, "start") {
				t.Errorf("chroot: status %d: %s", status, out)
			}
			run(t, r, registerer, "removing")

			// dpkg --force-script-chrootless: the root directory is that of the host, and not meant.
			r = serviceRoot(t, kind, inits[0], "osqueryd")
			r.Folder("image/etc/osquery")
			r.Folder("image/usr/lib/kernel-routes")
			r.Link("image/etc/osquery/extensions.load", "/srv/list")
			r.Write("image/srv/list", "/opt/a.ext")
			r.Script("image"+registerer, strings.TrimPrefix(r.Read(registerer), "#!/bin/sh\n"))
			env := append([]string{"DPKG_ROOT=/image"}, asked...)
			before := r.Tree("image")
			out, status = r.Run(env, "/postinstall", "configure", "")
			if got := r.Read("image/srv/list"); status != 0 || got != "/opt/a.ext\n"+extension+"\n" {
				t.Errorf("DPKG_ROOT: status %d: %s: %q", status, out, got)
			}
			out, status = r.Run(env, "/preremove", "remove")
			if status != 0 || r.Read("image/srv/list") != "/opt/a.ext" {
				t.Errorf("DPKG_ROOT: status %d: %s: %q", status, out, r.Read("image/srv/list"))
			}
			if d := roottest.Differences(before, r.Tree("image")); d != "" {
				t.Errorf("DPKG_ROOT: on the host:\n%s", d)
			}
		})
	}
}

// TestNeither: where there is neither osquery nor orbit one line says how to go on.
func TestNeither(t *testing.T) {
	t.Parallel()
	if !roottest.Inside(t) {
		return
	}
	for _, kind := range kinds {
		r := registerRoot(t, kind)
		before := r.Tree()
		out := run(t, r, registerer, "installed")
		if strings.Count(out, "\n") != 1 || !strings.Contains(out, registerer) {
			t.Errorf("%s: says %q", kind, out)
		}
		if out := run(t, r, registerer, "installed", "upgrade") + run(t, r, registerer, "removing"); out != "" {
			t.Errorf("%s: says %q", kind, out)
		}
		if out, status := r.Run(nil, registerer); status != 1 || !strings.Contains(out, "neither osquery") {
			t.Errorf("%s: asked for: status %d: %s", kind, status, out)
		}
		if d := roottest.Differences(before, r.Tree()); d != "" {
			t.Errorf("%s: changed:\n%s", kind, d)
		}

		r.Script("opt/osquery/bin/osqueryd", "exit 0\n") // without /etc/osquery
		before = r.Tree()
		run(t, r, registerer, "installed", "upgrade")
		if got := r.Read(osqueryList); got != extension+"\n" {
			t.Errorf("%s: osquery came: %q", kind, got)
		}
		run(t, r, registerer, "removing")
		if d := roottest.Differences(before, r.Tree()); d != "" {
			t.Errorf("%s: removed:\n%s", kind, d)
		}
	}
}
