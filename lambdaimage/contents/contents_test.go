package contents_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/lambdaimage"
	"github.com/tasuki-dev/tasuki/lambdaimage/contents"
)

const (
	gzipLayer = "application/vnd.oci.image.layer.v1.tar+gzip"
	zstdLayer = "application/vnd.oci.image.layer.v1.tar+zstd"
	tarLayer  = "application/vnd.oci.image.layer.v1.tar"
)

// member is a file of a layer: a name that ends in '/' is a directory, one with a
// target a symbolic link, or a hard link where hard is set.
type member struct {
	name    string
	mode    int64
	content string
	target  string
	hard    bool
}

func tarOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		header := &tar.Header{Name: m.name, Mode: m.mode, Size: int64(len(m.content)), Linkname: m.target, Typeflag: tar.TypeReg}
		switch {
		case m.hard:
			header.Typeflag = tar.TypeLink
		case m.target != "":
			header.Typeflag = tar.TypeSymlink
		case strings.HasSuffix(m.name, "/"):
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstandard(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}

// elfOf returns the beginning of a program for linux: its header, and the name of what
// loads it where there is one.
func elfOf(machine uint16, interpreter string) string {
	head := make([]byte, 64, 256)
	copy(head, "\x7fELF\x02\x01\x01")
	order := binary.LittleEndian
	order.PutUint16(head[0x10:], 2)
	order.PutUint16(head[0x12:], machine)
	order.PutUint32(head[0x14:], 1)
	order.PutUint64(head[0x28:], 1<<40) // sections, far beyond what is read
	order.PutUint16(head[0x34:], 64)
	order.PutUint16(head[0x3a:], 64)
	order.PutUint16(head[0x3c:], 30)
	if interpreter == "" {
		return string(head)
	}
	order.PutUint64(head[0x20:], 64)
	order.PutUint16(head[0x36:], 56)
	order.PutUint16(head[0x38:], 1)
	segment := make([]byte, 56)
	order.PutUint32(segment, 3)
	order.PutUint64(segment[8:], 64+56)
	order.PutUint64(segment[32:], uint64(len(interpreter)+1))
	return string(head) + string(segment) + interpreter + "\x00" + strings.Repeat("code", 2000)
}

// links is a chain of links, of which the last points to a program.
func links(n int) (members []member) {
	for i := 1; i < n; i++ {
		members = append(members, member{name: fmt.Sprint(i), target: fmt.Sprint(i + 1)})
	}
	return append(members, member{name: fmt.Sprint(n), target: "app"}, member{name: "app", mode: 0o755, content: elfOf(amd64, "")})
}

// windingLinks is a chain whose links go up and up, which is allowed and takes time.
func windingLinks() []member {
	members := links(30)
	for i := range members[:30] {
		members[i].target = strings.Repeat("../", 1000) + members[i].target
	}
	return members
}

const (
	amd64 = 0x3e
	arm64 = 0xb7
)

// image is an image with its layers.
type image struct {
	tasuki.Image
	blobs map[tasuki.Digest][]byte
	err   error        // that opening a layer fails with
	asked atomic.Int32 // how many layers
}

// imageOf returns an image of layers in gzip that starts command.
func imageOf(t testing.TB, command []string, layers ...[]member) *image {
	t.Helper()
	i := &image{blobs: map[tasuki.Digest][]byte{}}
	for _, members := range layers {
		i.add(t, gzipLayer, tarOf(t, members...), gzipped)
	}
	i.Facts.OS, i.Facts.Architecture = "linux", "amd64"
	i.Facts.Config.Entrypoint = command
	return i
}

func (i *image) add(t testing.TB, mediaType string, archive []byte, compress func(testing.TB, []byte) []byte) {
	t.Helper()
	blob := archive
	if compress != nil {
		blob = compress(t, archive)
	}
	d := tasuki.DigestOf(blob)
	i.blobs[d] = blob
	i.Layers = append(i.Layers, tasuki.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(blob))})
	sum := sha256.Sum256(archive)
	i.Facts.RootFS.DiffIDs = append(i.Facts.RootFS.DiffIDs, "sha256:"+hex.EncodeToString(sum[:]))
}

