package tasuki_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/tasuki-dev/tasuki"
)

// hostile is what a parameter, a contract or a command line may hold that is no tag.
var hostile = []string{
	"", "latest", "tasuki-live", "tasuki-held-stack", "a@sha256:" + strings.Repeat("0", 64), "sha256:" + strings.Repeat("0", 64), "x:y", "../", "..",
	".hidden", "-rf", "a b", "a\nb", "v1\n", " v1", "v1 ", "\x00", "ü", "$(id)", "`id`", "a/b", strings.Repeat("a", 129), strings.Repeat("a", 200), "{}", "\xff",
}

func TestParseTagRefusesInOneSentence(t *testing.T) {
	for _, s := range hostile {
		_, err := tasuki.ParseTag(s)
		if !errors.Is(err, tasuki.ErrInvalid) {
			t.Errorf("ParseTag(%q) = %v, want ErrInvalid", s, err)
			continue
		}
		if text := err.Error(); strings.ContainsAny(text, "\n\x00") || len(text) > 300 {
			t.Errorf("ParseTag(%q) says %q, which is not one sentence", s, text)
		}
	}
}

func TestParseTagAccepts(t *testing.T) {
	for _, s := range []string{"v1", "0123456789ab", "_", "a.b-c_d", "initial", strings.Repeat("a", 128), "Latest"} {
		if tag, err := tasuki.ParseTag(s); err != nil || tag.String() != s {
			t.Errorf("ParseTag(%q) = %q, %v", s, tag, err)
		}
	}
}

func FuzzParseTag(f *testing.F) {
	for _, s := range append(hostile, "v1", "initial") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tag, err := tasuki.ParseTag(s)
		if err != nil {
			if !errors.Is(err, tasuki.ErrInvalid) || !tag.IsZero() || strings.Contains(err.Error(), "\n") || !utf8.ValidString(err.Error()) {
				t.Fatalf("ParseTag(%q) = %q, %q", s, tag, err)
			}
			return
		}
		if tag.String() != s || len(s) > 128 || strings.ContainsAny(s, "@:/ \n") {
			t.Fatalf("ParseTag(%q) accepted %q", s, tag)
		}
		again, err := tasuki.ParseTag(tag.String())
		if err != nil || again != tag {
			t.Fatalf("a tag does not parse as itself: %v", err)
		}
	})
}

func TestParseImageURI(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	for uri, ok := range map[string]bool{
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders:v1":                          true,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/orders@" + digest:              true,
		"123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/orders:v1":                     true,
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/orders:v1":                      true,
		"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/orders:v1":                      true,
		"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu/orders:v1":                      true,
		"123456789012.dkr-ecr.eu-west-1.on.aws/orders:v1":                                 true,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders":                             false,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders:latest":                      false,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders:v1@" + digest:                false,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example/orders:v1":             false,
		"evil.example/123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders:v1":             false,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com/Orders:v1":                          false,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com/a//b:v1":                            false,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com/" + strings.Repeat("a", 257) + ":v": false,
		"docker.io/library/alpine:3":                                                      false,
		"":                                                                                false,
	} {
		got, err := tasuki.ParseImageURI(uri)
		if (err == nil) != ok {
			t.Errorf("ParseImageURI(%q): %v", uri, err)
		}
		if err == nil && got.String() != uri {
			t.Errorf("ParseImageURI(%q) reads back as %q", uri, got)
		}
	}
}

func FuzzParseImageURI(f *testing.F) {
	f.Add("123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders:v1")
	f.Add("123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders@sha256:" + strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, s string) {
		if uri, err := tasuki.ParseImageURI(s); err == nil && uri.String() != s {
			t.Fatalf("%q reads back as %q", s, uri)
		}
	})
}

func TestRepositoryParts(t *testing.T) {
	r, err := tasuki.ParseRepository("123456789012.dkr-ecr.eu-west-1.on.aws/team/orders")
	if err != nil {
		t.Fatal(err)
	}
	if got := []string{r.Account(), r.Region(), r.Name(), r.Host()}; !cmp.Equal(got, []string{"123456789012", "eu-west-1", "team/orders", "123456789012.dkr-ecr.eu-west-1.on.aws"}) {
		t.Error(got)
	}
}

func TestParseNames(t *testing.T) {
	for s, ok := range map[string]bool{
		"orders": true, "stg/orders": true, "a": true, "Orders-2.x": true, "": false, "/orders": false, "orders/": false, "a//b": false, "..": false, "../x": false,
		"a/../b": false, "a b": false, "a\n": false, strings.Repeat("a", 201): false, strings.Repeat("a/", 12) + "a": false, "-a": false, "a:b": false,
	} {
		if _, err := tasuki.ParseHandoffName(s); (err == nil) != ok {
			t.Errorf("ParseHandoffName(%q): %v", s, err)
		}
	}
	for s, ok := range map[string]bool{
		"lambdaImageTag": true, "/tasuki/orders/image-tag": true, "a.b-c_d": true, "": false, "a/b": false, "/a//b": false, "/a/": false, "a:1": false,
		"awsThing": false, "/ssm/x": false, "/aws/service": false, "a b": false, "a\n": false, strings.Repeat("/a", 16): false, strings.Repeat("a", 1012): false,
	} {
		if _, err := tasuki.ParseParameterName(s); (err == nil) != ok {
			t.Errorf("ParseParameterName(%q): %v", s, err)
		}
	}
}

