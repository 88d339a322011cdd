package tasuki

import (
	"encoding/json"
	"time"
	"unicode/utf8"
)

// recordVersion is the version of the record's specification that this package writes.
const recordVersion = 1

// LongestRecord is how many characters SSM keeps of a parameter's description,
// where the record lives.
const LongestRecord = 1024

// Record says what was released: it is kept, as compact JSON, in the description
// of the tag parameter's version that registered it.
type Record struct {
	Tag        Tag
	Digest     Digest     // of the manifest that Lambda runs
	Repository Repository // where it was when it was registered
	Commit     string
	Actor      string
	Run        string // URL of the CI run
	ID         string // one for each attempt, to find one's own write again when its answer was lost
	Rollback   bool   // an earlier release was registered again

	unknown map[string]json.RawMessage
}

type wireRecord struct {
	V          int        `json:"v"`
	Tag        Tag        `json:"tag"`
	Digest     Digest     `json:"digest"`
	Repository Repository `json:"repository"`
	Commit     string     `json:"commit,omitempty"`
	Actor      string     `json:"actor,omitempty"`
	Run        string     `json:"run,omitempty"`
	ID         string     `json:"id,omitempty"`
	Rollback   bool       `json:"rollback,omitempty"`
}

var recordFields = []string{"v", "tag", "digest", "repository", "commit", "actor", "run", "id", "rollback"}

// ParseRecord reads a description as a record, or says in one sentence why it is none.
func ParseRecord(description string) (Record, error) {
	if v, _ := recordHead(description); v > recordVersion {
		return Record{}, tooNew("release record", v, recordVersion)
	}
	var w wireRecord
	if err := json.Unmarshal([]byte(description), &w); err != nil {
		return Record{}, invalid("the description is not a release record: %v", err)
	}
	if w.V != recordVersion {
		return Record{}, invalid("the description has no version of a release record")
	}
	if w.Tag.IsZero() || w.Digest.IsZero() {
		return Record{}, invalid("the release record lacks a tag or a digest")
	}
	unknown, err := unknownFields([]byte(description), recordFields)
	if err != nil {
		return Record{}, invalid("the description is not a JSON object: %v", err)
	}
	return Record{w.Tag, w.Digest, w.Repository, w.Commit, w.Actor, w.Run, w.ID, w.Rollback, unknown}, nil
}

// recordHead returns what a record of any version has, or nothing where a description is
// no record.
func recordHead(description string) (version int, tag string) {
	var head struct {
		V   int
		Tag string
	}
	if err := json.Unmarshal([]byte(description), &head); err != nil {
		return 0, ""
	}
	return head.V, head.Tag
}

// Description returns the record as it is written: JSON of at most
// [LongestRecord] characters. Where it would be longer, what a person can find
// elsewhere is left out first: run, then actor, then commit.
func (r Record) Description() (string, error) {
	for _, shorten := range []func(){func() {}, func() { r.unknown = nil }, func() { r.Run = "" }, func() { r.Actor = "" }, func() { r.Commit = "" }} {
		shorten()
		b, err := marshalWith(wireRecord{recordVersion, r.Tag, r.Digest, r.Repository, r.Commit, r.Actor, r.Run, r.ID, r.Rollback}, r.unknown)
		if err != nil {
			return "", err
		}
		if utf8.RuneCount(b) <= LongestRecord {
			return string(b), nil
		}
	}
	return "", invalid("the release record of tag %s does not fit into %d characters", r.Tag, LongestRecord)
}

// ParameterVersion is one version of a tag parameter, as SSM gives it.
type ParameterVersion struct {
	Name        ParameterName
	Value       string // as it was written, by Tasuki or by hand
	Type        string // String, StringList or SecureString
	Version     int64
	Description string
	ModifiedBy  string // ARN; "" where SSM does not say
	ModifiedAt  time.Time
}

// Release is what one version of the tag parameter says: the tag, and the record
// if it was written with one.
type Release struct {
	Tag     Tag
	Record  *Record // nil for a value written by hand
	Version ParameterVersion
}

// Digest returns the registered digest, or the zero Digest where the value was
// written by hand.
func (r Release) Digest() Digest {
	if r.Record == nil {
		return Digest{}
	}
	return r.Record.Digest
}

// Release reads the version as a release. A SecureString, a list, and a value that
// is no tag are refused: what cannot be understood must not be deployed.
func (v ParameterVersion) Release() (Release, error) {
	refuse := func(err error, hint string) (Release, error) {
		return Release{}, &Error{Op: "read", Side: SideTag, Subject: v.Name.s, Kind: ErrInvalid, Err: err, Hint: hint}
	}
	if v.Type != "String" {
		return refuse(invalid("it is a %s, which neither CloudFormation nor Tasuki reads as a tag", v.Type),
			"Delete the parameter, and register a release again: it is written as a String, because an image tag is no secret.")
	}
	tag, err := ParseTag(v.Value)
	if err != nil {
		return refuse(err, "Register a release with 'tasuki register', which checks the tag against ECR.")
	}
	// A later version may register something else than what this program would read.
	if version, of := recordHead(v.Description); version > recordVersion && of == v.Value {
		return refuse(tooNew("release record", version, recordVersion), "")
	}
	release := Release{Tag: tag, Version: v}
	// A record of another tag is left over from an earlier write: SSM keeps the
	// description when a value is overwritten by hand without one.
	if record, err := ParseRecord(v.Description); err == nil && record.Tag == tag {
		release.Record = &record
	}
	return release, nil
}
