//go:build linux

package docs

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v3"

	"kernelroutes/internal/buildtest"
	"kernelroutes/internal/nstest"
)

// needed are the capabilities that the tables of other namespaces need.
var needed = []string{"SYS_ADMIN", "SYS_PTRACE"}

// granted are those that the examples grant: the last one is to see which of other users' processes has
// made a change.
var granted = append(slices.Clone(needed), "DAC_READ_SEARCH")

// A daemonSet is what is checked of the manifest. What it does not name is a mistake.
type daemonSet struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   metadata
	Spec       struct {
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Template struct {
			Metadata metadata
			Spec     podSpec
		}
	}
}

type metadata struct {
	Name, Namespace string
	Labels          map[string]string
}

type podSpec struct {
	HostNetwork           bool              `yaml:"hostNetwork"`
	HostPID               bool              `yaml:"hostPID"`
	DNSPolicy             string            `yaml:"dnsPolicy"`
	AutomountServiceToken *bool             `yaml:"automountServiceAccountToken"`
	NodeSelector          map[string]string `yaml:"nodeSelector"`
	Tolerations           []struct{ Operator string }
	Containers            []container
	Volumes               []struct {
		Name     string
		HostPath struct{ Path, Type string } `yaml:"hostPath"`
	}
}

type container struct {
	Name, Image     string
	Args            []string
	SecurityContext struct {
		RunAsUser                int `yaml:"runAsUser"`
		Privileged               bool
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		Capabilities             struct{ Drop, Add []string }
		SeccompProfile           struct{ Type string } `yaml:"seccompProfile"`
		AppArmorProfile          struct{ Type string } `yaml:"appArmorProfile"`
	} `yaml:"securityContext"`
	Resources struct {
		Requests, Limits map[string]string
	}
	VolumeMounts []struct {
		Name             string
		MountPath        string `yaml:"mountPath"`
		ReadOnly         bool   `yaml:"readOnly"`
		MountPropagation string `yaml:"mountPropagation"`
	} `yaml:"volumeMounts"`
}

// readDaemonSet reads the manifest: a Namespace and a DaemonSet in it.
func readDaemonSet(t *testing.T) daemonSet {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(read(t, "examples/kubernetes/daemonset.yaml")))
	decoder.KnownFields(true)
	var namespace struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   metadata
	}
	var set daemonSet
	if err := decoder.Decode(&namespace); err != nil {
		t.Fatal(err)
	}
	if err := decoder.Decode(&set); err != nil {
		t.Fatal(err)
	}
	if err := decoder.Decode(new(any)); err != io.EOF {
		t.Errorf("after the DaemonSet: %v", err)
	}
	if namespace.APIVersion != "v1" || namespace.Kind != "Namespace" ||
		namespace.Metadata.Name != set.Metadata.Namespace {
		t.Errorf("namespace: %+v", namespace)
	}
	// Host namespaces are refused by the other levels.
	if level := namespace.Metadata.Labels["pod-security.kubernetes.io/enforce"]; level != "privileged" {
		t.Errorf("pod security level %q", level)
	}
	return set
}

// TestDaemonSet checks what would make the tables show the pod, or nothing, and what is more than they need.
func TestDaemonSet(t *testing.T) {
	set := readDaemonSet(t)
	if set.APIVersion != "apps/v1" || set.Kind != "DaemonSet" {
		t.Errorf("%s %s", set.APIVersion, set.Kind)
	}
	for name, value := range set.Spec.Selector.MatchLabels {
		if set.Spec.Template.Metadata.Labels[name] != value {
			t.Errorf("the selector's %s=%s is no label of the pods", name, value)
		}
	}
	pod := set.Spec.Template.Spec
	if !pod.HostNetwork || !pod.HostPID || pod.DNSPolicy != "ClusterFirstWithHostNet" ||
		pod.NodeSelector["kubernetes.io/os"] != "linux" ||
		pod.AutomountServiceToken == nil || *pod.AutomountServiceToken ||
		len(pod.Tolerations) != 1 || pod.Tolerations[0].Operator != "Exists" {
		t.Errorf("pod: %+v", pod)
	}
	if len(pod.Containers) != 1 {
		t.Fatalf("%d containers", len(pod.Containers))
	}
	c := pod.Containers[0]
	s := c.SecurityContext
	// Kubernetes documents that allowPrivilegeEscalation is true with SYS_ADMIN: false is refused for CAP_SYS_ADMIN.
	if s.RunAsUser != 0 || s.Privileged || s.AllowPrivilegeEscalation != nil ||
		s.SeccompProfile.Type != "RuntimeDefault" || s.AppArmorProfile.Type != "Unconfined" ||
		!slices.Equal(s.Capabilities.Drop, []string{"ALL"}) || !slices.Equal(s.Capabilities.Add, granted) {
		t.Errorf("securityContext: %+v", s)
	}
	mounts := map[string]string{}
	for _, m := range c.VolumeMounts {
		mounts[m.Name] = m.MountPath
		if m.MountPath == "/run/netns" && (!m.ReadOnly || m.MountPropagation != "HostToContainer") {
			t.Errorf("mount: %+v", m)
		}
	}
	for _, v := range pod.Volumes {
		if mounts[v.Name] == "" {
			t.Errorf("volume %s is not mounted", v.Name)
		}
		if v.HostPath.Path == "/run/netns" && mounts[v.Name] != "/run/netns" || v.HostPath.Type != "DirectoryOrCreate" {
			t.Errorf("volume: %+v", v)
		}
		delete(mounts, v.Name)
	}
	if len(mounts) > 0 {
		t.Errorf("mounts without a volume: %v", mounts)
	}
	// The worker may grow by the watchdog's limit; the watcher, the extension and what all begin with come to it.
	if limit, allowed := mebibytes(t, c.Resources.Limits["memory"]), watchdogLimit(t); limit < 2*allowed {
		t.Errorf("%d MiB for a worker that may grow by %d", limit, allowed)
	}
}