// Layer implements [tasuki.Layers].
func (i *image) Layer(_ context.Context, d tasuki.Descriptor) (io.ReadCloser, error) {
	i.asked.Add(1)
	if i.err != nil {
		return nil, i.err
	}
	blob, there := i.blobs[d.Digest]
	if !there {
		return nil, &tasuki.Error{Op: "read", Side: tasuki.SideSource, Kind: tasuki.ErrMissing}
	}
	return io.NopCloser(bytes.NewReader(blob)), nil
}

func (i *image) check(t testing.TB, arch tasuki.Architecture, functions ...tasuki.Function) []tasuki.Finding {
	t.Helper()
	found, err := contents.Check(t.Context(), i.Image, arch, functions, i)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found.Findings {
		if f.Severity != tasuki.SeverityError || f.Summary == "" || strings.ContainsAny(f.Summary, "\n\x1b") || strings.HasSuffix(f.Summary, ".") || !strings.HasSuffix(f.Fix, ".") {
			t.Errorf("not of a finding's form: %+v", f)
		}
	}
	return found.Findings
}

func rulesOf(findings []tasuki.Finding) (rules []string) {
	for _, f := range findings {
		rules = append(rules, f.Rule)
	}
	return rules
}

func TestWhatLambdaStarts(t *testing.T) {
	program := elfOf(amd64, "")
	tests := map[string]struct {
		command []string
		layers  [][]member
		change  func(*image)
		want    string // rule; "" for none
		says    string
	}{
		"a program":            {[]string{"/app"}, [][]member{{{name: "app", mode: 0o755, content: program}}}, nil, "", ""},
		"names with dots":      {[]string{"/app"}, [][]member{{{name: "./", mode: 0o755}, {name: "./app", mode: 0o755, content: program}}}, nil, "", ""},
		"absolute names":       {[]string{"/app"}, [][]member{{{name: "/app", mode: 0o755, content: program}}}, nil, "", ""},
		"through links":        {[]string{"/bin/app"}, [][]member{{{name: "bin", target: "usr/bin"}, {name: "usr/bin/app", target: "../../opt/app"}, {name: "opt/app", mode: 0o755, content: program}}}, nil, "", ""},
		"a hard link":          {[]string{"/app"}, [][]member{{{name: "bin/tool", mode: 0o755, content: program}, {name: "app", target: "bin/tool", hard: true}}, {{name: "bin/.wh.tool"}}}, nil, "", ""},
		"in PATH":              {[]string{"app"}, [][]member{{{name: "usr/local/bin/app", mode: 0o755, content: program}}}, nil, "", ""},
		"in the image's PATH":  {[]string{"app"}, [][]member{{{name: "srv/app", mode: 0o755, content: program}}}, func(i *image) { i.Facts.Config.Env = []string{"PATH=/bin:/srv"} }, "", ""},
		"not in PATH":          {[]string{"app"}, [][]member{{{name: "srv/app", mode: 0o755, content: program}}}, nil, contents.RuleNoProgram, "app is what Lambda starts, and the image has no such file"},
		"relative to WORKDIR":  {[]string{"./app"}, [][]member{{{name: "srv/app", mode: 0o755, content: program}}}, func(i *image) { i.Facts.Config.WorkingDir = "/srv" }, "", ""},
		"no WORKDIR":           {[]string{"/app"}, [][]member{{{name: "app", mode: 0o755, content: program}}}, func(i *image) { i.Facts.Config.WorkingDir = "/srv" }, contents.RuleNoWorkingDir, "/srv"},
		"missing":              {[]string{"/app"}, [][]member{{{name: "other", mode: 0o755, content: program}}}, nil, contents.RuleNoProgram, "/app is what Lambda starts, and the image has no such file"},
		"a loop of links":      {[]string{"/a"}, [][]member{{{name: "a", target: "b"}, {name: "b", target: "/a"}}}, nil, contents.RuleNoProgram, ""},
		"a directory":          {[]string{"/app"}, [][]member{{{name: "app/", mode: 0o755}}}, nil, contents.RuleNoProgram, "is not a file"},
		"removed later":        {[]string{"/srv/app"}, [][]member{{{name: "srv/app", mode: 0o755, content: program}}, {{name: "srv/.wh.app"}}}, nil, contents.RuleNoProgram, ""},
		"removed with all":     {[]string{"/srv/app"}, [][]member{{{name: "srv/app", mode: 0o755, content: program}}, {{name: "srv/.wh..wh..opq"}, {name: "srv/other"}}}, nil, contents.RuleNoProgram, ""},
		"removed and put anew": {[]string{"/srv/app"}, [][]member{{{name: "srv/app", mode: 0o644}}, {{name: "srv/app", mode: 0o755, content: program}, {name: "srv/.wh..wh..opq"}}}, nil, "", ""},
		"replaced directory":   {[]string{"/srv/app"}, [][]member{{{name: "srv/app", mode: 0o755, content: program}}, {{name: "srv", mode: 0o755, content: "a file"}}}, nil, contents.RuleNoProgram, ""},
		"unpacked through a link of a layer below": {[]string{"/usr/lib/app"}, [][]member{{{name: "lib", target: "usr/lib"}, {name: "usr/lib/", mode: 0o755}}, {{name: "lib/app", mode: 0o755, content: program}}}, nil, "", ""},
		"unpacked through a link of its own layer": {[]string{"/usr/lib/app"}, [][]member{{{name: "lib", target: "usr/lib"}, {name: "lib/app", mode: 0o755, content: program}}}, nil, "", ""},
		"a link out of the root stays inside":      {[]string{"/bin/app"}, [][]member{{{name: "bin/app", target: "../../../../opt/app"}, {name: "opt/app", mode: 0o755, content: program}}}, nil, "", ""},
		"unpacked through a link out of the root":  {[]string{"/etc/app"}, [][]member{{{name: "up", target: "../../etc"}, {name: "up/app", mode: 0o755, content: program}}}, nil, "", ""},
		"a link to nothing":                        {[]string{"/app"}, [][]member{{{name: "app", target: "opt/app"}}}, nil, contents.RuleNoProgram, "no such file"},
		"40 links":                                 {[]string{"/1"}, [][]member{links(40)}, nil, "", ""},
		"41 links":                                 {[]string{"/1"}, [][]member{links(41)}, nil, contents.RuleNoProgram, ""},
		"links that take long":                     {[]string{"/1"}, [][]member{windingLinks()}, nil, contents.RuleNoProgram, ""},
		"unpacked through a loop of links":         {[]string{"/app"}, [][]member{{{name: "a", target: "b"}, {name: "b", target: "a"}, {name: "a/x", content: "x"}, {name: "app", mode: 0o755, content: program}}}, nil, "", ""},
		"a hard link to a layer below":             {[]string{"/app"}, [][]member{{{name: "bin/tool", mode: 0o755, content: program}}, {{name: "app", target: "bin/tool", hard: true}}}, nil, "", ""},
		"a hard link to nothing":                   {[]string{"/app"}, [][]member{{{name: "app", target: "bin/tool", hard: true}}}, nil, contents.RuleNoProgram, ""},
		"a directory removed later":                {[]string{"/srv/app"}, [][]member{{{name: "srv/app", mode: 0o755, content: program}}, {{name: ".wh.srv"}}}, nil, contents.RuleNoProgram, ""},
		"a directory removed and made anew":        {[]string{"/srv/app"}, [][]member{{{name: "srv/app", mode: 0o755, content: program}}, {{name: ".wh.srv"}, {name: "srv/other", content: "x"}}}, nil, contents.RuleNoProgram, ""},
		"all removed before it":                    {[]string{"/srv/app"}, [][]member{{{name: "srv/.wh..wh..opq"}, {name: "srv/app", mode: 0o755, content: program}}, {{name: "srv/other", content: "x"}}}, nil, "", ""},
		"a link removed, and a directory":          {[]string{"/lib/app"}, [][]member{{{name: "lib", target: "usr/lib"}, {name: "usr/lib/old", content: "x"}}, {{name: ".wh.lib"}, {name: "lib/", mode: 0o755}, {name: "lib/app", mode: 0o755, content: program}}}, nil, "", ""},
		"not executable":                           {[]string{"/app"}, [][]member{{{name: "app", mode: 0o644, content: program}}}, nil, contents.RuleNotExecutable, "0644"},
		"for root only":                            {[]string{"/app"}, [][]member{{{name: "app", mode: 0o700, content: program}}}, nil, contents.RuleNotExecutable, "0700"},
		"below root's home": {[]string{"/root/app"}, [][]member{{{name: "root/", mode: 0o700}, {name: "root/app", mode: 0o755, content: program}}}, nil, contents.RuleNotExecutable,
			"its directory /root is not open"},
		"no program":                     {[]string{"/app"}, [][]member{{{name: "app", mode: 0o755, content: "echo hello\n"}}}, nil, contents.RuleNotExecutable, "neither a program"},
		"for windows":                    {[]string{"/app.exe"}, [][]member{{{name: "app.exe", mode: 0o755, content: "MZ\x90\x00"}}}, nil, contents.RuleNotExecutable, ""},
		"for another machine":            {[]string{"/app"}, [][]member{{{name: "app", mode: 0o755, content: elfOf(arm64, "")}}}, nil, contents.RuleProgramForOther, "for arm64"},
		"for a machine of another kind":  {[]string{"/app"}, [][]member{{{name: "app", mode: 0o755, content: elfOf(0x16, "")}}}, nil, contents.RuleProgramForOther, "for S390"},
		"loaded":                         {[]string{"/app"}, [][]member{{{name: "app", mode: 0o755, content: elfOf(amd64, "/lib64/ld.so")}, {name: "lib64/ld.so", mode: 0o755, content: program}}}, nil, "", ""},
		"without what loads it":          {[]string{"/app"}, [][]member{{{name: "app", mode: 0o755, content: elfOf(amd64, "/lib64/ld.so")}}}, nil, contents.RuleNoInterpreter, "/lib64/ld.so"},
		"loaded, as most are":            {[]string{"/app"}, [][]member{{{name: "lib64", target: "usr/lib64"}, {name: "usr/lib64/ld-linux-x86-64.so.2", mode: 0o755, content: program}}, {{name: "app", mode: 0o755, content: elfOf(amd64, "/lib64/ld-linux-x86-64.so.2")}}}, nil, "", ""},
		"built with glibc, run on musl":  {[]string{"/app"}, [][]member{{{name: "lib/ld-musl-x86_64.so.1", mode: 0o755, content: program}, {name: "app", mode: 0o755, content: elfOf(amd64, "/lib64/ld-linux-x86-64.so.2")}}}, nil, contents.RuleNoInterpreter, "/app needs /lib64/ld-linux-x86-64.so.2 to run"},
		"what loads it is no program":    {[]string{"/app"}, [][]member{{{name: "lib64/ld.so", mode: 0o644, content: program}, {name: "app", mode: 0o755, content: elfOf(amd64, "/lib64/ld.so")}}}, nil, contents.RuleNoInterpreter, ""},
		"of 32 bits":                     {[]string{"/app"}, [][]member{{{name: "app", mode: 0o755, content: elfOf(3, "")}}}, nil, contents.RuleProgramForOther, "for 386"},
		"a script":                       {[]string{"/run.sh"}, [][]member{{{name: "run.sh", mode: 0o755, content: "#! /bin/sh -e\n"}, {name: "bin/sh", mode: 0o755, content: program}}}, nil, "", ""},
		"a script of Windows":            {[]string{"/run.sh"}, [][]member{{{name: "run.sh", mode: 0o755, content: "#!/bin/sh -e\r\n"}, {name: "bin/sh", mode: 0o755, content: program}}}, nil, "", ""},
		"a script with CR":               {[]string{"/run.sh"}, [][]member{{{name: "run.sh", mode: 0o755, content: "#!/bin/sh\r\n"}, {name: "bin/sh", mode: 0o755, content: program}}}, nil, contents.RuleNoInterpreter, `"/bin/sh\r"`},
		"a script without a shell":       {[]string{"/run.sh"}, [][]member{{{name: "run.sh", mode: 0o755, content: "#!/bin/bash\n"}}}, nil, contents.RuleNoInterpreter, "/bin/bash"},
		"an interpreter for another one": {[]string{"/run.sh"}, [][]member{{{name: "run.sh", mode: 0o755, content: "#!/bin/sh\n"}, {name: "bin/sh", mode: 0o755, content: elfOf(arm64, "")}}}, nil, contents.RuleProgramForOther, "/bin/sh"},
		"a script that runs itself":      {[]string{"/run.sh"}, [][]member{{{name: "run.sh", mode: 0o755, content: "#!/run.sh\n"}}}, nil, contents.RuleNoInterpreter, ""},
		"nothing to start":               {nil, [][]member{{{name: "app", mode: 0o755}}}, nil, "", ""}, // package lambdaimage says so
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			i := imageOf(t, test.command, test.layers...)
			if test.change != nil {
				test.change(i)
			}
			findings := i.check(t, tasuki.X86_64)
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			if diff := cmp.Diff(want, rulesOf(findings)); diff != "" {
				t.Fatalf("rules (-want +got):\n%s%v", diff, findings)
			}
			if test.want != "" && !strings.Contains(findings[0].Summary, test.says) {
				t.Errorf("%q does not say %q", findings[0].Summary, test.says)
			}
		})
	}
}