const contractText = `{"version":1,"handoff":"orders","account":"123456789012","region":"eu-west-1","stackId":"arn:x","repository":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders","tagParameter":"/tasuki/orders/image-tag","placeholderTag":"initial","functions":[{"name":"orders","architecture":"arm64","alias":"live"}]`

func TestContractKeepsWhatItDoesNotKnow(t *testing.T) {
	text := contractText + `,"color":{"deep":[1,2]},"zebra":true}`
	contract, err := tasuki.ParseContract([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	written, err := json.Marshal(contract)
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != text {
		t.Errorf("written again as\n%s, want\n%s", written, text)
	}
}

func TestContractWrittenInAnotherCase(t *testing.T) {
	contract, err := tasuki.ParseContract([]byte(strings.Replace(contractText, `"handoff"`, `"Handoff"`, 1) + "}"))
	if err != nil {
		t.Fatal(err)
	}
	contract.Name = mustHandoff("returns")
	written, err := json.Marshal(contract)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := tasuki.ParseContract(written); err != nil || again.Name != contract.Name {
		t.Errorf("%s is of handoff %s, %v", written, again.Name, err)
	}
}

func TestContractRefusals(t *testing.T) {
	valid := contractText + "}"
	for name, text := range map[string]string{
		"not JSON":          "orders",
		"not an object":     "[]",
		"unknown version":   strings.Replace(valid, `"version":1`, `"version":2`, 1),
		"no version":        strings.Replace(valid, `"version":1,`, "", 1),
		"foreign host":      strings.Replace(valid, "amazonaws.com", "example.com", 1),
		"latest":            strings.Replace(valid, `"initial"`, `"latest"`, 1),
		"architecture":      strings.Replace(valid, `"arm64"`, `"riscv"`, 1),
		"qualified ARN":     strings.Replace(valid, `"name":"orders"`, `"name":"orders:live"`, 1),
		"alias":             strings.Replace(valid, `"alias":"live"`, `"alias":"7"`, 1),
		"two architectures": strings.Replace(valid, `"alias":"live"}`, `"alias":"live"},{"name":"b","architecture":"x86_64"}`, 1),
		"twice the same":    strings.Replace(valid, `"alias":"live"}`, `"alias":"live"},{"name":"orders","architecture":"arm64"}`, 1),
		"account":           strings.Replace(valid, `"account":"123456789012"`, `"account":"me"`, 1),
		"region":            strings.Replace(valid, `"eu-west-1","stackId"`, `"europe","stackId"`, 1),
		"parameter":         strings.Replace(valid, "/tasuki/orders/image-tag", "a:b", 1),
	} {
		if _, err := tasuki.ParseContract([]byte(text)); !errors.Is(err, tasuki.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

// What is written can be read again.
func TestContractWithoutAnArchitecture(t *testing.T) {
	contract, err := tasuki.ParseContract([]byte(contractText + "}"))
	if err != nil {
		t.Fatal(err)
	}
	contract.Functions[0].Architecture = ""
	if err := contract.Check(); !errors.Is(err, tasuki.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func TestCheckFunctionName(t *testing.T) {
	for name, ok := range map[string]bool{
		"orders": true, "Orders_2-x": true, "": false, "orders:live": false, "a b": false, strings.Repeat("a", 65): false,
		"arn:aws:lambda:eu-west-1:123456789012:function:orders":           true,
		"arn:aws-cn:lambda:cn-north-1:123456789012:function:orders":       true,
		"arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:x":     true,
		"arn:aws-iso-b:lambda:us-isob-east-1:123456789012:function:x":     true,
		"arn:aws-eusc:lambda:eusc-de-east-1:123456789012:function:orders": true,
		"arn:aws:lambda:eu-west-1:123456789012:function:orders:live":      false,
		"arn:aws:lambda:eu-west-1:1234:function:orders":                   false,
		"arn:aws:s3:eu-west-1:123456789012:function:orders":               false,
	} {
		if err := tasuki.CheckFunctionName(name); (err == nil) != ok {
			t.Errorf("CheckFunctionName(%q): %v", name, err)
		}
	}
}

func FuzzParseContract(f *testing.F) {
	f.Add(contractText + "}")
	f.Add(contractText + `,"x":1}`)
	f.Add(contractText + `,"VERSION":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		contract, err := tasuki.ParseContract([]byte(text))
		if err != nil {
			return
		}
		written, err := json.Marshal(contract)
		if err != nil {
			t.Fatal(err)
		}
		again, err := tasuki.ParseContract(written)
		if err != nil {
			t.Fatalf("%s, written from %q: %v", written, text, err)
		}
		if rewritten, err := json.Marshal(again); err != nil || string(rewritten) != string(written) {
			t.Fatalf("%s, then %s: %v", written, rewritten, err)
		}
	})
}

func mustTag(s string) tasuki.Tag {
	tag, err := tasuki.ParseTag(s)
	if err != nil {
		panic(err)
	}
	return tag
}

func mustRepository(s string) tasuki.Repository {
	r, err := tasuki.ParseRepository(s)
	if err != nil {
		panic(err)
	}
	return r
}

func mustHandoff(s string) tasuki.HandoffName {
	n, err := tasuki.ParseHandoffName(s)
	if err != nil {
		panic(err)
	}
	return n
}

func TestRecordFitsIntoADescription(t *testing.T) {
	record := tasuki.Record{
		Tag: mustTag(strings.Repeat("t", 128)), Digest: tasuki.DigestOf(nil), Repository: mustRepository("123456789012.dkr.ecr.eu-west-1.amazonaws.com/" + strings.Repeat("r", 256)),
		Commit: strings.Repeat("c", 40), Actor: strings.Repeat("é", 300), Run: "https://ci.example/" + strings.Repeat("x", 900), ID: "ABC",
	}
	description, err := record.Description()
	if err != nil {
		t.Fatal(err)
	}
	if n := utf8.RuneCountInString(description); n > tasuki.LongestRecord {
		t.Fatalf("%d characters", n)
	}
	read, err := tasuki.ParseRecord(description)
	if err != nil {
		t.Fatal(err)
	}
	if read.Tag != record.Tag || read.Digest != record.Digest || read.ID != record.ID || read.Commit != record.Commit || read.Run != "" {
		t.Errorf("%+v", read)
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add(`{"v":1,"tag":"v1","digest":"sha256:` + strings.Repeat("0", 64) + `","repository":"","new":[]}`)
	f.Add(`{"v":2}`)
	f.Add("written by hand")
	f.Fuzz(func(t *testing.T, text string) {
		record, err := tasuki.ParseRecord(text)
		if err != nil {
			return
		}
		description, err := record.Description()
		if err != nil {
			return
		}
		again, err := tasuki.ParseRecord(description)
		if err != nil || again.Tag != record.Tag || again.Digest != record.Digest {
			t.Fatalf("%q reads back as %+v: %v", description, again, err)
		}
	})
}

func TestReleaseOfAParameterVersion(t *testing.T) {
	digest := tasuki.DigestOf([]byte("image"))
	description, err := tasuki.Record{Tag: mustTag("v1"), Digest: digest}.Description()
	if err != nil {
		t.Fatal(err)
	}
	version := func(value, kind, description string) tasuki.ParameterVersion {
		return tasuki.ParameterVersion{Name: mustHandoff("orders").TagParameter(), Value: value, Type: kind, Version: 3, Description: description}
	}
	if release, err := version("v1", "String", description).Release(); err != nil || release.Digest() != digest {
		t.Errorf("with a record: %+v, %v", release, err)
	}
	if release, err := version("v2", "String", description).Release(); err != nil || release.Record != nil {
		t.Errorf("with another tag's record: %+v, %v", release, err)
	}
	if release, err := version("v1", "String", "by hand").Release(); err != nil || release.Record != nil {
		t.Errorf("by hand: %+v, %v", release, err)
	}
	later := strings.Replace(description, `"v":1`, `"v":2`, 1)
	if _, err := version("v1", "String", later).Release(); !errors.Is(err, tasuki.ErrInvalid) || tasuki.HintOf(err) != "Upgrade tasuki." {
		t.Errorf("with a later version's record: %v", err)
	}
	if release, err := version("v2", "String", later).Release(); err != nil || release.Record != nil {
		t.Errorf("with a later version's record of another tag: %+v, %v", release, err)
	}
	for _, kind := range []string{"SecureString", "StringList"} {
		if _, err := version("v1", kind, description).Release(); !errors.Is(err, tasuki.ErrInvalid) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, value := range hostile {
		if _, err := version(value, "String", "").Release(); !errors.Is(err, tasuki.ErrInvalid) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestErrorsSayWhatAndWhatToDo(t *testing.T) {
	cause := errors.New("User is not authorized")
	err := error(&tasuki.Error{Op: "read", Side: tasuki.SideTag, Subject: "/tasuki/orders/image-tag", Kind: tasuki.ErrDenied, Err: cause, Hint: "Allow ssm:GetParameter."})
	if got, want := err.Error(), "read tag parameter /tasuki/orders/image-tag: access denied: User is not authorized"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !errors.Is(err, tasuki.ErrDenied) || !errors.Is(err, cause) || errors.Is(err, tasuki.ErrMissing) {
		t.Error("the kinds are not told apart")
	}
	undo := &tasuki.UndoError{Err: errors.Join(err), Undo: errors.New("timeout"), Hint: "Run tasuki reconcile orders."}
	if got := tasuki.HintOf(undo); got != "Run tasuki reconcile orders." {
		t.Errorf("hint %q", got)
	}
	if got := tasuki.HintOf(errors.Join(errors.New("x"), err)); got != "Allow ssm:GetParameter." {
		t.Errorf("hint %q", got)
	}
}