func mebibytes(t *testing.T, text string) int {
	t.Helper()
	for suffix, factor := range map[string]int{"Mi": 1, "Gi": 1024, "m": 1, "g": 1024} {
		if number, ok := strings.CutSuffix(text, suffix); ok {
			if n, err := strconv.Atoi(number); err == nil {
				return n * factor
			}
		}
	}
	t.Fatalf("no size: %q", text)
	return 0
}

// watchdogLimit is what osquery.flags allows the worker to grow by, in MB.
func watchdogLimit(t *testing.T) int {
	t.Helper()
	for _, line := range lines(read(t, "examples/osquery.flags")) {
		if value, ok := strings.CutPrefix(line, "--watchdog_memory_limit="); ok {
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 200
}

// TestDockerRun runs the script with a docker that shows its arguments.
func TestDockerRun(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/docker", []byte("#!/bin/sh\nprintf '%s\\n' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	out, err := exec.Command("examples/docker/run.sh").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	args := " " + strings.Join(strings.Fields(string(out)), " ") + " "
	for _, want := range []string{" run --detach ", " --network host ", " --pid host ", " --cap-drop ALL ",
		" --security-opt apparmor=unconfined ", "source=/run/netns,target=/run/netns,readonly,bind-propagation=rslave ",
		" osquery-kernel-routes "} {
		if !strings.Contains(args, want) {
			t.Errorf("no%sin%s", want, args)
		}
	}
	var added []string
	for _, part := range strings.Split(args, " --cap-add ")[1:] {
		added = append(added, strings.Fields(part)[0])
	}
	if !slices.Equal(added, granted) {
		t.Errorf("capabilities %q, want %q", added, granted)
	}
	_, size, _ := strings.Cut(args, " --memory ")
	if limit := mebibytes(t, strings.Fields(size)[0]); limit < 2*watchdogLimit(t) {
		t.Errorf("%d MiB of memory", limit)
	}
}

// TestDropIn sees that the drop-in takes nothing away that the tables need.
func TestDropIn(t *testing.T) {
	all := lines(read(t, "examples/systemd/kernel-routes.conf"))
	if all[0] != "[Service]" {
		t.Fatalf("it begins with %s", all[0])
	}
	known := []string{"NoNewPrivileges=yes", "RestrictNamespaces=net", "ProtectSystem=full",
		"ReadWritePaths=-/etc/osquery", "ProtectKernelModules=yes", "ProtectControlGroups=yes",
		"ProtectClock=yes", "ProtectHostname=yes", "RestrictSUIDSGID=yes", "RestrictRealtime=yes",
		"LockPersonality=yes", "SystemCallArchitectures=native"}
	var capabilities, families []string
	for _, line := range all[1:] {
		name, value, _ := strings.Cut(line, "=")
		switch name {
		case "CapabilityBoundingSet":
			capabilities = strings.Fields(value)
		case "RestrictAddressFamilies":
			families = strings.Fields(value)
		default:
			if !slices.Contains(known, line) {
				t.Errorf("%s: it is not known whether the tables still show everything", line)
			}
		}
	}
	// ExecStartPre of osquery's unit is touch /etc/osquery/osquery.flags if it is missing.
	if slices.Contains(all, "ProtectSystem=full") != slices.Contains(all, "ReadWritePaths=-/etc/osquery") {
		t.Error("osqueryd does not start without osquery.flags")
	}
	for _, c := range granted {
		if !slices.Contains(capabilities, "CAP_"+c) {
			t.Errorf("no CAP_%s", c)
		}
	}
	for _, f := range []string{"AF_NETLINK", "AF_UNIX"} {
		if !slices.Contains(families, f) {
			t.Errorf("no %s", f)
		}
	}
}

// TestCapabilities sees that the capabilities of the examples are enough for the namespaces of all processes,
// that each of them is needed for that, and none for the own namespace.
func TestCapabilities(t *testing.T) {
	if !nstest.SeesAllProcesses(t) {
		return
	}
	program := buildtest.Program(t)
	other := exec.Command("sleep", "100") // it keeps all capabilities
	other.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	ask := func(capabilities []string, where string) (string, error) {
		set := "-all"
		for _, c := range capabilities {
			set += ",+" + strings.ToLower(c)
		}
		cmd := exec.Command("setpriv", "--bounding-set="+set, "--inh-caps=-all", program, "query", "--csv",
			"SELECT count(DISTINCT netns_id) FROM kernel_interface_config WHERE "+where)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		return strings.TrimSpace(out.String() + errs.String()), err
	}
	everywhere, process := "netns = '*'", "pid_with_namespace = "+strconv.Itoa(other.Process.Pid)
	if out, err := ask(needed, everywhere); err != nil || !strings.HasSuffix(out, "\n2") {
		t.Errorf("with %q: %v, %s", needed, err, out)
	}
	if out, err := ask(nil, "dev = 'lo'"); err != nil || !strings.HasSuffix(out, "\n1") {
		t.Errorf("the own namespace without capabilities: %v, %s", err, out)
	}
	for i := range needed {
		fewer := slices.Delete(slices.Clone(needed), i, i+1)
		for _, where := range []string{everywhere, process} {
			if out, err := ask(fewer, where); err == nil || !strings.Contains(out, "CAP_"+needed[i]) {
				t.Errorf("%s without %s: %v, %s", where, needed[i], err, out)
			}
		}
	}
}

// TestDockerfile sees that each argument of the build is used, what is copied is there, and osquery comes first, whose
// folder tells the package that osquery is there.
func TestDockerfile(t *testing.T) {
	text := read(t, "examples/docker/Dockerfile")
	for _, line := range lines(text) {
		if rest, ok := strings.CutPrefix(line, "ARG "); ok {
			name, _, hasDefault := strings.Cut(rest, "=")
			// BuildKit takes a default rather than the platform that it builds for.
			if strings.HasPrefix(name, "TARGET") && hasDefault {
				t.Errorf("ARG %s: an image for another architecture would get this one's packages", rest)
			}
			if !strings.Contains(text, "${"+name+"}") {
				t.Errorf("%s is not used", name)
			}
		}
	}
	build := commands(t, "osquery.md", "docker build ")
	given := regexp.MustCompile(`--build-arg (\w+)=\d`).FindAllStringSubmatch(build, -1)
	if len(given) != 2 || strings.Count(build, "--") != 3 ||
		!strings.HasSuffix(build, " --tag osquery-kernel-routes .\n") {
		t.Errorf("another command: %s", build)
	}
	for _, m := range given {
		if !strings.Contains(text, "\nARG "+m[1]+"\n") {
			t.Errorf("%s is no argument of the Dockerfile", m[1])
		}
	}
	osquery := strings.Index(text, "dpkg --install /tmp/packages/${OSQUERY_PACKAGE}")
	ours := strings.Index(text, "dpkg --install /tmp/packages/${KERNEL_ROUTES_PACKAGE}")
	if osquery < 0 || ours < osquery ||
		!strings.Contains(text, "grep -qxF "+extensionPath+" /etc/osquery/extensions.load") {
		t.Errorf("%d, %d:\n%s", osquery, ours, text)
	}
	if !strings.Contains(text, "\nCOPY osquery.flags osquery.conf /etc/osquery/\n") ||
		!strings.Contains(text, `ENTRYPOINT ["/opt/osquery/bin/osqueryd", "--flagfile=/etc/osquery/osquery.flags"`) {
		t.Errorf("%s", text)
	}
	if !strings.HasPrefix(lines(text)[0], "FROM debian:") {
		t.Errorf("begins with %s", lines(text)[0])
	}
}