func TestFunctionsOwnSettings(t *testing.T) {
	i := imageOf(t, []string{"/app"}, []member{{name: "app", mode: 0o755, content: elfOf(amd64, "")}, {name: "srv/", mode: 0o755}})
	plain := tasuki.Function{Name: "plain"}
	other := tasuki.Function{Name: "other", Settings: &tasuki.ImageSettings{EntryPoint: []string{"/other"}, Command: []string{"handler"}}}
	elsewhere := tasuki.Function{Name: "elsewhere", Settings: &tasuki.ImageSettings{WorkingDirectory: "/nowhere"}}
	handled := tasuki.Function{Name: "handled", Settings: &tasuki.ImageSettings{Command: []string{"handler"}, WorkingDirectory: "/srv"}}
	findings := i.check(t, tasuki.X86_64, plain, other, elsewhere, handled)
	if diff := cmp.Diff([]string{contents.RuleNoProgram, contents.RuleNoWorkingDir}, rulesOf(findings)); diff != "" {
		t.Fatalf("rules (-want +got):\n%s", diff)
	}
	if !strings.Contains(findings[0].Summary, "function other") || !strings.Contains(findings[1].Summary, "function elsewhere") {
		t.Errorf("the findings do not say which functions they are about: %v", findings)
	}
	if i.asked.Load() != 1 {
		t.Errorf("the layer was read %d times for four functions", i.asked.Load())
	}
}

func TestLayersOfEveryKind(t *testing.T) {
	app := tarOf(t, member{name: "app", mode: 0o755, content: elfOf(amd64, "")})
	empty := tarOf(t)
	tests := map[string]func(*image){
		"gzip":                func(i *image) { i.add(t, gzipLayer, app, gzipped) },
		"zstd":                func(i *image) { i.add(t, zstdLayer, app, zstandard) },
		"plain":               func(i *image) { i.add(t, tarLayer, app, nil) },
		"plain under gzip":    func(i *image) { i.add(t, gzipLayer, app, nil) },
		"docker":              func(i *image) { i.add(t, "application/vnd.docker.image.rootfs.diff.tar.gzip", app, gzipped) },
		"an empty one first":  func(i *image) { i.add(t, gzipLayer, empty, gzipped); i.add(t, gzipLayer, app, gzipped) },
		"one of no byte last": func(i *image) { i.add(t, gzipLayer, app, gzipped); i.add(t, tarLayer, nil, nil) },
		"127, one of them the program": func(i *image) {
			for n := range lambdaimage.MaxLayers {
				if n == 60 {
					i.add(t, gzipLayer, app, gzipped)
					continue
				}
				i.add(t, gzipLayer, tarOf(t, member{name: fmt.Sprintf("etc/%d", n), mode: 0o644, content: "x"}), gzipped)
			}
		},
	}
	for name, add := range tests {
		t.Run(name, func(t *testing.T) {
			i := imageOf(t, []string{"/app"})
			add(i)
			if findings := i.check(t, tasuki.X86_64); len(findings) > 0 {
				t.Errorf("findings %v", findings)
			}
		})
	}
}

// A layer that is not in the registry may hold the program: nothing is said of it.
func TestForeignLayersAreLeftOut(t *testing.T) {
	i := imageOf(t, []string{"/app"}, []member{{name: "etc/", mode: 0o755}})
	i.Layers = append(i.Layers, tasuki.Descriptor{MediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Digest: tasuki.DigestOf([]byte("foreign")), Size: 7})
	if findings := i.check(t, tasuki.X86_64); len(findings) > 0 || i.asked.Load() != 1 {
		t.Errorf("findings %v, %d layers asked for", findings, i.asked.Load())
	}
}

func TestHostileLayers(t *testing.T) {
	program := elfOf(amd64, "")
	whole := tarOf(t, member{name: "app", mode: 0o755, content: program}, member{name: "data", content: strings.Repeat("data", 5000)})
	good := gzipped(t, whole)
	tests := map[string]struct {
		blob []byte
		rule string
		says string
	}{
		"path outside the root":      {gzipped(t, tarOf(t, member{name: "app", mode: 0o755, content: program}, member{name: "../../etc/passwd", content: "x"})), contents.RulePathOutside, "../../etc/passwd"},
		"hidden path outside":        {gzipped(t, tarOf(t, member{name: "app", mode: 0o755, content: program}, member{name: "a/../../b\x1b[31m", content: "x"})), contents.RulePathOutside, `"a/../../b\x1b[31m"`},
		"hard link out of the root":  {gzipped(t, tarOf(t, member{name: "app", mode: 0o755, content: program}, member{name: "b", target: "../../etc/shadow", hard: true})), contents.RulePathOutside, "b"},
		"cut off":                    {good[:len(good)/2], contents.RuleDamagedLayer, "layer 1 cannot be unpacked"},
		"cut off in the archive":     {gzipped(t, whole[:len(whole)/2]), contents.RuleDamagedLayer, "unexpected EOF"},
		"changed":                    {append(slices.Clone(good[:len(good)/2]), append([]byte{good[len(good)/2] ^ 0xff}, good[len(good)/2+1:]...)...), contents.RuleDamagedLayer, ""},
		"no archive":                 {[]byte(strings.Repeat("not a tar ", 200)), contents.RuleDamagedLayer, "invalid tar header"},
		"zstd that wants much":       {[]byte("\x28\xb5\x2f\xfd\x00\xf8\x00\x00"), contents.RuleDamagedLayer, ""},
		"path that is much too long": {gzipped(t, tarOf(t, member{name: strings.Repeat("d/", 3000) + "f", content: "x"})), contents.RuleDamagedLayer, "4096"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			i := imageOf(t, []string{"/app"})
			d := tasuki.DigestOf(test.blob)
			i.blobs[d] = test.blob
			i.Layers = []tasuki.Descriptor{{MediaType: gzipLayer, Digest: d, Size: int64(len(test.blob))}}
			findings := i.check(t, tasuki.X86_64)
			if diff := cmp.Diff([]string{test.rule}, rulesOf(findings)); diff != "" {
				t.Fatalf("rules (-want +got):\n%s%v", diff, findings)
			}
			if !strings.Contains(findings[0].Summary, test.says) {
				t.Errorf("%q does not say %q", findings[0].Summary, test.says)
			}
		})
	}
}

func TestUncompressedIsNotWhatTheConfigurationSays(t *testing.T) {
	i := imageOf(t, []string{"/app"}, []member{{name: "app", mode: 0o755, content: elfOf(amd64, "")}})
	i.Facts.RootFS.DiffIDs[0] = "sha256:" + strings.Repeat("0", 64)
	if diff := cmp.Diff([]string{contents.RuleDamagedLayer}, rulesOf(i.check(t, tasuki.X86_64))); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

// A header that tells of too many bytes is enough.
func TestLayersThatAreTooLargeUncompressed(t *testing.T) {
	var archive bytes.Buffer
	if err := tar.NewWriter(&archive).WriteHeader(&tar.Header{Name: "zeros", Mode: 0o644, Size: lambdaimage.MaxSize + 1}); err != nil {
		t.Fatal(err)
	}
	i := imageOf(t, []string{"/zeros"})
	i.add(t, gzipLayer, archive.Bytes(), gzipped)
	if diff := cmp.Diff([]string{lambdaimage.RuleTooLarge}, rulesOf(i.check(t, tasuki.X86_64))); diff != "" {
		t.Fatalf("rules (-want +got):\n%s", diff)
	}
}

// What keeps a layer from being read says nothing of the image.
func TestLayersThatCannotBeRead(t *testing.T) {
	i := imageOf(t, []string{"/app"}, []member{{name: "app", mode: 0o755, content: elfOf(amd64, "")}})
	i.err = &tasuki.Error{Op: "read", Side: tasuki.SideSource, Kind: tasuki.ErrUnavailable}
	if found, err := contents.Check(t.Context(), i.Image, tasuki.X86_64, nil, i); !errors.Is(err, tasuki.ErrUnavailable) || found.Findings != nil {
		t.Errorf("found %v, error %v", found, err)
	}
	i.err = nil
	clear(i.blobs)
	if diff := cmp.Diff([]string{contents.RuleDamagedLayer}, rulesOf(i.check(t, tasuki.X86_64))); diff != "" {
		t.Errorf("a layer that is gone: rules (-want +got):\n%s", diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	j := imageOf(t, []string{"/app"}, []member{{name: "app", mode: 0o755, content: elfOf(amd64, "")}})
	if _, err := contents.Check(ctx, j.Image, tasuki.X86_64, nil, j); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	program := elfOf(amd64, "/lib/ld.so")
	archive := tarOf(f, member{name: "app", mode: 0o755, content: program}, member{name: "lib", target: "usr/lib"}, member{name: "usr/lib/ld.so", mode: 0o755, content: elfOf(amd64, "")}, member{name: "usr/.wh..wh..opq"})
	for _, seed := range [][]byte{archive, gzipped(f, archive), zstandard(f, archive), []byte("#!/bin/sh\n")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		i := imageOf(t, []string{"/app"}, []member{{name: "app", mode: 0o755, content: string(blob)}})
		d := tasuki.DigestOf(blob)
		i.blobs[d] = blob
		i.Layers = append(i.Layers, tasuki.Descriptor{MediaType: gzipLayer, Digest: d, Size: int64(len(blob))})
		i.check(t, tasuki.X86_64)
	})
}
